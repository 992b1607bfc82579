"""Preflight: from some minutes before a meeting until it begins, everything is tried."""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from datetime import datetime, timedelta

from roomwitness.capture import CaptureError
from roomwitness.capture.errors import CameraAuthFailed
from roomwitness.recording.host import RecordingHost

from . import checks, devices
from .config import CameraConfig, RoomConfig
from .refusals import Refusals
from .status import Checked, Problem

_EVERY_S = 60.0
# Servers report at latest after some 5 s (RFC 3550, 6.2); a camera that never does costs so long.
_REPORT_S = 6.0

type Look = Callable[[RoomConfig, timedelta], tuple[Problem, ...]]
type LookAt = Callable[[RoomConfig, CameraConfig], Awaitable[list[Problem]]]


async def _nothing_else(_room: RoomConfig, _camera: CameraConfig) -> list[Problem]:
    return []


class Preflight:
    """Checks rooms in the background, again and again while the meeting is still ahead.

    So what was mended in time is no problem any more, and what breaks late still is one.
    ``look`` gives what is wrong besides the cameras (ground.py); it blocks. ``device`` looks at a
    camera beside its stream and tells itself what it found (devices.py). ``current`` gives the room
    as it is configured by then: a password may have been corrected.
    """

    def __init__(
        self,
        host: RecordingHost,
        look: Look,
        checked: Callable[[str], None],
        current: Callable[[str], RoomConfig | None],
        clock: Callable[[], datetime],
        every_s: float = _EVERY_S,
        device: LookAt = _nothing_else,
    ) -> None:
        self._host = host
        self._look = look
        self._checked = checked
        self._current = current
        self._clock = clock
        self._every_s = every_s
        self._device = device
        self._refusals = Refusals()
        self._problems: dict[str, tuple[Problem, ...]] = {}
        self._results: dict[str, Checked] = {}
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._changed: dict[str, asyncio.Event] = {}

    def begin(self, room: RoomConfig, length: timedelta) -> None:
        """Check this room for a meeting of that length; ``checked(room_id)`` after each round."""
        self.forget(room.id)
        task = asyncio.create_task(self._repeat(room, length), name="roomwitness preflight")
        self._tasks[room.id] = task

    async def now(self, room: RoomConfig, length: timedelta) -> tuple[Problem, ...]:
        """Check once because somebody asked; what is wrong is looked at again until it is not."""
        found = await self._check(room, length, asked=True)
        self._take(room.id, found, tell=True)
        if found and not self.begun(room.id):
            task = asyncio.create_task(
                self._repeat(room, length, until_clear=True), name="roomwitness preflight"
            )
            self._tasks[room.id] = task
        return found

    def again(self, room_id: str) -> None:
        """The room was changed: whether that put it right is looked at at once."""
        if self.begun(room_id):
            self._changed.setdefault(room_id, asyncio.Event()).set()

    async def _rest(self, room_id: str) -> None:
        changed = self._changed.setdefault(room_id, asyncio.Event())
        with suppress(TimeoutError):
            async with asyncio.timeout(self._every_s):
                await changed.wait()
        changed.clear()

    async def _repeat(
        self, room: RoomConfig, length: timedelta, *, until_clear: bool = False
    ) -> None:
        tell = not until_clear
        while True:
            if until_clear:
                await self._rest(room.id)
            room = self._current(room.id) or room
            found = await self._check(room, length)
            self._take(room.id, found, tell=tell)
            tell = False
            if until_clear and not found:
                return
            if not until_clear:
                await self._rest(room.id)

    def _take(self, room_id: str, found: tuple[Problem, ...], *, tell: bool) -> None:
        """Keep what was found; a result is news if somebody waits for it, or if it differs."""
        self._problems[room_id] = tuple(p for p in found if p.key not in devices.KEYS)
        before, failed = self._results.get(room_id), tuple(sorted({p.key for p in found}))
        if tell or before is None or before.failed != failed:
            number = before.number + 1 if before else 1
            self._results[room_id] = Checked(number=number, at=self._clock(), failed=failed)
        self._checked(room_id)

    async def _check(
        self, room: RoomConfig, length: timedelta, *, asked: bool = False
    ) -> tuple[Problem, ...]:
        cameras, ground = await asyncio.gather(
            asyncio.gather(*(self._both(room, camera, asked) for camera in room.cameras)),
            asyncio.to_thread(self._look, room, length),
        )
        return (*(problem for found in cameras for problem in found), *ground)

    async def _both(self, room: RoomConfig, camera: CameraConfig, asked: bool) -> list[Problem]:
        stream, device = await asyncio.gather(
            self._camera(room.id, camera, asked), self._device(room, camera)
        )
        if any(p.key == devices.CLOCK for p in device):  # The same, and it can be set there.
            stream = [p for p in stream if p.key != "camera_clock_off"]
        return stream + device

    async def _camera(self, room_id: str, camera: CameraConfig, asked: bool) -> list[Problem]:
        def problem(key: str, **placeholders: str) -> Problem:
            return Problem(key=key, room_id=room_id, camera_id=camera.id, placeholders=placeholders)

        refusals, loop = self._refusals, asyncio.get_running_loop()
        if not asked and refusals.rests(camera.id, camera.source, loop.time()):
            return [problem(CameraAuthFailed.key)]
        try:
            info = await self._host.probe(camera.source, _REPORT_S, decode=True)
        except CaptureError as err:
            if isinstance(err, CameraAuthFailed):
                refusals.refused(camera.id, camera.source, loop.time())
            return [problem(err.key)]
        refusals.let_in(camera.id)
        found = [problem("keyframe_undecodable")] if info.decodes is False else []
        if deaf := checks.without_sound(info, wanted=camera.source.audio):
            key, placeholders = deaf
            found.append(problem(key, **placeholders))
        if info.clock_offset_s is not None and checks.clock_off(info.clock_offset_s):
            shown = checks.shown_offset(info.clock_offset_s)
            found.append(problem("camera_clock_off", offset=shown))
        return found

    def begun(self, room_id: str) -> bool:
        """Whether the room is being looked at."""
        return room_id in self._tasks and not self._tasks[room_id].done()

    def problems(self, room_id: str) -> tuple[Problem, ...]:
        """What the last check found."""
        return self._problems.get(room_id, ())

    def result(self, room_id: str) -> Checked | None:
        """The last result that was news; it stays when the meeting has begun."""
        return self._results.get(room_id)

    def forget(self, room_id: str) -> None:
        """The meeting began, or will not: from now on its own cameras tell."""
        self._problems.pop(room_id, None)
        self._changed.pop(room_id, None)
        task = self._tasks.pop(room_id, None)
        if task is not None:
            task.cancel()

    async def stop(self) -> None:
        """Break off what is being checked."""
        tasks = tuple(self._tasks.values())
        for room_id in tuple(self._tasks):
            self.forget(room_id)
        await asyncio.gather(*tasks, return_exceptions=True)
