"""Preflight: from some minutes before a meeting until it begins, everything is tried."""

import asyncio
from collections.abc import Callable
from datetime import timedelta

from roomwitness.capture import CaptureError, CaptureHost, StreamSource, probe
from roomwitness.errors import WitnessError

from . import checks
from .config import RoomConfig
from .status import Problem

_EVERY_S = 60.0


class Preflight:
    """Checks rooms in the background, again and again while the meeting is still ahead.

    So what was mended in time is no problem any more, and what breaks late still is one.
    ``current`` gives the room as it is configured by then: a password may have been corrected.
    ``free_bytes`` is the room left on the vault's disk; it blocks.
    """

    def __init__(
        self,
        host: CaptureHost,
        free_bytes: Callable[[], int],
        checked: Callable[[str], None],
        current: Callable[[str], RoomConfig | None],
        every_s: float = _EVERY_S,
    ) -> None:
        self._host = host
        self._free_bytes = free_bytes
        self._checked = checked
        self._current = current
        self._every_s = every_s
        self._problems: dict[str, tuple[Problem, ...]] = {}
        self._tasks: dict[str, asyncio.Task[None]] = {}

    def begin(self, room: RoomConfig, length: timedelta) -> None:
        """Check this room for a meeting of that length; ``checked(room_id)`` after each round."""
        self.forget(room.id)
        task = asyncio.create_task(self._repeat(room, length), name="roomwitness preflight")
        self._tasks[room.id] = task

    async def now(self, room: RoomConfig, length: timedelta) -> tuple[Problem, ...]:
        """Check once because somebody asked; what is wrong is looked at again until it is not."""
        found = await self._check(room, length)
        if not self.begun(room.id):
            self._problems[room.id] = found
            self._checked(room.id)
            if found:
                task = asyncio.create_task(
                    self._repeat(room, length, until_clear=True), name="roomwitness preflight"
                )
                self._tasks[room.id] = task
        return found

    async def _repeat(
        self, room: RoomConfig, length: timedelta, *, until_clear: bool = False
    ) -> None:
        while True:
            room = self._current(room.id) or room
            self._problems[room.id] = await self._check(room, length)
            self._checked(room.id)
            if until_clear and not self._problems[room.id]:
                return
            await asyncio.sleep(self._every_s)

    async def _check(self, room: RoomConfig, length: timedelta) -> tuple[Problem, ...]:
        keys = await asyncio.gather(*(self._camera(camera.source) for camera in room.cameras))
        found = [
            Problem(key=key, room_id=room.id, camera_id=camera.id)
            for key, camera in zip(keys, room.cameras, strict=True)
            if key is not None
        ]
        needed = checks.needed_bytes(len(room.cameras), length)
        try:
            free = await asyncio.to_thread(self._free_bytes)
        except OSError, WitnessError:
            return tuple(found)  # The disk is gone: the conductor's own work says so.
        if free < needed:
            sizes = {"needed": f"{needed / 1e9:.1f}", "free": f"{free / 1e9:.1f}"}
            found.append(Problem(key="disk_short", room_id=room.id, placeholders=sizes))
        return tuple(found)

    async def _camera(self, source: StreamSource) -> str | None:
        try:
            info = await asyncio.wrap_future(self._host.submit(probe(source)))
        except CaptureError as err:
            return err.key
        broken = await asyncio.to_thread(checks.undecodable, info)
        return broken or checks.without_sound(info, wanted=source.audio)

    def begun(self, room_id: str) -> bool:
        """Whether the room is being looked at."""
        return room_id in self._tasks and not self._tasks[room_id].done()

    def problems(self, room_id: str) -> tuple[Problem, ...]:
        """What the last check found."""
        return self._problems.get(room_id, ())

    def forget(self, room_id: str) -> None:
        """The meeting began, or will not: from now on its own cameras tell."""
        self._problems.pop(room_id, None)
        task = self._tasks.pop(room_id, None)
        if task is not None:
            task.cancel()

    async def stop(self) -> None:
        """Break off what is being checked."""
        tasks = tuple(self._tasks.values())
        for room_id in tuple(self._tasks):
            self.forget(room_id)
        await asyncio.gather(*tasks, return_exceptions=True)
