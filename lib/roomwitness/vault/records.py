"""The rows of the index. Times are aware UTC datetimes, sizes bytes, durations seconds."""

import re
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from roomwitness.policy.words import GapCause

# What a file holds is told by its name, so that it is known even where its row was lost.
_METADATA = "-metadata"
_SUFFIXES = (".mp4.age", ".ndjson.age")
# What ``segment_id`` makes, and no other name: others put files into a recording's folder too.
_ID = re.compile(rf"([0-9]{{15}})-[0-9a-f]{{8}}(?:{_METADATA})?")
_LAST_MS = round(datetime.max.replace(microsecond=0, tzinfo=UTC).timestamp() * 1000)


def segment_id(start: datetime, mark: str, *, metadata: bool = False) -> str:
    """A segment's id: its start in Unix milliseconds, a random mark, and what it holds."""
    return f"{round(start.timestamp() * 1000):015d}-{mark}{_METADATA if metadata else ''}"


def file_name(identifier: str) -> str:
    """Name of a segment's file."""
    return identifier + _SUFFIXES[identifier.endswith(_METADATA)]


def segment_of(name: str) -> str | None:
    """Id of the segment whose file has this name; None if it can be none of ours."""
    for suffix in _SUFFIXES:
        identifier = name.removesuffix(suffix)
        found = _ID.fullmatch(identifier)
        if found and int(found[1]) <= _LAST_MS and file_name(identifier) == name:
            return identifier
    return None


def start_of(identifier: str) -> datetime:
    """When the segment began, as was known when it was opened: a millisecond's precision."""
    return datetime.fromtimestamp(int(identifier.partition("-")[0]) / 1000, UTC)


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
class Gap:
    """A known missing interval; one with an ``id`` may be put elsewhere later.

    One of no length in which no packet is known to be lost is none.
    """

    recording_id: str
    start: datetime
    end: datetime
    cause: GapCause
    lost_packets: int = 0
    id: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class SegmentSummary:
    """What capture knows of a segment when it closes it; ``gaps`` are to be moved with it."""

    start: datetime
    end: datetime
    media_seconds: float
    frames: int
    lost_packets: int
    clock_offset_s: float | None = None
    clock_offset_start_s: float | None = None
    drift_ppm: float | None = None
    clock_uncertainty_s: float | None = None
    clock_source: str | None = None
    gaps: tuple[Gap, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Segment:
    """One committed age file; ``recovered`` says that a kill cut it short and we re-sealed it.

    ``host_steps``: how many steps of our own clock its recording had noted when it was sealed.
    """

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
    clock_offset_start_s: float | None = None
    drift_ppm: float | None = None
    clock_uncertainty_s: float | None = None
    clock_source: str | None = None
    host_steps: int = 0
    recovered: bool = False

    @property
    def metadata(self) -> bool:
        """Whether it holds the camera's metadata: ``frames`` then counts documents."""
        return self.id.endswith(_METADATA)


@dataclass(frozen=True, slots=True, kw_only=True)
class ClockEvent:
    """A clock was set by ``seconds`` at ``at``, or the camera's first compared with ours."""

    recording_id: str
    at: datetime
    kind: str
    seconds: float


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
