"""A threat is reported: in a meeting, after it, or, with pre-roll, at any time."""

import asyncio
from collections.abc import Callable
from datetime import datetime, timedelta

from roomwitness.policy import meeting as events
from roomwitness.policy.words import Meeting

from .config import RoomConfig
from .errors import RoomIdle
from .ledger import Ledger
from .upkeep import Upkeep, new_id
from .view import current, newest_ended
from .watches import Watches

# How long a meeting that a threat began is recorded, unless somebody stops it.
LENGTH = timedelta(minutes=15)


class Threats:
    """Decides what a threat holds, and begins a recording where none runs."""

    def __init__(
        self,
        ledger: Ledger,
        upkeep: Upkeep,
        watches: Watches,
        lock: asyncio.Lock,
        clock: Callable[[], datetime],
        find: Callable[[str], RoomConfig],
    ) -> None:
        self._ledger = ledger
        self._upkeep = upkeep
        self._watches = watches
        self._lock = lock
        self._clock = clock
        self._find = find

    async def report(
        self, room_id: str, by: str | None = None, pressed: datetime | None = None
    ) -> str:
        """Hold what it is about, once; returns the meeting's id.

        That is the running meeting, or the newest one that has just ended. Where none runs and
        pre-roll is on, a meeting begins that is held at once and has the seconds before.

        ``pressed`` is when it was reported, if an earlier try failed.

        Raises:
            RoomNotFound: no such room.
            RoomIdle: nothing runs, nothing can still be reported, and pre-roll is off.
            LegalFileIncomplete, RoomWithoutCamera: pre-roll is on, but the room may not record, or
                cannot.
        """
        room, now = self._find(room_id), self._clock()
        # Before any waiting: the seconds before the press must not age away meanwhile.
        frozen = await self._watches.freeze(room.id)
        try:
            async with self._lock:
                return (await self._report(room, by, pressed or now, now)).id
        finally:
            if frozen:
                self._watches.thaw(room.id)  # Unless a meeting has taken it.

    async def _report(
        self, room: RoomConfig, by: str | None, pressed: datetime, now: datetime
    ) -> Meeting:
        meetings = self._ledger.of_room(room.id)
        running, ended = current(meetings), newest_ended(meetings, pressed)
        if ended is not None and await self._upkeep.keys_gone(ended):
            ended = None  # Its files may still be there; it is past saving.
        begins = running is None and bool(room.policy.pre_roll)
        held = running or ended
        if ended and running and running.started and running.started > pressed:
            held = ended  # Another one has begun since.
        if held is not None:
            event = events.ReportThreat(new_id(), by)
            # Its window may have ended while others had the lock: the press came before.
            at = pressed if held is ended else self._clock()
            held = await self._upkeep.apply(held, event, at, room)
            if not begins or not room.armed:
                return held
        elif not begins:
            raise RoomIdle
        room.require_armed()
        return await self._upkeep.begin_by_threat(room, now, now + LENGTH, by)
