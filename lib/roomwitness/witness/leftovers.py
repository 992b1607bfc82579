"""What the custody log says of recordings that the index does not list (vault/leftovers.py)."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path

from roomwitness.custody import CustodyLog, LogTampered, LogUnwritable, encode_entry, read_account
from roomwitness.vault.leftovers import Fate, Leftover


class Told:
    """The open log of a folder, as an account of what was begun, held and erased."""

    def __init__(
        self, log: CustodyLog, folder: Path, vkey: str, now: datetime, *, offline: bool = False
    ) -> None:
        self._log = log
        self._folder = folder
        self._vkey = vkey
        self._now = now
        self._more = {"offline": True} if offline else {}

    def fates(self) -> Mapping[str, Fate]:
        """Of each recording that was begun; empty if the log does not hold.

        A meeting that was erased while its hold was open is not taken to be: an index that did not
        know of the hold, because it was older, erased what it had of it.
        """
        try:
            account = read_account(self._folder, self._vkey)
        except LogTampered:
            return {}
        held, erased = account.held_meetings, account.erased - account.held_meetings
        return {
            recording: Fate(meeting, meeting in erased, meeting in held)
            for recording, meeting in account.begun.items()
        }

    def going(self, leftovers: Sequence[Leftover], fates: Mapping[str, Fate]) -> bool:
        """Log that these are destroyed now; False if it cannot be, and they must stay."""
        leaves = []
        for one in leftovers:
            fate = fates.get(one.recording)
            fields = {
                "recording": one.recording,
                "meeting": fate.meeting if fate else None,
                "ephemeral_key": one.ephemeral,
                "held_key": one.held,
                "files": one.files,
                **self._more,
            }
            leaves.append(encode_entry("leftover_destroyed", self._now, fields))
        try:
            self._log.append_all(leaves)
            self._log.checkpoint()
        except LogUnwritable:
            return False
        return True
