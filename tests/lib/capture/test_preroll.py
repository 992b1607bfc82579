"""Pre-roll: bounded in time and bytes, only in memory, and handed over without a gap."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from roomwitness.capture import Nowhere, PreRoll, Recorder, StreamSource
from roomwitness.capture.codecs import AccessUnit
from roomwitness.capture.codecs.h264 import H264Depacketizer
from roomwitness.capture.gaps import Gaps
from roomwitness.capture.hostclock import HostClock
from roomwitness.capture.preroll import MAX_SECONDS
from roomwitness.capture.rtp import Track
from roomwitness.capture.status import CaptureStatus
from roomwitness.policy.words import GapCause
from tests.camera import Camera, CameraConfig

from .memory import MemorySegment, MemorySink, SinkFailed, decode
from .test_recorder import FAST, until, utcnow

START = datetime(2026, 11, 24, tzinfo=UTC)


def track() -> Track:
    return Track(96, 90000, H264Depacketizer(lambda _unit: None))


@dataclass
class Heard:
    """In the place of a segmenter: notes what it is given."""

    items: list[tuple[str, int]]

    def picture(self, unit: AccessUnit, _track: Track, _now: datetime) -> None:
        self.items.append(("key" if unit.key else "picture", unit.time))

    def sound(self, time: int, _data: bytes, *_rest: object) -> None:
        self.items.append(("sound", time))

    def metadata(self, time: int, _data: bytes, *_rest: object) -> None:
        self.items.append(("metadata", time))


def played(ring: PreRoll) -> list[list[tuple[str, int]]]:
    runs = []
    for run in ring.take():
        heard = Heard([])
        for play in run.items:
            play(heard)  # type: ignore[arg-type]
        runs.append(heard.items)
    return runs


STEPS = st.lists(
    st.tuples(
        st.sampled_from(["key", "picture", "picture", "sound", "metadata", "connected", "trim"]),
        st.floats(0.0, 4.0),
        st.integers(0, 4000),
    ),
    max_size=60,
)


@given(STEPS, st.floats(0, 30), st.integers(1000, 20000))
@settings(max_examples=150, deadline=None)
def test_never_longer_never_larger_and_always_from_a_keyframe(
    steps: list[tuple[str, float, int]], seconds: float, most: int
) -> None:
    ring, video, audio = PreRoll(seconds, most), track(), track()
    assert ring.seconds <= MAX_SECONDS
    at, sent = 100.0, []
    for kind, pause, size in steps:
        at += pause
        now, media = START + timedelta(seconds=at), round(at * 90000)
        if kind == "connected":
            ring.connected(None)
        elif kind == "trim":
            ring.trim(at)
        elif kind == "sound":
            ring.sound(media, bytes(size), audio, video, now, at)
        elif kind == "metadata":
            ring.metadata(media, bytes(size), audio, video, now, at)
        else:
            unit = AccessUnit(media, [bytes(size)], size, key=kind == "key", picture=True)
            ring.picture(unit, video, now, at)
        if kind not in ("connected", "trim"):
            sent.append((kind, media))
        assert ring.bytes <= most
        if kind in ("trim", "key", "picture"):
            since = ring.since
            assert since is None or (now - since).total_seconds() <= ring.seconds + 1e-3
    runs = played(ring)
    for run in runs:
        assert run[0][0] == "key"
        # Two may be of one time.
        begins = [n for n, item in enumerate(sent) if item == run[0]]
        assert any(run == sent[n : n + len(run)] for n in begins), "nothing is left out in between"
    assert ring.bytes == 0
    assert ring.since is None
    assert ring.take() == []


def test_what_was_frozen_waits_and_thaws() -> None:
    ring, video = PreRoll(5.0), track()
    unit = AccessUnit(0, [b"x"], 1, key=True, picture=True)
    ring.picture(unit, video, START, 10.0)
    assert ring.freeze(14.0) == START
    ring.trim(60.0)
    assert ring.freeze(60.0) == START, "the first press counts"
    ring.thaw()
    ring.trim(60.0)
    assert ring.since is None
    assert ring.freeze(61.0) is None


def test_pictures_that_arrive_late_are_as_old_as_they_are() -> None:
    """A camera that sends what it has kept itself: their moments count, not their arrival."""
    ring, video = PreRoll(15.0), track()
    for second in range(30):
        unit = AccessUnit(second * 90000, [b"x"], 1, key=True, picture=True)
        ring.picture(unit, video, START, 50.0)
    (run,) = played(ring)
    assert [time // 90000 for _, time in run] == list(range(14, 30))


def test_a_track_is_seen_as_it_was_then() -> None:
    ring, video, seen = PreRoll(15.0), track(), []
    for lost in (0, 0, 3):
        video.lost = lost
        ring.picture(AccessUnit(0, [b"x"], 1, key=True, picture=True), video, START, 1.0)
    video.lost = 99

    class Looks:
        def picture(self, _unit: AccessUnit, then: Track, _now: datetime) -> None:
            seen.append(then)

    (run,) = ring.take()
    for play in run.items:
        play(Looks())  # type: ignore[arg-type]
    assert [then.lost for then in seen] == [0, 0, 3]
    assert seen[0] is seen[1]


def test_there_is_nowhere_to_keep_anything() -> None:
    nowhere = Nowhere(lambda _status: None)
    with pytest.raises(RuntimeError):
        nowhere.open(START)
    with pytest.raises(RuntimeError):
        nowhere.open_metadata(START)
    nowhere.gap(Gaps.new(START, START, GapCause.STALLED))


class Watched:
    """A recorder that only watches, until it is told to record."""

    def __init__(self, source: StreamSource, clock: HostClock | None = None) -> None:
        self.statuses: list[CaptureStatus] = []
        self.ring = PreRoll(MAX_SECONDS)
        self.recorder = Recorder(
            source,
            Nowhere(self.statuses.append),
            start=utcnow(),
            segment_seconds=60.0,
            timeouts=FAST,
            preroll=self.ring,
            clock=clock,
        )
        self.task = asyncio.create_task(self.recorder.run())
        self.sink = MemorySink()

    def state(self) -> str:
        return self.statuses[-1].state if self.statuses else ""

    async def kept(self, seconds: float) -> datetime:
        """Wait until so much is in memory; since when that is."""
        await until(
            lambda: self.ring.since and utcnow() - self.ring.since > timedelta(seconds=seconds)
        )
        assert self.ring.since is not None
        return self.ring.since

    async def record(self, *, keep: bool, start: datetime | None = None) -> datetime:
        since = self.ring.freeze(asyncio.get_running_loop().time()) if keep else None
        start = start or since or utcnow()
        await self.recorder.record(self.sink, start=start, cause=GapCause.CONNECTING, keep=keep)
        return start

    async def stop(self) -> None:
        self.recorder.stop()
        await asyncio.wait_for(self.task, 60)


@asynccontextmanager
async def watching(source: StreamSource, **more: Any) -> AsyncIterator[Watched]:
    found = Watched(source, **more)
    yield found
    if not found.task.done():
        await found.stop()


@pytest.fixture
async def camera() -> AsyncIterator[Camera]:
    config = CameraConfig(width=160, height=96, gop=5, metadata=True)
    async with Camera(config) as found:
        yield found


def pictures(sink: MemorySink) -> int:
    return sum(decode(s.data).frames for s in sink.closed)


async def flowing(watched: Watched, frames: int) -> None:
    await until(lambda: watched.sink.statuses and watched.sink.statuses[-1].frames >= frames)


async def test_the_seconds_before_are_recorded_on_the_same_connection(camera: Camera) -> None:
    async with watching(camera.source()) as watched:
        await watched.kept(2.0)
        await until(lambda: watched.state() == "watching")
        pressed = utcnow()
        start = await watched.record(keep=True)
        await flowing(watched, 40)
        with pytest.raises(RuntimeError, match="already"):
            await watched.record(keep=True)
        await watched.stop()
    sink = watched.sink
    assert camera.rtsp.plays == 1
    assert sink.gaps == []
    (segment,) = sink.closed
    assert pressed - segment.start > timedelta(seconds=1.9)
    assert abs(segment.start - start) < timedelta(seconds=0.3)
    found = decode(segment.data)
    assert found.first_is_key
    assert found.sounds > 20
    assert found.frames == segment.facts["frames"] >= 40
    assert found.seconds == pytest.approx((found.frames - 1) / 10, abs=0.01), (
        "no picture is missing"
    )
    assert segment.facts["clock_offset_s"] == pytest.approx(0, abs=0.3)
    assert len(sink.metadata) == 1
    assert sink.uncovered(start, segment.end) < timedelta(seconds=0.05)


async def test_an_ordinary_start_has_nothing_from_before(camera: Camera) -> None:
    async with watching(camera.source()) as watched:
        await watched.kept(1.0)
        start = await watched.record(keep=False)
        assert watched.ring.bytes == 0
        await flowing(watched, 5)
        await watched.stop()
    assert camera.rtsp.plays == 1
    (segment,) = watched.sink.closed
    assert segment.start > start - timedelta(seconds=0.1), "what came in after the start"
    assert decode(segment.data).first_is_key


async def test_a_cut_cable_leaves_what_came_before_it(camera: Camera) -> None:
    """Whoever threatens may pull the plug first."""
    async with watching(camera.source()) as watched:
        await watched.kept(1.5)
        await camera.fault("refuse_rtsp")
        await until(lambda: watched.state() == "failed")
        start = await watched.record(keep=True)
        await until(lambda: watched.sink.closed)
        assert watched.sink.statuses[-1].error_key == "camera_unreachable"
        assert pictures(watched.sink) >= 10
        await camera.fault("accept_rtsp")
        await flowing(watched, 20)
        await watched.stop()
    sink = watched.sink
    assert len(sink.closed) == 2
    assert sink.uncovered(start, sink.closed[-1].end) < timedelta(seconds=0.2)
    assert set(sink.causes) <= {GapCause.CONNECTION_LOST, GapCause.CAMERA_UNREACHABLE}
    assert sink.statuses[-1].state == "recording"


async def test_two_connections_in_memory_are_two_segments(camera: Camera) -> None:
    async with watching(camera.source()) as watched:
        await watched.kept(1.0)
        first = watched.ring.connection
        await camera.fault("drop")
        await until(lambda: watched.ring.connection > first and camera.rtsp.plays == 2)
        await until(lambda: len(watched.ring._groups) and watched.ring._groups[-1][0] > first)
        start = await watched.record(keep=True)
        await flowing(watched, 5)
        await watched.stop()
    sink = watched.sink
    assert len(sink.closed) == 2
    assert sink.uncovered(start, sink.closed[-1].end) < timedelta(seconds=0.2)


async def test_one_broken_run_does_not_stop_the_recording(camera: Camera) -> None:
    async with watching(camera.source()) as watched:
        await watched.kept(0.8)
        first = watched.ring.connection
        await camera.fault("drop")
        await until(lambda: watched.ring._groups and watched.ring._groups[-1][0] > first)
        opened = watched.sink.open

        def fails_once(start: datetime) -> MemorySegment:
            del watched.sink.open
            raise SinkFailed

        watched.sink.open = fails_once  # type: ignore[method-assign]
        start = await watched.record(keep=True)
        assert watched.sink.open == opened
        await flowing(watched, 5)
        await watched.stop()
    assert watched.sink.gaps[0][2] is GapCause.DISK_FULL
    assert watched.sink.uncovered(start, watched.sink.closed[-1].end) < timedelta(seconds=0.2)
    assert watched.sink.statuses[-1].state == "recording"


@pytest.mark.parametrize("cut", [False, True], ids=["connected", "cut"])
async def test_a_full_disk_is_told_and_tried_again(camera: Camera, *, cut: bool) -> None:
    async with watching(camera.source()) as watched:
        await watched.kept(0.8)
        if cut:
            await camera.fault("refuse_rtsp")
            await until(lambda: watched.state() == "failed")
        watched.sink.full = True
        await watched.record(keep=True)
        await until(lambda: "vault_full" in watched.sink.errors)
        watched.sink.full = False
        if cut:
            await camera.fault("accept_rtsp")
        await flowing(watched, 5)
        await watched.stop()
    assert pictures(watched.sink) >= 5
    assert GapCause.DISK_FULL in watched.sink.causes


async def test_what_is_old_goes_while_the_camera_is_silent(camera: Camera) -> None:
    async with watching(camera.source()) as watched:
        watched.ring.seconds = 1.0
        await until(lambda: watched.ring.since)
        await camera.fault("stall", True)
        await until(lambda: watched.ring.since is None)
        assert watched.ring.bytes == 0
        await camera.fault("stall", False)
        await until(lambda: watched.ring.since)
        await watched.stop()
        assert watched.ring.bytes == 0, "nothing outlives the watch"


async def test_a_clock_that_is_set_empties_the_memory(camera: Camera) -> None:
    step = 0.0
    wall: Callable[[], float] = lambda: datetime.now(UTC).timestamp() + step  # noqa: E731
    async with watching(camera.source(), clock=HostClock(wall)) as watched:
        await until(lambda: watched.ring.since)
        step = -3600.0
        limit = utcnow() - timedelta(minutes=30)
        await until(lambda: watched.ring.since and watched.ring.since < limit)
