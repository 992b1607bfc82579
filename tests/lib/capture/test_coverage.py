"""Segments and gaps cover a recording, whatever happens in whatever order."""

from dataclasses import dataclass
from datetime import timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from roomwitness.capture.codecs import AccessUnit
from roomwitness.capture.codecs.h264 import H264Depacketizer
from roomwitness.capture.coverage import Coverage
from roomwitness.capture.hostclock import HostClock
from roomwitness.capture.rtp import Track
from roomwitness.capture.segmenter import Segmenter
from roomwitness.capture.timeline import Timeline
from roomwitness.policy.words import GapCause

from .clockworld import FORM
from .memory import MemorySink

_FAULTS = (GapCause.CONNECTION_LOST, GapCause.STALLED, GapCause.PACKET_LOSS, GapCause.NO_KEYFRAME)
events = st.one_of(
    st.tuples(st.just("pictures"), st.integers(1, 60)),
    st.tuples(st.just("keyframe"), st.just(0)),
    st.tuples(st.just("wait"), st.floats(0.01, 20)),
    st.tuples(st.just("lose"), st.integers(1, 500)),
    st.tuples(st.just("anew"), st.integers(-(1 << 30), 1 << 30)),
    st.tuples(st.just("media"), st.sampled_from([-5.0, -0.6, 0.6, 5.0, 4000.0])),
    st.tuples(st.just("fault"), st.sampled_from(range(len(_FAULTS)))),
    st.tuples(st.just("host"), st.floats(-4000, 4000)),
)


@dataclass
class World:
    """One recorder's doings, in injected time, as recorder.py does them."""

    steady: float = 0.0
    ahead: float = 1.8e9
    media: float = 100.0
    lost: int = 0

    def __post_init__(self) -> None:
        self.clock = HostClock(lambda: self.steady + self.ahead, lambda: self.steady)
        self.sink = MemorySink()
        self.start = self.clock()
        self.coverage = Coverage(self.start, GapCause.CONNECTING, self.sink.gap)
        self.timeline = Timeline(self.clock, self.sink.clock)
        self.connect()

    def connect(self) -> None:
        self.track = Track(96, 90000, H264Depacketizer(lambda _unit: None))
        self.segmenter = Segmenter(
            self.sink,
            self.coverage,
            segment_seconds=5,
            sound=None,
            timeline=self.timeline,
        )

    def pass_time(self, seconds: float) -> None:
        self.steady += seconds
        self.media += seconds
        self.clock()

    def picture(self, *, key: bool) -> None:
        self.pass_time(0.04)
        unit = AccessUnit(
            round(self.media * 90000), [b"\x65"], 1, key=key, picture=True, format=FORM
        )
        self.segmenter.picture(unit, self.track, self.clock())

    def happen(self, kind: str, value: float) -> None:
        if kind == "pictures":
            for _ in range(int(value)):
                self.picture(key=False)
        elif kind == "keyframe":
            self.picture(key=True)
        elif kind == "wait":
            self.pass_time(value)
        elif kind == "lose":
            self.track.lost += int(value)
            self.lost += int(value)
        elif kind == "anew":
            self.track.epoch += 1
            self.track.report = None
            self.media += value / 90000
        elif kind == "media":
            self.media += value
        elif kind == "host":
            self.ahead += value
            self.clock()
        else:
            cause = _FAULTS[int(value)]
            self.segmenter.finish(self.track, cause)
            self.coverage.broken(cause, self.clock())
            self.connect()


@settings(max_examples=150, deadline=None)
@given(st.lists(events, max_size=25))
def test_segments_and_gaps_cover_the_recording(script: list[tuple[str, float]]) -> None:
    world = World()
    for kind, value in script:
        world.happen(kind, value)
    world.segmenter.finish(world.track, GapCause.RESTART)
    world.coverage.finish(world.clock())
    # Less than a second may be left: a picture that was on its way.
    assert world.sink.uncovered(world.start, world.clock()) <= timedelta(seconds=1)
    for start, end, _, lost in world.sink.gaps:
        assert start <= end
        assert lost >= 0
    for segment in world.sink.closed:
        assert segment.facts["start"] <= segment.facts["end"]
    assert sum(lost for *_, lost in world.sink.gaps) == world.lost


def test_loss_is_from_the_last_good_picture_and_what_refers_to_it_is_damaged() -> None:
    world = World()
    world.happen("keyframe", 0)
    world.happen("pictures", 10)
    world.track.lost += 3
    world.happen("pictures", 10)
    world.happen("keyframe", 0)
    (loss,) = [gap for gap in world.sink.gaps if gap[2] is GapCause.PACKET_LOSS]
    (damage,) = [gap for gap in world.sink.gaps if gap[2] is GapCause.DAMAGED]
    assert loss[3] == 3
    assert (loss[1] - loss[0]).total_seconds() == pytest.approx(0.04, abs=0.01)
    assert damage[0] == loss[1]
    assert (damage[1] - damage[0]).total_seconds() == pytest.approx(0.4, abs=0.01)


