"""Pre-roll: the cameras of idle rooms, watched in memory (docs/pre-roll.md)."""

import asyncio
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime

from roomwitness.capture import CaptureStatus
from roomwitness.capture.preroll import MAX_SECONDS
from roomwitness.recording.host import RecordingHost
from roomwitness.recording.messages import News, Status

from .config import CameraConfig, RoomConfig

_STOP_TIMEOUT_S = 10.0


class Watch:
    """One camera; its job is handed over when a meeting begins."""

    def __init__(
        self,
        host: RecordingHost,
        camera: CameraConfig,
        seconds: float,
        segment_seconds: float,
        changed: Callable[[], None],
    ) -> None:
        self.camera = camera
        self.status: CaptureStatus | None = None
        self.frozen = False
        self.kept_since: datetime | None = None
        self._changed = changed
        self.job = host.watch(
            self._told, source=camera.source, seconds=seconds, segment_seconds=segment_seconds
        )

    def _told(self, news: News) -> None:
        if not isinstance(news, Status):
            return
        before, status = self.status, news.status
        self.status = status
        if before is None or (before.state, before.error_key) != (status.state, status.error_key):
            self._changed()

    async def freeze(self) -> None:
        """From this moment on nothing ages in memory."""
        self.frozen = True
        self.kept_since = await self.job.freeze()

    def thaw(self) -> None:
        """Nobody wants it."""
        self.frozen, self.kept_since = False, None
        self.job.thaw()


@dataclass(frozen=True, slots=True)
class Change:
    """A room began or ceased to be watched; ``seconds`` is 0 where it ceased."""

    room_id: str
    seconds: float


class Watches:
    """Watches by room."""

    def __init__(
        self, host: RecordingHost, segment_seconds: float, changed: Callable[[], None]
    ) -> None:
        self._host = host
        self._segment_seconds = segment_seconds
        self._changed = changed
        self._running: dict[str, dict[str, Watch]] = {}
        self._wanted: dict[str, RoomConfig] = {}

    @property
    def rooms(self) -> frozenset[str]:
        """Rooms that are watched now."""
        return frozenset(self._running)

    def seconds(self, room_id: str) -> float:
        """How much of the room is in memory at most; 0 if it is not watched."""
        room = self._wanted.get(room_id)
        return _seconds(room) if room and room_id in self._running else 0.0

    def statuses(self, room_id: str) -> dict[str, CaptureStatus]:
        """Newest status of each camera that has one."""
        watches = self._running.get(room_id, {})
        return {key: watch.status for key, watch in watches.items() if watch.status is not None}

    def changes(self, wanted: Mapping[str, RoomConfig]) -> list[Change]:
        """What must be done so that these rooms and no others are watched as configured."""
        over = [
            room_id
            for room_id in sorted(self._running)
            if room_id not in wanted
            or _differ(wanted[room_id], self._wanted[room_id])
            or any(watch.job.lost for watch in self._running[room_id].values())
        ]
        new = [room_id for room_id in sorted(wanted) if room_id not in self._running.keys() - over]
        return [
            *(Change(room_id, 0.0) for room_id in over),
            *(Change(room_id, _seconds(wanted[room_id])) for room_id in new),
        ]

    async def carry_out(self, change: Change, wanted: Mapping[str, RoomConfig]) -> None:
        """Begin or end to watch a room."""
        if not change.seconds:
            await self._end(change.room_id)
            return
        room = wanted[change.room_id]
        self._wanted[room.id] = room
        self._running[room.id] = {
            camera.id: Watch(
                self._host, camera, change.seconds, self._segment_seconds, self._changed
            )
            for camera in room.cameras
        }

    async def freeze(self, room_id: str) -> bool:
        """A threat was reported just now: keep what is in memory; whether the room is watched."""
        watches = tuple(self._running.get(room_id, {}).values())
        await asyncio.gather(*(watch.freeze() for watch in watches))
        return bool(watches)

    def thaw(self, room_id: str) -> None:
        """What was frozen and not taken ages again."""
        for watch in self._running.get(room_id, {}).values():
            watch.thaw()

    def kept_since(self, room_id: str, camera_id: str) -> datetime | None:
        """Since when the camera's pictures are frozen in memory; None if nothing is frozen."""
        watch = self._running.get(room_id, {}).get(camera_id)
        return None if watch is None else watch.kept_since

    def hand_over(self, room_id: str) -> dict[str, Watch]:
        """The room's watches, by camera: from now on they are the meeting's."""
        self._wanted.pop(room_id, None)
        return self._running.pop(room_id, {})

    async def _end(self, room_id: str) -> None:
        await end(self.hand_over(room_id).values())

    async def stop(self) -> None:
        """End everything."""
        for room_id in tuple(self._running):
            await self._end(room_id)


async def end(watches: Iterable[Watch]) -> None:
    """Stop watching; what is in memory goes."""
    watches = tuple(watches)
    for watch in watches:
        watch.job.stop()
    if watches:
        await asyncio.wait([watch.job.over for watch in watches], timeout=_STOP_TIMEOUT_S)


def _seconds(room: RoomConfig) -> float:
    return min(room.policy.pre_roll.total_seconds(), MAX_SECONDS)


def _differ(one: RoomConfig, other: RoomConfig) -> bool:
    return one.cameras != other.cameras or one.policy.pre_roll != other.policy.pre_roll
