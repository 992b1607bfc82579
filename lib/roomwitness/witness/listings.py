"""Lists of meetings for a custodian or a data protection officer; who looked is logged first."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import partial

from roomwitness.policy.words import Meeting, MeetingState
from roomwitness.vault import details, listing
from roomwitness.vault.store import Vault

from .errors import PageNotFound
from .ledger import Ledger
from .upkeep import Upkeep


@dataclass(frozen=True, slots=True)
class Listed:
    """A meeting, and what there is of it."""

    meeting: Meeting
    found: details.Details


class Listings:
    """Every call appends ``listed`` to the custody log before it answers."""

    def __init__(
        self, vault: Vault, ledger: Ledger, upkeep: Upkeep, clock: Callable[[], datetime]
    ) -> None:
        self._vault = vault
        self._ledger = ledger
        self._upkeep = upkeep
        self._clock = clock

    async def meetings(
        self,
        by: str | None,
        *,
        room_id: str | None = None,
        states: Sequence[MeetingState] = (),
        since: datetime | None = None,
        before: datetime | None = None,
        after: str | None = None,
        limit: int = 50,
    ) -> tuple[tuple[Listed, ...], str | None]:
        """A page, the newest planned first, erased ones too, and what to give as ``after`` next.

        ``by`` is the pseudonym of whoever asks.

        Raises:
            PageNotFound: ``after`` is not what a page gave.
            LogUnwritable: nothing is given that is not logged.
        """
        try:
            key = None if after is None else listing.read_key(after)
        except ValueError:
            raise PageNotFound from None
        page = await self._upkeep.run(
            partial(
                listing.meetings,
                self._vault.index,
                room_id=room_id,
                states=states,
                since=since,
                before=before,
                after=key,
                limit=limit,
            )
        )
        found = await self._listed([row.id for row in page.rows], by, "meetings", room_id)
        return found, None if page.next is None else listing.write_key(page.next)

    async def evidence(self, by: str | None, room_id: str) -> tuple[Listed, ...]:
        """The room's held meetings, oldest first; ``by`` is the pseudonym of whoever asks.

        Raises:
            LogUnwritable: nothing is given that is not logged.
        """
        held = [m for m in self._ledger.of_room(room_id) if m.held]
        ids = [m.id for m in sorted(held, key=lambda m: m.planned_start)]
        return await self._listed(ids, by, "evidence", room_id)

    async def _listed(
        self, ids: Sequence[str], by: str | None, what: str, room_id: str | None
    ) -> tuple[Listed, ...]:
        now = self._clock()

        def look() -> tuple[Listed, ...]:
            rows = details.meetings(self._vault.index, ids)
            found = details.of_meetings(self._vault.index, ids)
            self._ledger.note("listed", now, what=what, room=room_id, meetings=len(rows), by=by)
            return tuple(Listed(m, found.get(m.id, details.Details())) for m in rows)

        return await self._upkeep.run(look)
