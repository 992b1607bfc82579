"""The cameras as devices: their clocks, what they record by themselves, where they are.

Each is asked at start and every hour, before each meeting, and every minute while something is
wrong with it: so that what was mended is no problem any more (docs/onvif.md).
"""

import asyncio
import contextlib
import logging
import time
from collections.abc import Awaitable, Callable, Iterator, Mapping, Set
from dataclasses import dataclass

from roomwitness.errors import WitnessError
from roomwitness.onvif import (
    Connection,
    DeviceClock,
    OnvifAuthFailed,
    OnvifError,
    OnvifSource,
    OnvifUnreachable,
    OwnRecordings,
    another,
    discover,
    follow,
    identity,
    own_recordings,
    read_clock,
    set_clock,
)
from roomwitness.onvif.following import Find

from . import checks
from .background import end
from .config import CameraConfig, RoomConfig
from .status import Problem

_LOGGER = logging.getLogger(__name__)

CLOCK, EXCHANGED = "device_clock_off", "camera_exchanged"
RECORDS, KEEPS = "camera_records", "camera_keeps_recordings"
ELSEWHERE = "camera_stores_elsewhere"
KEYS = frozenset({CLOCK, EXCHANGED, RECORDS, KEEPS, ELSEWHERE})

_STEP_S, _EVERY_S, _AGAIN_S = 5.0, 3600.0, 60.0
_SEEK_S = 600.0  # While streams are well: a device may just not speak ONVIF any more.
_REFUSED = 5  # So many times as long.
_LOOK_TIMEOUT_S = 20.0
_AT_ONCE = 8

type Moved = Callable[[str, OnvifSource], None]


@dataclass(frozen=True, slots=True)
class ShownClock:
    """A camera's clock as its device showed it: its offset, in seconds, and when that was measured.

    ``at`` is monotonic seconds: our wall clock may be set meanwhile.
    """

    offset_s: float
    error_s: float
    at: float

    def fields(self, now: float) -> dict[str, float]:
        """What the custody log says of it (docs/custody.md)."""
        return {
            "onvif_clock_offset_s": round(self.offset_s, 3),
            "onvif_clock_error_s": round(self.error_s, 3),
            "onvif_clock_age_s": round(now - self.at, 1),
        }


@dataclass(frozen=True, slots=True)
class _Seen:
    """The last look at a camera, as it was configured then.

    ``lost``: it was not there; ``refused``: it, or who has its address, refused the password.
    """

    camera: CameraConfig
    at: float
    wrong: tuple[tuple[str, str], ...]
    lost: bool
    refused: bool


