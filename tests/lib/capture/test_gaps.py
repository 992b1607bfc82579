"""Gaps are declared at once, and lie where their pictures are when the segment is sealed."""

import io
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta

import av
import pytest
from hypothesis import given
from hypothesis import strategies as st

from roomwitness.capture import sdp
from roomwitness.capture.codecs import AccessUnit, sound_codec
from roomwitness.capture.codecs.h264 import H264Depacketizer
from roomwitness.capture.coverage import Coverage
from roomwitness.capture.gaps import Gap, Gaps, OpenGaps
from roomwitness.capture.mediaclock import MediaClock
from roomwitness.capture.rtp import Track
from roomwitness.capture.segmenter import Segmenter
from roomwitness.policy.words import GapCause
from tests.camera.faulty import Fault
from tests.camera.media import Unit

from .clockworld import FORM
from .memory import MemorySegment, MemorySink, SinkFailed
from .scripted import joined
from .test_faults import FPS, Outcome, at_of, record

T = datetime(2026, 11, 2, 9, 0, tzinfo=UTC)
PICTURE = timedelta(seconds=1 / FPS)
_ROUNDING = timedelta(milliseconds=2)


def at(seconds: float) -> datetime:
    return T + timedelta(seconds=seconds)


def fits(outcome: Outcome) -> None:
    """Pictures are said to be of their moment; a loss is between its neighbours, to a picture."""
    recorded = outcome.recorded()
    there = {data: when for when, data in recorded}
    sent = outcome.camera.film.sent
    for unit in sent:
        if (when := there.get(joined(unit))) is not None:
            assert abs(when - at_of(unit)) <= PICTURE
    losses = [g for g in outcome.sink.gaps if g[2] is GapCause.PACKET_LOSS]
    for run in _missing(sent, lambda unit: joined(unit) in there, min(there.values()), outcome.end):
        assert any(
            abs(begin - at_of(run[0])) <= 2 * PICTURE and abs(stop - at_of(run[-1])) <= 2 * PICTURE
            for begin, stop, _, _ in losses
        ), [(begin - T, stop - T) for begin, stop, _, _ in losses]


def _missing(
    sent: Sequence[Unit], there: Callable[[Unit], bool], begin: datetime, end: datetime
) -> list[list[Unit]]:
    """Runs of pictures that are not recorded, but for those on their way at either end."""
    runs: list[list[Unit]] = [[]]
    for unit in sent:
        if there(unit):
            runs.append([])
        elif begin <= at_of(unit) < end - 5 * PICTURE:
            runs[-1].append(unit)
    return [run for run in runs if run]


@pytest.mark.parametrize("seconds", [0.5, 1.0, 1.5])
def test_a_slow_start_with_a_loss_in_it(seconds: float) -> None:
    """What was sent meanwhile comes at once: only then is it known when it was sent."""
    outcome = record([Fault("delay", 0.0, seconds=seconds), Fault("drop", 0.4, count=20)], 8)
    outcome.prove()
    assert {GapCause.PACKET_LOSS, GapCause.DAMAGED} <= set(outcome.sink.causes)
    first = outcome.sink.closed[0]
    assert first.opened - first.facts["start"] > timedelta(seconds=seconds - 0.4)
    fits(outcome)
    (opening,) = [g for g in outcome.sink.gaps if g[2] is GapCause.CONNECTING]
    assert opening[:2] == (outcome.start, first.facts["start"])


def test_a_burst_at_the_start_in_which_much_is_lost_is_no_step_of_the_cameras_clock() -> None:
    outcome = record([Fault("delay", 0.0, seconds=1.8), Fault("drop", 0.4, count=170)], 8)
    outcome.prove()
    (loss,) = [g for g in outcome.sink.gaps if g[2] is GapCause.PACKET_LOSS]
    assert loss[1] - loss[0] > timedelta(seconds=0.7)
    assert GapCause.STREAM_CHANGED not in outcome.sink.causes
    assert "media_step" not in {event.kind for event in outcome.sink.clocks}
    fits(outcome)


