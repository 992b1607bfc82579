"""The camera sessions of every running meeting: started, watched and ended together."""

import asyncio
from collections import deque
from collections.abc import Callable, Iterable, Mapping, Set
from dataclasses import dataclass

from roomwitness.capture import CaptureStatus
from roomwitness.capture.timeline import ClockEvent
from roomwitness.recording.host import RecordingHost

from .config import CameraConfig
from .recordings import Place
from .session import CameraSession
from .watches import Watch

_STOP_TIMEOUT_S = 10.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Begun:
    """A camera to record now, and where: the ledger's answer."""

    camera: CameraConfig
    place: Place


class Sessions:
    """Camera sessions by meeting."""

    def __init__(
        self, host: RecordingHost, segment_seconds: float, changed: Callable[[], None]
    ) -> None:
        self._host = host
        self._segment_seconds = segment_seconds
        self._changed = changed
        self._running: dict[str, list[CameraSession]] = {}
        self._cameras: dict[str, tuple[CameraConfig, ...]] = {}
        # What clocks did, each with its recording's id; it outlives the session that noticed it.
        self.clock_events: deque[tuple[str, ClockEvent]] = deque()

    @property
    def meetings(self) -> frozenset[str]:
        """Ids of the meetings that are being recorded."""
        return frozenset(self._running)

    def cameras(self, meeting_id: str) -> tuple[CameraConfig, ...]:
        """What is being recorded, as it was configured then."""
        return self._cameras.get(meeting_id, ())

    @property
    def lost(self) -> list[str]:
        """Ids of the meetings with a camera whose recording process was lost."""
        return [m for m, running in self._running.items() if any(s.job.lost for s in running)]

    @property
    def losses(self) -> int:
        """How often the recording process died with work that it had."""
        return self._host.losses

    def statuses(self, meeting_id: str) -> dict[str, CaptureStatus]:
        """Newest status of each camera that has one, by camera id."""
        return {
            s.camera_id: s.status_now
            for s in self._running.get(meeting_id, ())
            if s.status_now is not None
        }

    def sealed(self, meeting_id: str) -> int:
        """Segments sealed so far, of this run."""
        return sum(s.segments for s in self._running.get(meeting_id, ()))

    def begin(
        self, meeting_id: str, begun: list[Begun], watches: Mapping[str, Watch] | None = None
    ) -> None:
        """Start recording every camera of the meeting, on its watch's connection if it has one."""
        watches = watches or {}
        self._running[meeting_id] = [
            CameraSession(
                host=self._host,
                recording_id=item.place.recording.id,
                camera_id=item.camera.id,
                source=item.camera.source,
                start=item.place.since,
                cause=item.place.cause,
                segment_seconds=self._segment_seconds,
                changed=self._changed,
                clock_noted=lambda *noted: self.clock_events.append(noted),
                watch=watches.get(item.camera.id),
            )
            for item in begun
        ]
        self._cameras[meeting_id] = tuple(item.camera for item in begun)

    def change(self, cameras: Iterable[CameraConfig]) -> None:
        """Take these cameras as they are configured now; what delivers is not interrupted."""
        sources = {camera.id: camera.source for camera in cameras}
        for session in (s for running in self._running.values() for s in running):
            if session.camera_id in sources:
                session.job.change(sources[session.camera_id])

    def make_durable(self, meetings: Set[str]) -> None:
        """What is recorded of these meetings survives a power cut as it comes; of others it need
        not."""
        for meeting_id, running in self._running.items():
            for session in running:
                session.make_durable(meeting_id in meetings)

    async def end(self, meeting_id: str) -> None:
        """Seal what is open and end."""
        sessions = self._running.pop(meeting_id, [])
        self._cameras.pop(meeting_id, None)
        for session in sessions:
            session.job.stop()
        if sessions:
            await asyncio.wait([s.job.over for s in sessions], timeout=_STOP_TIMEOUT_S)
