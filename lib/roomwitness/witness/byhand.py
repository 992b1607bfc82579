"""Meetings that are started by hand, or by an automation: begun, put off, ended."""

import asyncio
from collections.abc import Callable
from datetime import datetime

from roomwitness.policy import meeting as events

from .config import RoomConfig
from .errors import RefusedByDisk, RefusedByQuota, RoomBusy, RoomIdle
from .ledger import Ledger
from .space import sizes
from .upkeep import Upkeep, new_id
from .view import current


class ByHand:
    """Every change is made under the conductor's lock, so that only one runs at a time."""

    def __init__(
        self, ledger: Ledger, upkeep: Upkeep, lock: asyncio.Lock, clock: Callable[[], datetime]
    ) -> None:
        self._ledger = ledger
        self._upkeep = upkeep
        self._lock = lock
        self._clock = clock

    async def start(self, room: RoomConfig) -> str:
        """Start a meeting that ends after the room's length for it; returns its id.

        Raises:
            RoomBusy, RoomWithoutCamera, LegalFileIncomplete, RefusedByDisk, RefusedByQuota.
        """
        room.require_armed()
        async with self._lock:
            now = self._clock()
            if current(self._ledger.of_room(room.id)) is not None:
                raise RoomBusy
            await self._require_space(room, now)
            meeting = events.by_hand(new_id(), room.id, now, room.policy)
            meeting = await self._upkeep.run(self._ledger.create, meeting, now)
            await self._upkeep.apply(meeting, events.Start(), now, room)
            return meeting.id

    async def go_on(self, room: RoomConfig) -> None:
        """Put the end of the running meeting off: it has the room's length from now again.

        Raises:
            RoomIdle: none runs.
            TransitionNotAllowed: it is from a booking, which says when it ends.
        """
        async with self._lock:
            meeting = current(self._ledger.of_room(room.id))
            if meeting is None:
                raise RoomIdle
            now = self._clock()
            event = events.GoOn(now + room.policy.manual_length)
            await self._upkeep.apply(meeting, event, now, room)

    async def stop(self, room: RoomConfig) -> None:
        """End the running meeting; its review window begins.

        Raises:
            RoomIdle: none runs.
        """
        async with self._lock:
            meeting = current(self._ledger.of_room(room.id))
            if meeting is None:
                raise RoomIdle
            await self._upkeep.apply(meeting, events.End(), self._clock(), room)

    async def _require_space(self, room: RoomConfig, now: datetime) -> None:
        upkeep = self._upkeep
        length = room.policy.manual_length
        short = await upkeep.run(upkeep.space.refusal, room, length, upkeep.running, now)
        if short is not None:
            upkeep.space.forget(room.id)  # Whoever asked is told; nothing waits.
            refused = RefusedByDisk if short.of == "disk" else RefusedByQuota
            raise refused(**sizes(short))