@dataclass
class World:
    """Pictures that arrive late, into a segmenter; its disk may be full."""

    sink: MemorySink = field(default_factory=MemorySink)

    def __post_init__(self) -> None:
        self.coverage = Coverage(T, GapCause.CONNECTING, self.sink.gap)
        self.track = Track(96, 90000, H264Depacketizer(lambda _unit: None))
        self.segmenter = Segmenter(self.sink, self.coverage, segment_seconds=60, sound=None)

    def picture(self, moment: float, arrived: float, *, key: bool = False, lost: int = 0) -> None:
        self.track.lost += lost
        unit = AccessUnit(round(moment * 90000), [b"\x65"], 1, key=key, picture=True, format=FORM)
        self.segmenter.picture(unit, self.track, at(arrived))

    def only(self, cause: GapCause) -> tuple[datetime, datetime]:
        ((start, end),) = [(a, b) for a, b, why, _ in self.sink.gaps if why is cause]
        return start, end


def near(times: tuple[datetime, datetime], start: float, end: float) -> bool:
    return all(abs(a - at(b)) <= _ROUNDING for a, b in zip(times, (start, end), strict=True))


def test_a_gap_is_on_the_disk_at_once_and_moves_with_what_a_kill_would_leave() -> None:
    world = World()
    world.picture(0.0, 2.0, key=True)  # Two seconds late.
    world.picture(0.2, 2.0)
    world.picture(0.4, 2.0, lost=7)
    # A kill now leaves a segment that begins when it was opened: two seconds late, all of it.
    assert near(world.only(GapCause.PACKET_LOSS), 2.0, 2.4)
    assert near(world.only(GapCause.CONNECTING), 0.0, 2.0)
    world.picture(0.8, 2.0)
    # Flushed, and by now it is known that the first came 1.2 seconds late or more.
    assert abs(world.sink.opened[0].start - at(1.2)) <= _ROUNDING
    assert near(world.only(GapCause.PACKET_LOSS), 1.2, 1.6)
    assert near(world.only(GapCause.CONNECTING), 0.0, 1.2)
    for moment in (1.0, 1.2, 1.4, 1.6, 1.8, 2.0, 2.2):
        world.picture(moment, max(2.0, moment))
    # All that is flushed and refers to what was lost is declared, whether or not it goes on.
    assert world.sink.opened[0].flushed == len(world.sink.opened[0].data)
    assert near(world.only(GapCause.DAMAGED), 0.4, 2.0)
    assert abs(world.sink.opened[0].start - at(0)) <= _ROUNDING
    assert GapCause.CONNECTING not in world.sink.causes, "it began at once"
    world.picture(2.4, 2.4, key=True)
    world.picture(2.6, 2.6)
    world.segmenter.finish(world.track, GapCause.RESTART)
    facts = world.sink.closed[0].facts
    assert abs(facts["start"] - at(0)) <= _ROUNDING
    assert near(world.only(GapCause.PACKET_LOSS), 0.0, 0.4)
    assert near(world.only(GapCause.DAMAGED), 0.4, 2.4)
    assert world.sink.causes == [GapCause.PACKET_LOSS, GapCause.DAMAGED]


