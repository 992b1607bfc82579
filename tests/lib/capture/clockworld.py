"""A camera, a network and our own host in injected time: hours of recording in seconds."""

import random
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from roomwitness.capture.codecs import AccessUnit
from roomwitness.capture.codecs.h264 import H264Depacketizer, H264Format
from roomwitness.capture.coverage import Coverage
from roomwitness.capture.hostclock import HostClock
from roomwitness.capture.rtp import SenderReport, Track
from roomwitness.capture.segmenter import Segmenter
from roomwitness.capture.timeline import ClockEvent as ClockNote
from roomwitness.capture.timeline import Timeline
from roomwitness.policy.words import GapCause
from roomwitness.vault import ClockEvent, wall_time

from .memory import MemorySegment, MemorySink

START = datetime(2026, 10, 25, 0, 30, tzinfo=UTC)
FORM = H264Format(
    (bytes.fromhex("6742c00ad9028372e5c0440000030004000003002a3c489920"),),
    (bytes.fromhex("68cb8d4b20"),),
    in_band=True,
)
_RATE = 90000


@dataclass(frozen=True, kw_only=True)
class Weather:
    """Seconds since the start everywhere; steps are (when, by how much)."""

    seconds: float = 3600.0
    fps: float = 12.5
    gop: int = 25
    drift_ppm: float = 0.0
    offset_s: float = 0.0
    encoder_s: float = 0.03
    jitter_s: float = 0.003
    stalls: tuple[tuple[float, float], ...] = ()
    reports: bool = True
    camera_step: tuple[float, float] | None = None
    media_step: tuple[float, float] | None = None
    host_step: tuple[float, float] | None = None


@dataclass
class _Sink(MemorySink):
    """Remembers which picture each segment begins with."""

    picture: int = 0
    firsts: dict[int, int] = field(default_factory=dict)
    steps_after: list[int] = field(default_factory=list)

    def clock(self, event: ClockNote) -> None:
        super().clock(event)
        if event.kind == "host_step":
            self.steps_after.append(len(self.closed))

    def open(self, start: datetime) -> MemorySegment:
        segment = super().open(start)
        self.firsts[id(segment)] = self.picture
        return segment


@dataclass(frozen=True)
class Outcome:
    """Errors in seconds: ours (after correction), as first written, and of the camera's offset."""

    errors: list[float]
    uncorrected: list[float]
    offsets: list[float]
    sink: MemorySink
    start: datetime
    end: datetime


def _after(step: tuple[float, float] | None, at: float) -> float:
    return step[1] if step is not None and at >= step[0] else 0.0


def run(weather: Weather, seed: int = 1) -> Outcome:
    """Record through the real segmenter, then ask when each picture was taken."""
    w, chance, moment = weather, random.Random(seed), 0.0
    true = START.timestamp()
    early = w.host_step[1] if w.host_step else 0.0  # So much our clock was behind until it was set.

    def host(at: float) -> float:
        return true + at - early + _after(w.host_step, at)

    def ticks(at: float) -> int:
        return round((at * (1 + w.drift_ppm / 1e6) + _after(w.media_step, at)) * _RATE) + 12345

    def camera(at: float) -> float:
        """The camera's wall clock: its own crystal, set by hand or by NTP."""
        return true + at * (1 + w.drift_ppm / 1e6) + w.offset_s + _after(w.camera_step, at)

    clock = HostClock(lambda: host(moment), lambda: moment)
    sink = _Sink()
    began = clock()
    coverage = Coverage(began, GapCause.CONNECTING, sink.gap)
    segmenter = Segmenter(
        sink,
        coverage,
        segment_seconds=60,
        sound=None,
        timeline=Timeline(clock, sink.clock),
    )
    track = Track(96, _RATE, H264Depacketizer(lambda _unit: None))
    taken: list[float] = []
    next_report, arrived = 0.7, 0.0
    for number in range(int(w.seconds * w.fps)):
        at = number / w.fps
        taken.append(at)
        if w.reports and at >= next_report:
            moment = max(arrived, _through(w, at, chance))
            wall = datetime.fromtimestamp(camera(at), UTC)
            track.report = SenderReport(wall, ticks(at), clock())
            next_report += 5
        arrived = moment = max(arrived, moment, _through(w, at + w.encoder_s, chance))
        sink.picture = number
        unit = AccessUnit(
            ticks(at), [b"\x65"], 1, key=number % w.gop == 0, picture=True, format=FORM
        )
        segmenter.picture(unit, track, clock())
    segmenter.finish(track, GapCause.RESTART)
    coverage.finish(clock())
    return _judge(w, sink, taken, ticks, began, clock(), true)


