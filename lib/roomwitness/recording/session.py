"""One camera of one running meeting: the bridge from capture to the vault."""

from collections.abc import Callable
from datetime import datetime

from roomwitness.capture import CaptureStatus
from roomwitness.capture.gaps import Gap
from roomwitness.capture.timeline import ClockEvent, SegmentClock
from roomwitness.vault import ClockEvent as ClockRow
from roomwitness.vault import Gap as GapRow
from roomwitness.vault import Intake, SegmentSummary, SegmentWriter

from .messages import Clock, News, Sealed, Status


class _VaultSegment:
    """A vault segment in the shape that capture writes to."""

    def __init__(
        self,
        writer: SegmentWriter,
        among: set[SegmentWriter],
        closed: Callable[[], None],
        row: Callable[[Gap], GapRow],
    ) -> None:
        self._writer = writer
        self._among = among
        self._closed = closed
        self._row = row
        among.add(writer)

    def write(self, data: bytes) -> None:
        self._writer.write(data)

    def flush(self, start: datetime) -> None:
        self._writer.flush(start)

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
        self._among.discard(self._writer)  # What is sealed is synced by that.
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
        self._among.discard(self._writer)
        self._writer.abort()


class Session:
    """Where one job's media goes (SegmentSink). ``intake()`` gives the vault's, opened, or raises
    any ``WitnessError``."""

    def __init__(
        self,
        intake: Callable[[], Intake],
        recording_id: str,
        job: int,
        tell: Callable[[News], None],
    ) -> None:
        self._intake = intake
        self._recording_id = recording_id
        self._job = job
        self._tell = tell
        # What is being written, to be synced now and then (durable.py).
        self.writers: set[SegmentWriter] = set()

    def open(self, start: datetime) -> _VaultSegment:
        """Begin a segment."""
        writer = self._intake().segment_writer(self._recording_id, start)
        return self._segment(writer, lambda: self._tell(Sealed(job=self._job)))

    def open_metadata(self, start: datetime) -> _VaultSegment:
        """Begin a file of the camera's metadata."""
        writer = self._intake().segment_writer(self._recording_id, start, metadata=True)
        return self._segment(writer, lambda: None)

    def _segment(self, writer: SegmentWriter, closed: Callable[[], None]) -> _VaultSegment:
        return _VaultSegment(writer, self.writers, closed, self._row)

    def gap(self, gap: Gap) -> None:
        """Declare a missing interval, or move it."""
        self._intake().add_gap(self._row(gap))

    def _row(self, gap: Gap) -> GapRow:
        return GapRow(
            recording_id=self._recording_id,
            start=gap.start,
            end=gap.end,
            cause=gap.cause,
            lost_packets=gap.lost_packets,
            id=gap.id,
        )

    def clock(self, event: ClockEvent) -> None:
        """Note what a clock did, in the index now and in the custody log soon."""
        self._intake().add_clock_event(
            ClockRow(
                recording_id=self._recording_id,
                at=event.at,
                kind=event.kind,
                seconds=event.seconds,
            )
        )
        self._tell(Clock(job=self._job, event=event))

    def status(self, status: CaptureStatus) -> None:
        """Pass the recorder's newest status on."""
        self._tell(Status(job=self._job, status=status))
