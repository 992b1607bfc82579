"""A camera that gives a picture and closes, again and again, is tried ever later."""

import asyncio
import math
from datetime import UTC, datetime, timedelta
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from roomwitness.capture import Recorder, backoff

from . import scripted
from .memory import MemorySegment, MemorySink
from .scripted import FILM, OK, Ask, Script, interleaved, lines, packets
from .swift import swiftly

EPOCH = datetime(2026, 11, 2, 9, 0, tzinfo=UTC)
# Until the next try, after the first, second, third ... connection of 0.2 s; shortened by nothing.
WAITS = [0.0, *[0.5] * 6, 1.0, 2.0, 4.0, 4.8, 4.8]


def clock() -> datetime:
    return EPOCH + timedelta(seconds=asyncio.get_running_loop().time())


class Flapping(Script):
    """Sends a keyframe and closes after so many seconds, or keeps sending pictures until then."""

    def __init__(self, lives: list[float], connections: int) -> None:
        super().__init__(PLAY=self._play)
        self.lives = lives
        self.wanted, self.done = connections, asyncio.Event()
        self.came: list[float] = []
        self.left: list[float] = []

    def _play(self, ask: Ask) -> scripted.Say:
        loop, writer = asyncio.get_running_loop(), self.writers[-1]
        self.came.append(loop.time())
        if ask.connection == self.wanted:
            self.done.set()
        lives = self.lives[min(ask.connection, len(self.lives)) - 1]

        def go() -> None:
            self.left.append(loop.time())
            writer.close()

        loop.call_later(lives, go)
        sender = scripted.Sender("video")
        first = interleaved(packets(FILM[:1], sender))
        for number in range(1, int(lives)):
            later = interleaved(packets([scripted.marked(FILM[0], 10 * number)], sender))
            loop.call_later(number, writer.write, later)
        return lines(OK, ask) + first

    @property
    def waits(self) -> list[float]:
        """Seconds from each end to the next connection."""
        return [round(came - left, 1) for came, left in zip(self.came[1:], self.left, strict=False)]


async def flap(camera: Flapping, sink: MemorySink | None = None) -> None:
    await asyncio.sleep(10)
    sink = sink or MemorySink()
    async with camera:
        recorder = Recorder(camera.source(), sink, start=clock(), clock=clock, chance=lambda: 0.0)
        task = asyncio.ensure_future(recorder.run())
        async with asyncio.timeout(600):
            await camera.done.wait()
        recorder.stop()
        await task


def test_one_picture_a_connection() -> None:
    camera = Flapping([0.2], len(WAITS) + 1)
    swiftly(flap(camera))
    assert camera.waits == WAITS


def test_the_longer_they_live_the_sooner_the_next() -> None:
    camera = Flapping([3.0], 12)
    swiftly(flap(camera))
    assert camera.waits == [*WAITS[:8], 2.0, 2.0, 2.0]


def test_what_comes_after_a_steady_connection_is_tried_at_once() -> None:
    camera = Flapping([*[0.2] * 9, 20.0, 0.2, 20.0, 20.0, 0.2], 14)
    swiftly(flap(camera))
    assert camera.waits == [*WAITS[:9], 0.0, 0.5, 0.0, 0.0]


class Broken(MemorySink):
    """Takes a segment's beginning, and then nothing."""

    def open(self, start: datetime) -> MemorySegment:
        self.opened.append(MemorySegment(MemorySink(full=True), start))
        return self.opened[-1]


def test_a_disk_that_takes_nothing_is_not_tried_without_end() -> None:
    camera = Flapping([300.0], 14)
    sink = Broken()
    swiftly(flap(camera, sink))
    between = [round(b - a, 1) for a, b in pairwise(camera.came)]
    assert len(sink.opened) >= 13
    assert between[-2:] == [5.0, 5.0], "a second until it fails, then four"


@given(st.lists(st.tuples(st.floats(0, 60), st.booleans()), min_size=1, max_size=40))
def test_how_failures_are_counted(ends: list[tuple[float, bool]]) -> None:
    row, before, brief = backoff.Row(), 0, 0
    for lived, pictures in ends:
        found = row.failed(lived, pictures=pictures)
        steady = pictures and lived >= backoff.STEADY_S
        brief = 1 if steady else brief + pictures
        if steady:
            assert found == 1
        elif pictures:
            assert found == brief, "an outage's tries are forgotten, brief connections are not"
        else:
            assert found == before + 1
        assert row.cap_s == (max(0.0, backoff.STEADY_S - lived) if pictures else math.inf)
        before = found
