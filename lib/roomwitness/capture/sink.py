"""Where media goes. Capture knows no vault: the conductor gives it something of this shape."""

from datetime import datetime
from typing import Protocol

from .gaps import Gap
from .status import CaptureStatus
from .timeline import ClockEvent, SegmentClock


class SegmentOut(Protocol):
    """One open segment; may raise any ``WitnessError`` when the disk fails."""

    def write(self, data: bytes) -> None:
        """Take media."""
        ...

    def flush(self, start: datetime) -> None:
        """Make what was written survive a kill; it began at ``start``, as is known by now."""
        ...

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
        """Seal and list the segment, and with it put ``gaps`` where they are known to be by now."""
        ...

    def abort(self) -> None:
        """Let go of it after a failure; what was flushed stays."""
        ...


class SegmentSink(Protocol):
    """Takes a recording's segments, gaps and status; called in capture's event loop."""

    def open(self, start: datetime) -> SegmentOut:
        """Begin a segment."""
        ...

    def open_metadata(self, start: datetime) -> SegmentOut:
        """Begin a file of the camera's metadata beside a segment."""
        ...

    def gap(self, gap: Gap) -> None:
        """Declare a missing interval; it replaces what was declared with its id."""
        ...

    def clock(self, event: ClockEvent) -> None:
        """Note what a clock did."""
        ...

    def status(self, status: CaptureStatus) -> None:
        """Take the newest status."""
        ...