def _through(w: Weather, at: float, chance: random.Random) -> float:
    """When what was sent ``at`` arrives."""
    held = [begin + length for begin, length in w.stalls if begin <= at < begin + length]
    return max([at, *held]) + 0.001 + chance.expovariate(1 / w.jitter_s)


def _judge(
    w: Weather,
    sink: _Sink,
    taken: list[float],
    ticks: Callable[[float], int],
    began: datetime,
    ended: datetime,
    true: float,
) -> Outcome:
    events = [
        ClockEvent(recording_id="r", at=e.at, kind=e.kind, seconds=e.seconds) for e in sink.clocks
    ]
    errors, raw, offsets = [], [], []
    for number, segment in enumerate(sink.closed):
        first = sink.firsts[id(segment)]
        row = _Row(segment.facts, sum(after <= number for after in sink.steps_after))
        pictures = taken[first : first + segment.facts["frames"]]
        for at in pictures:
            media = (ticks(at) - ticks(pictures[0])) / _RATE
            truth = datetime.fromtimestamp(true + at, UTC)
            errors.append((wall_time(row, media, events) - truth).total_seconds())
            raw.append((wall_time(row, media) - truth).total_seconds())
        known = segment.facts["clock_offset_s"]
        if known is not None:
            last = pictures[-1]
            real = last * w.drift_ppm / 1e6 + w.offset_s + _after(w.camera_step, last)
            behind = raw[-1] if w.host_step else 0.0
            if w.camera_step is None or abs(last - w.camera_step[0]) > 20:
                offsets.append(known + (behind if abs(behind) > 1 else 0.0) - real)
    return Outcome(errors, raw, offsets, sink, began, ended)


class _Row:
    def __init__(self, facts: dict[str, Any], host_steps: int) -> None:
        self.host_steps = host_steps
        self.start: datetime = facts["start"]
        self.end: datetime = facts["end"]
        self.media_seconds: float = facts["media_seconds"]


def percentile(values: list[float], share: float) -> float:
    """Of the absolute values."""
    ordered = sorted(map(abs, values))
    return ordered[min(len(ordered) - 1, int(len(ordered) * share))]


SCENES: dict[str, Weather] = {
    "quiet": Weather(),
    "camera +500 ppm": Weather(drift_ppm=500),
    "camera -500 ppm": Weather(drift_ppm=-500),
    "camera's clock set by +5 s": Weather(camera_step=(1800, 5.0), offset_s=-4.9),
    "its media clock set with it": Weather(
        camera_step=(1800, 5.0), media_step=(1800, 5.0), offset_s=-4.9
    ),
    "its media clock set back": Weather(camera_step=(1800, -5.0), media_step=(1800, -5.0)),
    "summer time ends in the camera": Weather(camera_step=(1800, -3600.0)),
    "our host set by +7 s": Weather(host_step=(1800, 7.0)),
    "our host set by -7 s": Weather(host_step=(1800, -7.0)),
    "jitter of 60 ms, stalls of 3 s": Weather(
        jitter_s=0.06, stalls=tuple((at, 3.0) for at in range(50, 3600, 200))
    ),
    "no reports, +500 ppm, jitter": Weather(reports=False, drift_ppm=500, jitter_s=0.06),
    "all at once": Weather(
        drift_ppm=-500,
        jitter_s=0.06,
        offset_s=-37.5,
        camera_step=(2700, 5.0),
        host_step=(900, 2.0),
        stalls=tuple((at, 2.0) for at in range(100, 3600, 300)),
    ),
}