class Devices:
    """Looks at every camera with ONVIF.

    ``rooms`` are the rooms by id, ``notify`` is told of rooms whose problems may have changed,
    ``troubled`` gives cameras whose streams fail: they may be elsewhere. ``note`` logs that a
    camera was followed; ``moved`` tells whoever keeps its address.
    """

    def __init__(
        self,
        rooms: Callable[[], Mapping[str, RoomConfig]],
        notify: Callable[[str], None],
        troubled: Callable[[], Set[str]],
        note: Callable[[str], Awaitable[None]],
        *,
        find: Find = discover,
        step_s: float = _STEP_S,
        again_s: float = _AGAIN_S,
    ) -> None:
        self.moved: Moved | None = None
        self._rooms = rooms
        self._notify = notify
        self._troubled = troubled
        self._note = note
        self.find = find
        self._step_s = step_s
        self.again_s = again_s
        self._seen: dict[str, _Seen] = {}
        self._clocks: dict[str, ShownClock] = {}
        self._sought = -_SEEK_S
        self._several = asyncio.Semaphore(_AT_ONCE)
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begin in the background."""
        self._task = asyncio.get_running_loop().create_task(
            self._forever(), name="roomwitness devices"
        )

    async def stop(self) -> None:
        """End; what is being asked is broken off."""
        await end(self._task)

    async def _forever(self) -> None:
        while True:
            try:
                await self.round()
            except Exception as err:  # Nothing may end the watch: nobody would miss it.
                _LOGGER.error("Unexpected %s while looking at devices", type(err).__name__)  # noqa: TRY400
            await asyncio.sleep(self._step_s)

    async def round(self) -> None:
        """Look at whom it is time to look at, and follow those who are elsewhere."""
        cameras = self._cameras()
        for camera_id in self._seen.keys() - cameras.keys():
            del self._seen[camera_id]
            self._clocks.pop(camera_id, None)
        now, troubled = asyncio.get_running_loop().time(), self._troubled()
        due = [c for c in cameras.values() if self._due(c, now, c.id in troubled)]
        await asyncio.gather(*(self._look(camera) for camera in due))
        lost = [c for c in cameras.values() if self._seen[c.id].lost and c.device.endpoint]
        exchanged = any((EXCHANGED, "") in seen.wrong for seen in self._seen.values())
        pause = self.again_s if troubled or exchanged else _SEEK_S
        if lost and self.moved is not None and now - self._sought >= pause:
            self._sought = now
            await self._follow(lost, self.moved)

    def _due(self, camera: CameraConfig, now: float, troubled: bool) -> bool:
        seen = self._seen.get(camera.id)
        if seen is None or (seen.camera.onvif, seen.camera.device) != (camera.onvif, camera.device):
            return True
        if seen.refused:
            return not self._rests(camera, now)
        wrong = troubled or seen.lost or seen.wrong
        return now - seen.at >= (self.again_s if wrong else _EVERY_S)

    def _rests(self, camera: CameraConfig, now: float) -> bool:
        """Whether it refused the password: cameras lock out who is wrong too often."""
        seen = self._seen.get(camera.id)
        if seen is None or seen.camera.onvif != camera.onvif or not seen.refused:
            return False
        return now - seen.at < _REFUSED * self.again_s

    async def _follow(self, lost: list[CameraConfig], moved: Moved) -> None:
        answers = await self.find()
        for camera in lost:
            if camera.onvif is None:
                continue
            try:
                there = await follow(camera.onvif, camera.device, answers)
            except Exception as err:  # Whoever claims to be it, the others are followed.
                _LOGGER.error("Unexpected %s while following a device", type(err).__name__)  # noqa: TRY400
                continue
            if there is None:
                continue
            with contextlib.suppress(WitnessError):  # A full disk does not keep it lost.
                await self._note(camera.id)
            _LOGGER.info("Camera %s answers at another address, and is followed", camera.id)
            moved(camera.id, there)

    async def look(self, room: RoomConfig, camera: CameraConfig) -> list[Problem]:
        """Look now; gives what is wrong, as ``problems`` does from then on.

        One that refused the password is left alone for a while.
        """
        if not self._rests(camera, asyncio.get_running_loop().time()):
            await self._look(camera)
        return [p for p in self.problems(room) if p.camera_id == camera.id]

    async def _look(self, camera: CameraConfig) -> None:
        source, before = camera.onvif, self._seen.get(camera.id)
        if source is None:
            return
        wrong, lost, refused = before.wrong if before else (), False, False
        try:
            async with self._several, asyncio.timeout(_LOOK_TIMEOUT_S):
                wrong = await self._ask(camera, source)
                lost = any(key == EXCHANGED for key, _ in wrong)
        except OnvifAuthFailed:
            lost = refused = True  # Or another device is at its address.
        except OnvifUnreachable, TimeoutError:
            lost = True
        except OnvifError:
            pass  # Its stream may be well all the same.
        except Exception as err:  # One camera's nonsense is no other's.
            _LOGGER.error("Unexpected %s while looking at a device", type(err).__name__)  # noqa: TRY400
        at = asyncio.get_running_loop().time()
        self._seen[camera.id] = _Seen(camera, at, wrong, lost, refused)
        if before is None or before.wrong != wrong:
            for room in self._rooms().values():
                if any(c.id == camera.id for c in room.cameras):
                    self._notify(room.id)

    def clock_fields(self, camera_id: str) -> dict[str, float]:
        """What the custody log says of the camera's clock at this moment; nothing if nothing is
        known. For any thread."""
        shown = self._clocks.get(camera_id)
        return {} if shown is None else shown.fields(time.monotonic())

    def _shown(self, camera_id: str, clock: DeviceClock | None) -> None:
        if clock is not None:
            offset = clock.offset
            self._clocks[camera_id] = ShownClock(offset.seconds, offset.error, time.monotonic())

    async def _ask(self, camera: CameraConfig, source: OnvifSource) -> tuple[tuple[str, str], ...]:
        async with Connection(source, cautious=True) as device:
            clock = await read_clock(device)
            if another(camera.device, await identity(device)):
                return ((EXCHANGED, ""),)
            self._shown(camera.id, clock)
            return wrong(clock, await own_recordings(device))

    def problems(self, room: RoomConfig) -> Iterator[Problem]:
        """What the last looks at the room's cameras found."""
        for camera in room.cameras:
            seen = self._seen.get(camera.id)
            for key, offset in seen.wrong if seen is not None else ():
                yield Problem(
                    key=key,
                    room_id=room.id,
                    camera_id=camera.id,
                    placeholders={"offset": offset} if offset else {},
                )

    async def look_again(self, camera_id: str) -> None:
        """Look at a camera now, because somebody mended it."""
        camera = self._cameras().get(camera_id)
        if camera is not None:
            await self._look(camera)

    async def clock(self, camera_id: str) -> DeviceClock | None:
        """The camera's clock now; None if it tells no time, or there is no such camera.

        Raises:
            OnvifUnreachable, OnvifAuthFailed, OnvifError.
        """
        camera = self._cameras().get(camera_id)
        if camera is None or camera.onvif is None:
            return None
        async with Connection(camera.onvif, cautious=True) as device:
            clock = await read_clock(device)
        self._shown(camera_id, clock)
        return clock

    async def set_clock(self, camera_id: str) -> DeviceClock | None:
        """Set the camera's clock to ours, and look again; gives what it shows then.

        Raises:
            OnvifAuthFailed: its user may not set it.
            OnvifUnreachable, OnvifError.
        """
        camera = self._cameras().get(camera_id)
        if camera is None or camera.onvif is None:
            return None
        async with Connection(camera.onvif, cautious=True) as device:
            clock = await set_clock(device)
        self._shown(camera_id, clock)
        await self._look(camera)
        return clock

    def _cameras(self) -> dict[str, CameraConfig]:
        return {
            camera.id: camera
            for room in self._rooms().values()
            for camera in room.cameras
            if camera.onvif is not None
        }


def wrong(clock: DeviceClock | None, own: OwnRecordings) -> tuple[tuple[str, str], ...]:
    """Keys of what a person must know, each with the clock's offset or nothing."""
    found = []
    if clock is not None and checks.clock_off(clock.offset.seconds):
        found.append((CLOCK, checks.shown_offset(clock.offset.seconds)))
    if own.active:
        found.append((RECORDS, ""))
    elif own.stored:
        found.append((KEEPS, ""))
    if own.elsewhere:
        found.append((ELSEWHERE, ""))
    return tuple(found)
