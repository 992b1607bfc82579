"""Whoever acts is a pseudonym in log and index; who that is can be forgotten."""

import logging
from collections.abc import Callable, Iterable
from datetime import datetime
from functools import partial

from roomwitness.custody.adopted import told
from roomwitness.errors import WitnessError
from roomwitness.policy.holds import WithdrawRelease, pending
from roomwitness.policy.words import Meeting, RoomPolicy
from roomwitness.vault.errors import VaultUnwritable
from roomwitness.vault.people import People as Table

from .config import RoomConfig
from .errors import PersonStillNeeded, PersonUnknown
from .ledger import Ledger
from .upkeep import Upkeep

DECIDERS = "deciders_set"

_LOGGER = logging.getLogger(__name__)


class People:
    """Accounts are whatever the face calls a person's login; they never reach log or index."""

    def __init__(
        self,
        table: Table,
        ledger: Ledger,
        upkeep: Upkeep,
        clock: Callable[[], datetime],
        rooms: Callable[[str], RoomConfig | None],
    ) -> None:
        self._table = table
        self._ledger = ledger
        self._upkeep = upkeep
        self._clock = clock
        self._rooms = rooms
        self._deciders = ""

    def open(self, now: datetime) -> None:
        """Log that nobody is known any more, and forget whom the log says; blocks on disk.

        A kill or a failing disk may have left their rows, and so does a ``people.db`` that was put
        back: whoever is forgotten stays so. A release that waits is taken back if nobody knows who
        asked: whoever it was has another pseudonym now, and could agree with themselves.
        """
        if self._table.damaged:
            self._ledger.note("people_lost", now)
        for entry in told(self._ledger.log.since(0), (DECIDERS,)):
            self._deciders = str(entry.get("people", ""))
        for entry in told(self._ledger.log.since(0), ("person_forgotten",)):
            person = str(entry.get("person"))
            if self._table.account(person) is None:
                continue
            try:
                self._table.forget(person)
            except VaultUnwritable as err:
                _LOGGER.warning("A person could not be forgotten, at the next start: %s", err.key)
                continue
            self._ledger.note("carried_out_late", now, of="person_forgotten", person=person)
        for meeting, hold in pending(self._ledger.meetings):
            if self.account(hold.release_asked_by) is None:
                known = self._ledger.get(meeting.id) or meeting  # It may have several.
                self._ledger.apply(known, WithdrawRelease(hold.id), now, RoomPolicy())

    def pseudonym(self, account: str | None) -> str | None:
        """The person's pseudonym, always the same while they are not forgotten; None is nobody.

        A report of a threat waits for no disk: a new row is written by the disk's thread, before
        whatever that thread is asked for next.
        """
        if account is None:
            return None
        person = self._table.pseudonym(account)
        if self._table.unsaved:
            self._upkeep.later(self._save)
        return person

    def account(self, person: str | None) -> str | None:
        """Whose pseudonym it is; None if it is nobody's that is still known."""
        return None if person is None else self._table.account(person)

    def known(self, account: str) -> str | None:
        """The pseudonym that a person has, if any."""
        return self._table.known(account)

    async def set_deciders(self, accounts: Iterable[str]) -> None:
        """Have the log say who may decide about evidence beside administrators, if it is news.

        Raises:
            LogUnwritable: it must be tried again before it counts.
        """
        people = ",".join(sorted(person for a in accounts if (person := self.pseudonym(a))))
        if people != self._deciders:
            note = partial(self._ledger.note, DECIDERS, people=people)
            await self._upkeep.run(note, self._clock())
            self._deciders = people

    async def forget(self, person: str | None, by: str | None = None) -> None:
        """Erase who a pseudonym is. Log and index keep it, and it says nothing any more.

        ``by`` is the pseudonym of whoever decides it.

        Raises:
            PersonUnknown: nobody of that pseudonym is known.
            PersonStillNeeded: two people must release a hold that this person placed or asked for.
            LogUnwritable, VaultUnwritable: it must be tried again.
        """
        if person is None or self._table.account(person) is None:
            raise PersonUnknown
        if any(person in _kept_apart(m) for m in self._two_people()):
            raise PersonStillNeeded
        note = partial(self._ledger.note, "person_forgotten", person=person, by=by)
        await self._upkeep.run(note, self._clock())  # From here on the next start would do it.
        await self._upkeep.run(self._table.forget, person)

    def _two_people(self) -> Iterable[Meeting]:
        """Meetings whose holds only two people may release."""
        for meeting in self._ledger.meetings:
            room = self._rooms(meeting.room_id)
            if room is not None and room.policy.two_people:
                yield meeting

    def _save(self) -> None:
        try:
            self._table.save()
        except WitnessError as err:
            _LOGGER.warning("A pseudonym could not be stored, trying again later: %s", err.key)


def _kept_apart(meeting: Meeting) -> set[str | None]:
    return {who for hold in meeting.open_holds for who in (hold.placed_by, hold.release_asked_by)}
