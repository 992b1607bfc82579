"""Preflight: some minutes before a meeting each camera is asked for a picture."""

import asyncio
from collections.abc import Callable

from roomwitness.capture import CaptureError, CaptureHost, StreamSource, probe

from .config import RoomConfig
from .status import Problem


class Preflight:
    """Checks rooms in the background and remembers what was wrong until the next check."""

    def __init__(self, host: CaptureHost, checked: Callable[[str], None]) -> None:
        self._host = host
        self._checked = checked
        self._problems: dict[str, tuple[Problem, ...]] = {}
        self._tasks: dict[str, asyncio.Task[None]] = {}

    def begin(self, room: RoomConfig) -> None:
        """Check this room's cameras now; ``checked(room_id)`` is called when that is done."""
        task = asyncio.create_task(self._check(room), name="roomwitness preflight")
        self._tasks[room.id] = task

    async def _check(self, room: RoomConfig) -> None:
        keys = await asyncio.gather(*(self._camera(camera.source) for camera in room.cameras))
        self._problems[room.id] = tuple(
            Problem(key=key, room_id=room.id, camera_id=camera.id)
            for key, camera in zip(keys, room.cameras, strict=True)
            if key is not None
        )
        self._checked(room.id)

    async def _camera(self, source: StreamSource) -> str | None:
        try:
            await asyncio.wrap_future(self._host.submit(probe(source)))
        except CaptureError as err:
            return err.key
        return None

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
