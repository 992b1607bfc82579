"""One camera of one running meeting, as the conductor knows it."""

from collections.abc import Callable
from datetime import datetime

from roomwitness.capture import CaptureStatus, StreamSource
from roomwitness.capture.timeline import ClockEvent
from roomwitness.policy.words import GapCause
from roomwitness.recording.errors import RecorderLost
from roomwitness.recording.host import Job, RecordingHost
from roomwitness.recording.messages import Clock, News, Status

from .watches import Watch

_LOST = CaptureStatus(state="failed", error_key=RecorderLost.key)


class CameraSession:
    """Records one camera into one recording, on a watch's connection if there is one."""

    def __init__(
        self,
        *,
        host: RecordingHost,
        recording_id: str,
        camera_id: str,
        source: StreamSource,
        start: datetime,
        cause: GapCause,
        segment_seconds: float,
        changed: Callable[[], None],
        clock_noted: Callable[[str, ClockEvent], None],
        watch: Watch | None = None,
    ) -> None:
        self.recording_id = recording_id
        self.camera_id = camera_id
        self.segments = 0
        self._durable = False
        self._status: CaptureStatus | None = None
        self._changed = changed
        self._clock_noted = clock_noted
        if watch is None:
            self.job: Job = host.record(
                self._told,
                recording_id=recording_id,
                source=source,
                start=start,
                cause=cause,
                segment_seconds=segment_seconds,
            )
        else:
            self.job = watch.job
            watch.job.take(
                self._told, recording_id=recording_id, start=start, cause=cause, keep=watch.frozen
            )

    def make_durable(self, durable: bool) -> None:
        """Whether what is recorded survives a power cut as it comes."""
        if durable is not self._durable:
            self._durable = durable
            self.job.make_durable(durable)

    @property
    def status_now(self) -> CaptureStatus | None:
        """The newest; None until there is one."""
        return _LOST if self.job.lost else self._status

    def _told(self, news: News) -> None:
        match news:
            case Status():
                before, self._status = self._status, news.status
                if before is None or _news(before) != _news(news.status):
                    self._changed()
            case Clock():
                self._clock_noted(self.recording_id, news.event)
            case _:
                self.segments += 1
                self._changed()


def _news(status: CaptureStatus) -> tuple[str | None, ...]:
    """What the face must hear of at once."""
    return status.state, status.error_key, status.sound_refused, status.sound_missing
