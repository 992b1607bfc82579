"""The rows of the index. Times are aware UTC datetimes, sizes bytes, durations seconds."""

from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from roomwitness.policy.words import GapCause


@dataclass(frozen=True, slots=True, kw_only=True)
class Recording:
    """What one camera delivers in one meeting; ``recipient`` is the key it is encrypted to."""

    id: str
    meeting_id: str
    camera_id: str
    recipient: str
    started: datetime
    ended: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class SegmentSummary:
    """What capture knows of a segment when it closes it."""

    start: datetime
    end: datetime
    media_seconds: float
    frames: int
    lost_packets: int
    clock_offset_s: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Segment:
    """One committed age file; ``recovered`` says that a kill cut it short and we re-sealed it."""

    id: str
    recording_id: str
    path: Path
    start: datetime
    end: datetime
    media_seconds: float
    bytes: int
    sha256: str
    frames: int
    lost_packets: int
    clock_offset_s: float | None = None
    recovered: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Gap:
    """A known missing interval."""

    recording_id: str
    start: datetime
    end: datetime
    cause: GapCause
    lost_packets: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Receipt:
    """The proof that remains of an erasure."""

    id: str
    meeting_id: str
    room_id: str
    erased_at: datetime
    method: str
    decision: str
    recordings: int
    segments: int
    bytes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Recovered:
    """A segment that a kill had left open."""

    recording_id: str
    segment_id: str
    bytes: int
