"""One camera of one running meeting: the bridge from capture's thread to the vault."""

from collections.abc import Callable
from concurrent.futures import Future
from datetime import datetime

from roomwitness.capture import CaptureHost, CaptureStatus, Recorder, StreamSource
from roomwitness.capture.gaps import Gap
from roomwitness.capture.timeline import ClockEvent, SegmentClock
from roomwitness.policy.words import GapCause
from roomwitness.vault import ClockEvent as ClockRow
from roomwitness.vault import Gap as GapRow
from roomwitness.vault import SegmentSummary, SegmentWriter, Vault

from .watches import Watch


class _VaultSegment:
    """A vault segment in the shape that capture writes to."""

    def __init__(
        self, writer: SegmentWriter, closed: Callable[[], None], row: Callable[[Gap], GapRow]
    ) -> None:
        self._writer = writer
        self._closed = closed
        self._row = row

    def write(self, data: bytes) -> None:
        self._writer.write(data)

    def flush(self) -> None:
        self._writer.flush()

    def close(
        self,
        *,
        start: datetime,
        end: datetime,
        media_seconds: float,
        frames: int,
        lost_packets: int,
        clock_offset_s: float | None,
        clock: SegmentClock,
        gaps: tuple[Gap, ...],
    ) -> None:
        self._writer.close(
            SegmentSummary(
                start=start,
                end=end,
                media_seconds=media_seconds,
                frames=frames,
                lost_packets=lost_packets,
                clock_offset_s=clock_offset_s,
                clock_offset_start_s=clock.offset_start_s,
                drift_ppm=clock.drift_ppm,
                clock_uncertainty_s=clock.uncertainty_s,
                clock_source=clock.source,
                gaps=tuple(map(self._row, gaps)),
            )
        )
        self._closed()

    def abort(self) -> None:
        self._writer.abort()


class CameraSession:
    """Records one camera into one recording; all callbacks run in capture's thread."""

    def __init__(
        self,
        *,
        vault: Vault,
        host: CaptureHost,
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
        self.status_now: CaptureStatus | None = None
        self.segments = 0
        self._vault = vault
        self._host = host
        self._changed = changed
        self._clock_noted = clock_noted
        self._start, self._cause, self._watch = start, cause, watch
        self._recorder = (
            Recorder(source, self, segment_seconds=segment_seconds, start=start, cause=cause)
            if watch is None
            else watch.recorder
        )
        self._future: Future[None] | None = None

    def run(self) -> None:
        """Start recording in the capture thread; on a watch's connection if there is one."""
        watch = self._watch
        if watch is None:
            self._future = self._host.submit(self._recorder.run())
            return
        self._future = watch.task
        self._host.submit(
            self._recorder.record(
                self,
                start=self._start,
                cause=self._cause,
                keep=watch.frozen,
            )
        )

    @property
    def task(self) -> Future[None] | None:
        """The recorder's run, so that its end can be awaited."""
        return self._future

    def request_stop(self) -> None:
        """Ask the recorder to seal its open segment and end; safe from any thread."""
        self._recorder.stop()

    def change(self, source: StreamSource) -> None:
        """The camera was put right: its next connection is made so."""
        self._recorder.change(source)

    def open(self, start: datetime) -> _VaultSegment:
        """Begin a segment (SegmentSink)."""
        writer = self._vault.segment_writer(self.recording_id, start)
        return _VaultSegment(writer, self._count, self._row)

    def open_metadata(self, start: datetime) -> _VaultSegment:
        """Begin a file of the camera's metadata (SegmentSink)."""
        writer = self._vault.segment_writer(self.recording_id, start, metadata=True)
        return _VaultSegment(writer, lambda: None, self._row)

    def gap(self, gap: Gap) -> None:
        """Declare a missing interval, or move it (SegmentSink)."""
        self._vault.add_gap(self._row(gap))

    def _row(self, gap: Gap) -> GapRow:
        return GapRow(
            recording_id=self.recording_id,
            start=gap.start,
            end=gap.end,
            cause=gap.cause,
            lost_packets=gap.lost_packets,
            id=gap.id,
        )

    def clock(self, event: ClockEvent) -> None:
        """Note what a clock did, in the index now and in the custody log soon (SegmentSink)."""
        self._vault.add_clock_event(
            ClockRow(
                recording_id=self.recording_id,
                at=event.at,
                kind=event.kind,
                seconds=event.seconds,
            )
        )
        self._clock_noted(self.recording_id, event)

    def status(self, status: CaptureStatus) -> None:
        """Take the recorder's newest status (SegmentSink)."""
        before = self.status_now
        self.status_now = status
        if before is None or _news(before) != _news(status):
            self._changed()

    def _count(self) -> None:
        self.segments += 1
        self._changed()


def _news(status: CaptureStatus) -> tuple[str | None, ...]:
    """What the face must hear of at once."""
    return status.state, status.error_key, status.sound_refused
