"""Backups that still carry a key of what was erased: known, named in receipts, told until gone."""

from collections.abc import Collection, Iterable
from contextlib import suppress
from datetime import UTC, datetime

from roomwitness.policy.words import Meeting
from roomwitness.vault import copies
from roomwitness.vault.errors import VaultFull, VaultUnwritable
from roomwitness.vault.store import Vault

from .ledger import Ledger
from .status import Problem

_TOLD = 10


def watch(vault: Vault, now: datetime) -> None:
    """Note whose wraps a backup that is taken now would carry; blocks on disk."""
    with suppress(VaultUnwritable, VaultFull):  # Nothing waits for it: it is seen again.
        vault.see_held(now)


class Copies:
    """What is known of backups; blocks on disk, in the conductor's one worker thread."""

    def __init__(self, vault: Vault, ledger: Ledger) -> None:
        self._vault = vault
        self._ledger = ledger
        self._carrying: tuple[copies.Copy, ...] = ()
        # Begins of backups that no look can have listed yet, and whether the last one ended.
        self._begun: list[datetime] = []
        self._ended = False

    def refresh(self) -> None:
        """Look again which backups carry a key of something erased."""
        self._carrying = tuple(copies.of_erased(self._vault.index))

    def watch(self, now: datetime) -> None:
        """Note whose wraps a backup that is taken now would carry."""
        watch(self._vault, now)

    def begin(self, now: datetime) -> None:
        """A backup begins: it carries what there is, and is listed when it is done."""
        self._begun.append(now)
        self._ended = False

    def end(self) -> None:
        """It has all of its files: the next look that is settled lists it."""
        self._ended = True

    def take(self, listing: copies.Listing, now: datetime) -> None:
        """Take the backups that there are now."""
        self.watch(now)
        copies.note(self._vault.index, listing, now)
        if listing.settled and self._ended:
            self._begun.clear()
        self.refresh()

    @property
    def told(self) -> tuple[str, ...]:
        """Ids of the backups that ``problems`` names: of no others can anybody answer for it."""
        return tuple(copy.id for copy in self._carrying[:_TOLD])

    def confirm(self, shown: Collection[str], now: datetime) -> None:
        """A person answers for it that these backups, which they were shown, are destroyed.

        One that is still listed at the next ``take`` is told again.
        """
        names = [copy.id for copy in self._carrying if copy.id in shown]
        for name in names:
            self._ledger.note("backup_confirmed_gone", now, backup=name)
        copies.confirm_gone(self._vault.index, names, now)
        self.refresh()

    def of(self, meeting: Meeting, now: datetime) -> list[dict[str, str]]:
        """What a receipt says: the backups that carry a custodians' wrap of the meeting."""
        return [
            {"backup": copy.id, "taken": copy.taken.isoformat()}
            for copy in copies.of_meeting(self._vault.index, meeting, now, self._begun)
        ]

    def problems(self) -> Iterable[Problem]:
        """The backups to destroy, the oldest first."""
        if self._carrying:
            told = [
                f"{c.id} ({c.taken.astimezone(UTC):%Y-%m-%d %H:%M} UTC)" for c in self._carrying
            ]
            more = [] if len(told) <= _TOLD else ["..."]
            yield Problem(
                key="backups_carry_keys",
                placeholders={
                    "count": str(len(told)),
                    "backups": ", ".join(told[:_TOLD] + more),
                },
            )
