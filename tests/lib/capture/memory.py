"""A sink in memory, and what to ask of the media in it."""

import io
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

import av

from roomwitness.capture import CaptureStatus
from roomwitness.capture.gaps import Gap
from roomwitness.capture.timeline import ClockEvent
from roomwitness.errors import WitnessError
from roomwitness.policy.words import GapCause

_SOUND_ONLY = {GapCause.SOUND_LOSS, GapCause.SOUND_STALLED}


class SinkFailed(WitnessError):
    key = "vault_full"


@dataclass
class MemorySegment:
    sink: MemorySink
    start: datetime
    data: bytearray = field(default_factory=bytearray)
    flushed: int = 0
    facts: dict[str, Any] = field(default_factory=dict)
    aborted: bool = False

    def __post_init__(self) -> None:
        self.opened = self.start  # What was thought then; ``start`` is what was flushed last.

    def write(self, data: bytes) -> None:
        if self.sink.full:
            raise SinkFailed
        self.data += data

    def flush(self, start: datetime) -> None:
        self.flushed, self.start = len(self.data), start

    def close(self, **facts: Any) -> None:
        self.facts = facts
        for gap in facts["gaps"]:
            self.sink.gap(gap)
        self.sink.closed.append(self)

    def abort(self) -> None:
        self.aborted = True

    @property
    def end(self) -> datetime:
        found: datetime = self.facts["end"]
        return found


@dataclass
class MetadataSink:
    closed: list[MemorySegment]
    full: bool = False


@dataclass
class MemorySink:
    full: bool = False
    opened: list[MemorySegment] = field(default_factory=list)
    closed: list[MemorySegment] = field(default_factory=list)
    beside: list[MemorySegment] = field(default_factory=list)
    metadata: list[MemorySegment] = field(default_factory=list)
    declared: dict[str, Gap] = field(default_factory=dict)
    statuses: list[CaptureStatus] = field(default_factory=list)
    clocks: list[ClockEvent] = field(default_factory=list)

    def open(self, start: datetime) -> MemorySegment:
        if self.full:
            raise SinkFailed
        segment = MemorySegment(self, start)
        self.opened.append(segment)
        return segment

    def open_metadata(self, start: datetime) -> MemorySegment:
        self.beside.append(MemorySegment(MetadataSink(self.metadata), start))  # type: ignore[arg-type]
        return self.beside[-1]

    def gap(self, gap: Gap) -> None:
        if self.full:
            raise SinkFailed
        self.declared[gap.id] = gap

    @property
    def gaps(self) -> list[tuple[datetime, datetime, GapCause, int]]:
        """As they are known to be by now, in the order in which they were declared."""
        return [
            (g.start, g.end, g.cause, g.lost_packets)
            for g in self.declared.values()
            if g.end > g.start or g.lost_packets
        ]

    def clock(self, event: ClockEvent) -> None:
        self.clocks.append(event)

    def status(self, status: CaptureStatus) -> None:
        self.statuses.append(status)

    @property
    def causes(self) -> list[GapCause]:
        return [cause for _, _, cause, _ in self.gaps]

    @property
    def errors(self) -> list[str]:
        keys = [s.error_key for s in self.statuses if s.error_key]
        return [key for i, key in enumerate(keys) if i == 0 or keys[i - 1] != key]

    def uncovered(self, start: datetime, end: datetime) -> timedelta:
        """How much of the time neither a segment nor a gap accounts for."""
        spans = [(s.facts.get("start", s.start), s.end) for s in self.closed]
        spans += [(a, b) for a, b, cause, _ in self.gaps if cause not in _SOUND_ONLY]
        missing, at = timedelta(0), start
        for begin, stop in sorted(spans):
            missing += max(timedelta(0), min(begin, end) - at)
            at = max(at, stop)
        return missing + max(timedelta(0), end - at)


@dataclass(frozen=True)
class Decoded:
    frames: int
    sounds: int
    size: tuple[int, int]
    seconds: float
    first_is_key: bool


def decode(data: bytes | bytearray) -> Decoded:
    """Decode everything; PyAV raises if anything is broken."""
    with av.open(io.BytesIO(data)) as container:
        pictures = list(container.decode(video=0))
    sounds = 0
    with av.open(io.BytesIO(data)) as container:
        if container.streams.audio:
            sounds = sum(1 for _ in container.decode(audio=0))
    times = [p.time for p in pictures]
    assert times == sorted(times)
    first = pictures[0]
    span = times[-1] - times[0] if len(times) > 1 else 0.0
    return Decoded(len(pictures), sounds, (first.width, first.height), span, bool(first.key_frame))
