"""What a read brought is on the disk at its end, but for the picture that came last."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from roomwitness.capture.codecs import AccessUnit
from roomwitness.capture.codecs.h264 import H264Depacketizer
from roomwitness.capture.coverage import Coverage
from roomwitness.capture.rtp import Track
from roomwitness.capture.segmenter import Segmenter
from roomwitness.capture.together import begun, ordinary
from roomwitness.policy.words import GapCause

from .clockworld import FORM
from .memory import MemorySegment, MemorySink

T = datetime(2026, 11, 2, 9, 0, tzinfo=UTC)


def unit(time: int, *, key: bool = False, damaged: bool = False) -> AccessUnit:
    data = time.to_bytes(8)
    return AccessUnit(time, [data], len(data), key=key, picture=True, format=FORM, damaged=damaged)


class Reads:
    """Reads that bring pictures of these times."""

    def __init__(self) -> None:
        self.sink = MemorySink()
        coverage = Coverage(T, GapCause.CONNECTING, self.sink.gap)
        self.track = Track(96, 90000, H264Depacketizer(lambda _unit: None))
        self.segmenter = Segmenter(self.sink, coverage, segment_seconds=60, sound=None)

    def read(self, times: Sequence[int]) -> None:
        units = [unit(time, key=time == 0) for time in times]
        now = T + timedelta(seconds=max(times) / 90000)
        self.segmenter.pictures(units, self.track, now)
        self.segmenter.flush()

    @property
    def segment(self) -> MemorySegment:
        return self.sink.opened[0]

    def kept(self, times: Sequence[int]) -> list[bool]:
        """Which of them a kill would leave."""
        flushed = bytes(self.segment.data[: self.segment.flushed])
        return [time.to_bytes(8) in flushed for time in times]


@pytest.mark.parametrize("fps", [4, 10, 25, 60])
def test_a_kill_costs_the_picture_that_came_last_and_no_other(fps: int) -> None:
    reads, step = Reads(), 90000 // fps
    together = 0.7 * fps
    times = [number * step for number in range(10 * fps)]
    for number in range(14):
        came = times[round(number * together) : round((number + 1) * together)]
        reads.read(came)
        seen = times[: round((number + 1) * together)]
        assert reads.kept(seen) == [True] * (len(seen) - 1) + [False]


def test_b_pictures_wait_for_those_that_are_shown_before_them() -> None:
    reads = Reads()
    order = [0]
    for group in range(1, 20):
        last = group * 3 * 3600
        order += [last, last - 7200, last - 3600]
    reads.read(order[:40])
    kept = reads.kept(order[:40])
    begins = begun([unit(time) for time in order[:40]])
    assert kept == [place < begins for place in range(40)]
    reads.read(order[40:])
    assert all(reads.kept(order[:begins]))


def test_hardly_anything_is_worth_no_flush() -> None:
    reads = Reads()
    for number in range(8):
        reads.read([number * 3600])
    assert not any(reads.kept([number * 3600 for number in range(8)]))
    reads.read([8 * 3600])
    assert sum(reads.kept([number * 3600 for number in range(9)])) == 8


def test_what_is_out_of_the_ordinary_is_looked_at() -> None:
    plain = [unit(time) for time in (3600, 7200, 10800)]
    assert ordinary(plain, 0, 0) == 3
    assert ordinary(plain, 1, 3600) == 3
    assert ordinary([*plain, unit(14400, key=True), unit(18000)], 0, 0) == 3
    assert ordinary([*plain, unit(14400, damaged=True)], 0, 0) == 3
    assert ordinary([*plain, unit(10800)], 0, 0) == 3, "shown at the same time"
    assert ordinary([*plain, unit(7201)], 0, 0) == 3, "shown before it"
    assert ordinary([*plain, unit(10800 + 45001)], 0, 0) == 3, "as long as a silence"
    assert ordinary([*plain, unit(10800 + 45000)], 0, 0) == 4
    assert ordinary(plain, 0, 3600) == 0
    assert ordinary([], 0, 0) == 0


@given(st.lists(st.integers(0, 50), min_size=1))
def test_all_before_the_place_are_shown_before_it(times: list[int]) -> None:
    place = begun([unit(time) for time in times])
    assert all(time < times[place] for time in times[:place])
    assert all(time <= times[place] for time in times[place:])
