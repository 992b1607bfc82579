"""A few pictures a second, some shown before those that they follow: no clock was set."""

from itertools import accumulate, pairwise

import pytest

from roomwitness.capture.codecs import AccessUnit, h265
from roomwitness.capture.codecs.h264 import H264Depacketizer
from roomwitness.capture.coverage import Coverage
from roomwitness.capture.mediaclock import MediaClock
from roomwitness.capture.rtp import Track
from roomwitness.capture.segmenter import Segmenter
from roomwitness.capture.timeline import Timeline
from roomwitness.policy.words import GapCause

from .codec_kit import T, encode, push
from .memory import MemorySink
from .test_gaps import at

STEP, PICTURES = 0.2, 65
_USUAL = "scenecut=0:repeat-headers=1:bframes=3:b-adapt=0"
# Real orders of decoding; what the camera says of its pictures' order is in them.
ORDERS = {
    "plain": ("x264", f"keyint=25:min-keyint=25:{_USUAL}:b-pyramid=none"),
    "pyramid": ("x264", f"keyint=25:min-keyint=25:{_USUAL}:b-pyramid=normal"),
    "open gop": ("x265", f"keyint=12:min-keyint=1:{_USUAL}:open-gop=1:log-level=none"),
}
FILMS = {
    name: [(2 * time, nals) for time, nals in encode(codec, params, PICTURES, (160, 96))]
    for name, (codec, params) in ORDERS.items()
}


def record(name: str, *, paced: bool, first: int = 0) -> tuple[MemorySink, int]:
    """A picture is sent when it is known, or one in each 0.2 s; we come when so many were sent.

    With how many there were from the first keyframe on.
    """
    sink, film = MemorySink(), FILMS[name]
    units: list[AccessUnit] = []
    timeline = Timeline(note=sink.clock)
    coverage = Coverage(T, GapCause.CONNECTING, sink.gap)
    segmenter = Segmenter(sink, coverage, segment_seconds=5, sound=None, timeline=timeline)
    make = h265.H265Depacketizer if "265" in ORDERS[name][0] else H264Depacketizer
    packets = make(units.append)
    track = Track(96, 90000, packets)
    for time, nals in film:
        for number, nal in enumerate(nals, 1):
            push(packets, nal, time, number == len(nals))
    known = list(accumulate((time / 90000 for time, _ in film), max))
    late = max(when - n * STEP for n, when in enumerate(known))
    for number, unit in list(enumerate(units))[first:]:
        when = number * STEP + late if paced else known[number]
        segmenter.picture(unit, track, at(when + number % 3 / 1000))
    segmenter.finish(track, GapCause.RESTART)
    return sink, PICTURES - next(n for n, u in enumerate(units) if u.key and n >= first)


@pytest.mark.parametrize("name", ORDERS)
def test_they_are_deep(name: str) -> None:
    assert len(FILMS[name]) == PICTURES
    assert min(b - a for (a, _), (b, _) in pairwise(FILMS[name])) <= -0.4 * 90000


@pytest.mark.parametrize("paced", [False, True])
@pytest.mark.parametrize("name", ORDERS)
def test_each_is_recorded_and_nothing_is_missing(name: str, paced: bool) -> None:
    sink, _ = record(name, paced=paced)
    assert sum(segment.facts["frames"] for segment in sink.closed) == PICTURES
    assert sink.causes == []
    assert sink.clocks == []


@pytest.mark.parametrize("paced", [False, True])
@pytest.mark.parametrize("first", range(1, 12, 2))
@pytest.mark.parametrize("name", ORDERS)
def test_also_when_we_come_in_the_middle(name: str, first: int, paced: bool) -> None:
    sink, expected = record(name, paced=paced, first=first)
    assert sum(segment.facts["frames"] for segment in sink.closed) == expected
    assert sink.causes == [GapCause.CONNECTING]


@pytest.mark.parametrize("by", [-3600.0, -1.2])
@pytest.mark.parametrize("number", range(1, 9))
@pytest.mark.parametrize("name", ORDERS)
def test_one_that_is_set_back_is_noticed_all_the_same(name: str, number: int, by: float) -> None:
    """By more than the pictures are out of order, within as many."""
    clock, after = MediaClock(90000, lead_s=2.0), 20 + number
    film = FILMS[name]
    for n, (time, _) in enumerate(film[: after + 5]):
        set_by = by if n >= after else 0.0
        wall, ticks = at(n * STEP), round(time + set_by * 90000)
        if clock.jump(ticks, wall):
            assert n >= after
            return
        clock.observe(ticks, wall)
    pytest.fail("not noticed")