@pytest.mark.parametrize(
    ("pictures", "jump"),
    [
        (((0.0, 2.0),), 10.0),  # Who can tell, so early?
        (((0.0, 2.0), (0.1, 2.0), (0.2, 2.01)), 10.0),
        (((0.0, 2.0), (0.1, 2.0), (0.05, 2.0), (0.2, 2.01)), 10.0),
    ],
)
def test_a_jump_in_the_burst_at_the_start_is_what_was_lost(
    pictures: tuple[tuple[float, float], ...], jump: float
) -> None:
    def after(jump: float, *more: tuple[float, float]) -> float:
        clock = MediaClock(90000)
        for moment, arrived in (*pictures, *more):
            clock.observe(round(moment * 90000), at(arrived))
        moment, arrived = (more or pictures)[-1]
        return clock.jump(round((moment + jump) * 90000), at(arrived + 0.01))

    assert after(jump) == 0.0
    assert after(20.0) == pytest.approx(20, abs=0.3), "nothing holds back so much"
    on_time = ((0.3, 2.11), (0.4, 2.21))
    assert after(jump, *on_time) == pytest.approx(10, abs=0.3), "the burst is over"


def test_a_silence_moves_too() -> None:
    world = World()
    for moment, arrived in ((0.0, 2.0), (0.2, 2.0), (0.4, 2.0), (1.8, 3.6), (2.0, 3.6), (2.2, 2.2)):
        world.picture(moment, arrived, key=moment == 0.0)
    assert near(world.only(GapCause.STALLED), 2.2, 3.4)
    world.segmenter.finish(world.track, GapCause.RESTART)
    assert near(world.only(GapCause.STALLED), 0.6, 1.8)


def test_lost_sound_lies_beside_the_pictures_that_it_belongs_to() -> None:
    world = World()
    sound = Track(97, 16000, H264Depacketizer(lambda _unit: None))
    world.picture(0.0, 2.0, key=True)
    for number in (0, 1, 2, 8, 9):
        if number == 8:
            sound.lost += 5
        world.segmenter.sound(number * 1600, b"s", sound, world.track, at(2.0))
    assert near(world.only(GapCause.SOUND_LOSS), 2.2, 2.8)
    for moment in (0.5, 1.0, 1.5, 2.0, 2.5):
        world.picture(moment, max(2.0, moment))
    assert near(world.only(GapCause.SOUND_LOSS), 0.2, 0.8)
    world.segmenter.finish(world.track, GapCause.RESTART)
    assert near(world.only(GapCause.SOUND_LOSS), 0.2, 0.8)


def test_a_segment_that_cannot_be_sealed_keeps_its_gaps_where_they_were() -> None:
    world = World()
    world.picture(0.0, 2.0, key=True)
    world.picture(0.4, 2.0, lost=7)
    world.picture(0.8, 2.0)
    world.sink.full = True
    with pytest.raises(SinkFailed):
        world.segmenter.finish(world.track, GapCause.RESTART)
    world.segmenter.abort(GapCause.DISK_FULL)
    assert abs(world.sink.opened[0].start - at(1.2)) <= _ROUNDING
    assert near(world.only(GapCause.PACKET_LOSS), 1.2, 1.6), "as what is recovered"


def test_a_segment_whose_gap_cannot_be_written_is_let_go() -> None:
    world = World()
    opened = world.sink.open

    def filled(start: datetime) -> MemorySegment:
        found = opened(start)
        world.sink.full = True
        return found

    world.sink.open = filled  # type: ignore[method-assign]
    for moment in (2.0, 3.0):
        with pytest.raises(SinkFailed):
            world.picture(moment, moment, key=True)
        world.segmenter.abort(GapCause.DISK_FULL)
        world.sink.full = False
    world.sink.open = opened  # type: ignore[method-assign]
    world.picture(4.0, 4.0, key=True)
    assert [segment.aborted for segment in world.sink.opened] == [True, True, False]
    assert world.sink.gaps == [
        (T, at(2), GapCause.CONNECTING, 0),
        (at(2), at(3), GapCause.DISK_FULL, 0),
        (at(3), at(4), GapCause.DISK_FULL, 0),
    ]


def test_metadata_that_cannot_be_begun_is_let_go() -> None:
    world = World()
    world.picture(0.0, 0.0, key=True)
    opened = world.sink.open_metadata

    def full(start: datetime) -> MemorySegment:
        out = opened(start)
        out.sink.full = True
        return out

    world.sink.open_metadata = full  # type: ignore[method-assign]
    with pytest.raises(SinkFailed):
        world.segmenter.metadata(0, b"<a/>", world.track, world.track, at(0))
    assert [beside.aborted for beside in world.sink.beside] == [True]