def test_lost_packets_before_a_keyframe_leave_nothing_damaged() -> None:
    world = World()
    world.happen("keyframe", 0)
    world.happen("lose", 1)
    world.happen("keyframe", 0)
    assert world.sink.causes == [GapCause.CONNECTING, GapCause.PACKET_LOSS]


def test_lost_sound_is_declared_and_a_sender_that_begins_anew_is_heard() -> None:
    world = World()
    sound = Track(97, 16000, H264Depacketizer(lambda _unit: None))
    world.happen("keyframe", 0)
    for number in range(3):
        world.pass_time(0.064)
        world.segmenter.sound(number * 1024, b"s", sound, world.track, world.clock())
    sound.lost += 2
    world.pass_time(0.192)
    world.segmenter.sound(5 * 1024, b"s", sound, world.track, world.clock())
    sound.epoch += 1
    world.pass_time(0.064)
    world.segmenter.sound(77, b"s", sound, world.track, world.clock())
    (gap,) = [gap for gap in world.sink.gaps if gap[2] is GapCause.SOUND_LOSS]
    assert gap[3] == 2
    assert (gap[1] - gap[0]).total_seconds() == pytest.approx(0.192, abs=0.001)
    world.segmenter.finish(world.track, GapCause.RESTART)


def test_what_is_stopped_at_once_before_anything_came_is_missing_all_the_same() -> None:
    world = World()
    world.pass_time(0.2)
    world.segmenter.finish(world.track, GapCause.RESTART)
    world.coverage.finish(world.clock())
    (gap,) = world.sink.gaps
    assert gap[:3] == (world.start, world.clock(), GapCause.CONNECTING)


def _packet(sequence: int, ssrc: int = 1) -> memoryview:
    head = b"\x80\xe0" + (sequence & 0xFFFF).to_bytes(2) + (sequence * 3600).to_bytes(4)
    return memoryview(head + ssrc.to_bytes(4) + b"\x61x")


@pytest.mark.parametrize(
    ("sequences", "lost", "epochs"),
    [
        ([1, 2, 3], 0, 0),
        ([65534, 65535, 65536, 65537], 0, 0),
        ([1, 5], 3, 0),
        ([1000, 990, 1001], 0, 0),
        ([40000, 40000, 40001], 0, 0),
        ([20000, 100, 101], 0, 1),
    ],
)
def test_sequence_numbers(sequences: list[int], lost: int, epochs: int) -> None:
    out: list[AccessUnit] = []
    track = Track(96, 90000, H264Depacketizer(out.append))
    for sequence in sequences:
        packet = _packet(sequence)
        track.rtp(packet, 0, len(packet))
    assert (track.lost, track.epoch) == (lost, epochs)


def test_another_source_begins_anew_without_inventing_losses() -> None:
    track = Track(96, 90000, H264Depacketizer(lambda _unit: None))
    for sequence, ssrc in ((10, 1), (11, 1), (50000, 2), (50001, 2), (50002, 2)):
        packet = _packet(sequence, ssrc)
        track.rtp(packet, 0, len(packet))
    assert (track.lost, track.epoch) == (0, 1)


def test_what_came_of_a_new_source_before_it_was_believed_is_counted() -> None:
    out: list[AccessUnit] = []
    track = Track(96, 90000, H264Depacketizer(out.append))
    for sequence in (50000, 50002, 50003, 50005, 50006, 50007):
        if sequence == 50000:
            ours = _packet(10)
            track.rtp(ours, 0, len(ours))
        packet = _packet(sequence, 2)
        track.rtp(packet, 0, len(packet))
    assert (track.lost, track.epoch) == (5, 1), "three that came and two between"


def test_a_stray_packet_of_another_source_changes_nothing() -> None:
    track = Track(96, 90000, H264Depacketizer(lambda _unit: None))
    for sequence, ssrc in ((10, 1), (50000, 2), (50001, 2), (11, 1), (50002, 2), (12, 1)):
        packet = _packet(sequence, ssrc)
        track.rtp(packet, 0, len(packet))
    assert (track.lost, track.epoch) == (0, 0)


def test_padding_counts_and_is_no_picture() -> None:
    out: list[AccessUnit] = []
    track = Track(96, 90000, H264Depacketizer(out.append))
    for packet in (
        _packet(1),
        memoryview(b"\xa0" + bytes(_packet(2))[1:12] + b"\0\0\3"),
        _packet(3),
    ):
        track.rtp(packet, 0, len(packet))
    assert (track.lost, len(out)) == (0, 2)
