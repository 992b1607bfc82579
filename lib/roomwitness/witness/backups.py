"""What happens while somebody copies the site's folders."""

from datetime import datetime

from roomwitness.vault import Vault

from .ledger import Ledger


class Backups:
    """Holds the index and the log's heads still, and logs begin and end; blocks on disk."""

    def __init__(self, vault: Vault, ledger: Ledger) -> None:
        self._vault = vault
        self._ledger = ledger

    def begin(self, now: datetime) -> None:
        """Somebody begins to copy; how much evidence the copy will carry is in the log.

        Raises:
            VaultUnwritable, LogUnwritable.
        """
        held = sum(meeting.held for meeting in self._ledger.meetings)
        self._ledger.note("backup_begun", now, held=held)
        self._ledger.hold_heads(now)
        self._vault.freeze()

    def end(self, now: datetime) -> None:
        """It is done."""
        self._vault.thaw()
        self._ledger.release_heads()
        self._ledger.note("backup_ended", now)