def test_a_gap_that_cannot_be_written_is_written_later_as_it_is_known_then() -> None:
    sink = MemorySink()
    gaps = Gaps(sink.gap)
    first, second = (Gaps.new(at(n), at(n + 1), GapCause.STALLED, n) for n in range(2))
    sink.full = True
    for gap in (first, second, replace(first, end=at(5))):
        with pytest.raises(SinkFailed):
            gaps.put(gap)
    sink.full = False
    gaps.written([second])
    third = Gaps.new(at(8), at(9), GapCause.STALLED)
    gaps.put(third)
    assert list(sink.declared.values()) == [replace(first, end=at(5)), third]


@given(
    st.lists(st.tuples(st.integers(0, 5_400_000), st.integers(0, 90_000)), max_size=20),
    st.floats(-5, 5),
    st.floats(-0.5, 0.5),
)
def test_sealed_gaps_lie_on_the_segments_line(
    spans: list[tuple[int, int]], corrected: float, drift: float
) -> None:
    written: dict[str, Gap] = {}
    first, length = 7777, 5_490_000
    opened = OpenGaps(Gaps(lambda gap: written.__setitem__(gap.id, gap)), T, first)
    for begin, ticks in spans:
        mark = opened.declare(first + begin, first + begin, GapCause.DAMAGED)
        opened.extend(mark, first + begin + ticks)
        opened.extend(mark, first + begin)
    start, stop = at(corrected), at(corrected + 61 + drift)
    written.update((gap.id, gap) for gap in opened.sealed(start, first + length, stop))
    assert len(written) == len(spans)
    for gap, (begin, ticks) in zip(written.values(), spans, strict=True):
        for when, place in ((gap.start, begin), (gap.end, begin + ticks)):
            assert abs(when - (start + (stop - start) * place / length)) <= _ROUNDING


def heard(sink: MemorySink, segment: int) -> list[float]:
    """Seconds of each sound after the segment's first picture, as a player has them."""
    with av.open(io.BytesIO(sink.closed[segment].data)) as container:
        (stream,) = container.streams.audio
        found = [p for p in container.demux(stream) if p.size]
        return [float(p.pts * stream.time_base) for p in found if p.pts is not None]


@pytest.mark.parametrize("live", [False, True], ids=["sound late too", "only pictures late"])
def test_sound_stays_with_its_pictures_when_those_came_late_and_there_are_no_reports(
    live: bool,
) -> None:
    sink = MemorySink()
    segmenter = Segmenter(
        sink,
        Coverage(T, GapCause.CONNECTING, sink.gap),
        segment_seconds=3,
        sound=sound_codec(sdp.Media("audio", 8, "PCMA", 8000, 1, "", {})).format,
    )
    pictures = Track(96, 90000, H264Depacketizer(lambda _unit: None))
    sounds = Track(8, 8000, H264Depacketizer(lambda _unit: None))
    late = 2.0
    for number in range(100):
        moment = number / 10
        unit = AccessUnit(
            round(moment * 90000), [b"\x65"], 1, key=number % 10 == 0, picture=True, format=FORM
        )
        segmenter.picture(unit, pictures, at(max(late, moment)))
        if moment >= late or not live:  # One that is live has no sound of before.
            sound = round(moment * 8000) + 999
            segmenter.sound(sound, b"\xd5" * 800, sounds, pictures, at(max(late, moment) + 0.01))
    segmenter.finish(pictures, GapCause.RESTART)
    assert len(sink.closed) == 4
    for segment in range(3):
        first = heard(sink, segment)[0]
        assert first == pytest.approx(late if live and not segment else 0.0, abs=0.11)
