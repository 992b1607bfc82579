"""A sound that is set up and does not come: declared, told, and the picture goes on."""

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from roomwitness.capture import sdp
from roomwitness.capture.codecs import AccessUnit, sound_codec
from roomwitness.capture.codecs.h264 import H264Depacketizer
from roomwitness.capture.coverage import Coverage
from roomwitness.capture.gaps import Gaps, OpenGaps
from roomwitness.capture.hearing import Hearing
from roomwitness.capture.rtp import Track
from roomwitness.capture.segmenter import Segmenter
from roomwitness.policy.words import GapCause
from tests.camera import Camera, CameraConfig

from .clockworld import FORM
from .memory import MemorySink, SinkFailed, decode
from .test_recorder import FAST, SMALL, Run, until

T = datetime(2026, 11, 2, 9, 0, tzinfo=UTC)
STEP = 0.2


def at(seconds: float) -> datetime:
    return T + timedelta(seconds=seconds)


@dataclass
class Film:
    """Five pictures a second, a keyframe each second, segments of five; sound when it is said.

    Their media clocks are so many seconds ahead.
    """

    sink: MemorySink = field(default_factory=MemorySink)
    began: int = 0
    pictures_ahead: float = 0.0
    sounds_ahead: float = 0.0

    def __post_init__(self) -> None:
        codec = sound_codec(sdp.Media("audio", 8, "PCMA", 8000, 1, "", {}))
        self.pictures = Track(96, 90000, H264Depacketizer(lambda _unit: None))
        self.sounds = Track(8, 8000, H264Depacketizer(lambda _unit: None))
        self.segmenter = Segmenter(
            self.sink,
            Coverage(T, GapCause.CONNECTING, self.sink.gap),
            segment_seconds=5,
            sound=codec.format,
        )

    def play(self, steps: Iterable[tuple[bool, bool]]) -> None:
        """Whether there is a picture, and a sound, in each of the steps."""
        for seen, heard in steps:
            when, number, self.began = at(self.began * STEP), self.began, self.began + 1
            if seen:
                unit = AccessUnit(
                    round((number * STEP + self.pictures_ahead) * 90000), [b"\x65"], 1,
                    key=number % 5 == 0, picture=True, format=FORM,
                )  # fmt: skip
                self.segmenter.picture(unit, self.pictures, when)
            if heard:
                time = round((number * STEP + self.sounds_ahead) * 8000) + 77
                self.segmenter.sound(time, b"\xd5" * 1600, self.sounds, self.pictures, when)

    def end(self) -> None:
        self.segmenter.finish(self.pictures, GapCause.RESTART)

    def silences(self, *causes: GapCause, joined: bool = True) -> list[tuple[float, float]]:
        """Seconds from and to; those of two segments that meet are one if ``joined``."""
        found: list[tuple[float, float]] = []
        for start, stop, cause, _ in self.sink.gaps:
            if cause in (causes or {GapCause.SOUND_STALLED}):
                begin, end = ((when - T).total_seconds() for when in (start, stop))
                if joined and found and abs(found[-1][1] - begin) < 0.01:
                    begin = found.pop()[0]
                found.append((begin, end))
        return found


PLAYED, MUTE, NOTHING = (True, True), (True, False), (False, False)


def test_a_silence_is_declared_from_the_last_sound_to_the_next_across_segments() -> None:
    film = Film()
    film.play([PLAYED] * 15 + [MUTE] * 25 + [PLAYED] * 15)
    film.end()
    assert film.silences() == [pytest.approx((2.8, 8.0), abs=0.01)]
    assert film.sink.causes == [GapCause.SOUND_STALLED] * 2  # One in each of the two segments.


def test_one_that_never_begins_and_one_that_never_ends() -> None:
    film = Film()
    film.play([MUTE] * 20 + [PLAYED] * 10 + [MUTE] * 20)
    film.end()
    assert film.silences() == [
        pytest.approx((0.0, 4.0), abs=0.01),
        pytest.approx((5.8, 10.0), abs=0.01),
    ]


def test_it_is_on_the_disk_while_it_lasts() -> None:
    film = Film()
    for steps in range(1, 25):
        film.play([MUTE])
        flushed = film.segmenter.frames * STEP
        told = film.silences()[-1][1] if film.silences() else 0.0
        assert flushed - told <= 2.0 + 1.0 + STEP, steps  # What is not flushed is lost by a kill.


def test_where_pictures_are_missing_too_that_is_said_of_both() -> None:
    film = Film()
    film.play([PLAYED] * 10 + [NOTHING] * 15 + [PLAYED] * 10)
    film.end()
    assert film.sink.causes == [GapCause.STALLED]


def test_lost_pictures_excuse_no_more_than_their_own_time() -> None:
    film = Film()
    film.play([PLAYED] * 25)
    for _ in range(23):
        film.play([MUTE] * 6)
        film.pictures.lost += 1
        film.play([NOTHING, MUTE])
    film.play([PLAYED])
    film.end()
    assert film.silences() == [pytest.approx((4.8, 41.8), abs=0.01)]


def test_sound_that_comes_late_after_a_pause_of_both_is_not_missed() -> None:
    film = Film()
    film.play([PLAYED] * 10 + [NOTHING] * 51 + [MUTE])
    film.segmenter.sound(10 * 1600 + 77, bytes(1600), film.sounds, film.pictures, at(12.3))
    film.play([MUTE] * 4 + [PLAYED] * 5)
    film.end()
    assert film.sink.causes == [GapCause.STALLED]


@pytest.mark.parametrize("mute", [2, 9])
def test_a_hole_where_sound_alone_counts_anew_is_declared(mute: int) -> None:
    film = Film()
    film.play([PLAYED] * 10 + [MUTE] * mute)
    film.sounds.epoch += 1
    film.play([PLAYED] * 10)
    film.end()
    assert film.silences(GapCause.SOUND_LOSS) == [pytest.approx((1.8, 2.0 + mute * STEP), abs=0.01)]
    assert film.sink.causes == [GapCause.SOUND_LOSS]


def test_where_nothing_is_missing_there_is_no_hole() -> None:
    film = Film()
    film.play([PLAYED] * 10)
    film.sounds.epoch += 1
    film.play([PLAYED] * 10)
    film.end()
    assert film.sink.gaps == []


def test_a_camera_that_counts_anew_has_been_silent_for_no_time() -> None:
    film = Film()
    film.play([PLAYED] * 10)
    film.pictures.epoch += 1
    film.sounds.epoch += 1
    film.began += 1000
    film.play([PLAYED] * 11)
    film.end()
    assert film.silences() == []


def test_what_was_on_its_way_when_a_connection_broke_is_declared() -> None:
    film = Film()
    film.play([MUTE] * 3 + [PLAYED] * 10 + [MUTE] * 4)
    film.end()
    assert film.sink.gaps == [
        (at(0.0), at(0.6), GapCause.SOUND_LOSS, 0),
        (at(2.4), at(3.4), GapCause.SOUND_LOSS, 0),
    ]


def test_the_same_where_a_camera_counts_anew() -> None:
    film = Film()
    film.play([PLAYED] * 10 + [MUTE] * 3)
    film.pictures.epoch += 1
    film.sounds.epoch += 1
    film.began += 1000
    film.play([MUTE] * 8 + [PLAYED] * 3)
    film.end()
    first, second = film.silences(GapCause.SOUND_LOSS, joined=False)
    assert first == pytest.approx((1.8, 2.6), abs=0.01)
    assert second == pytest.approx((203.0, 204.2), abs=0.01)


def test_a_packets_length_is_no_loss() -> None:
    film = Film()
    film.play([MUTE] + [PLAYED] * 10 + [MUTE] * 1)
    film.end()
    assert film.silences(GapCause.SOUND_LOSS) == [pytest.approx((2.0, 2.4), abs=0.01)]


def test_packets_known_to_be_lost_are_declared_once() -> None:
    film = Film()
    film.segmenter.beside(film.sounds, None)
    film.play([PLAYED] * 10 + [MUTE] * 3)
    film.sounds.lost += 4
    film.end()
    assert [(cause, lost) for _, _, cause, lost in film.sink.gaps] == [(GapCause.SOUND_LOSS, 4)]


def test_nobody_misses_a_sound_that_there_never_was() -> None:
    film = Film()
    film.segmenter._sound = None
    film.play([MUTE] * 40)
    film.end()
    assert film.sink.gaps == []


def test_what_could_not_be_written_is_written_with_the_next() -> None:
    sink, hearing = MemorySink(), Hearing()
    gaps = OpenGaps(Gaps(sink.gap), T, 0)
    sink.full = True
    with pytest.raises(SinkFailed):
        hearing.look(gaps, 0, 300_000)
    sink.full = False
    gaps.declare(0, 1, GapCause.DAMAGED)
    assert GapCause.SOUND_STALLED in sink.causes


# The silence goes on behind a segment's end, for less than two seconds more.
@example([(MUTE, 10), (PLAYED, 1), (MUTE, 10)])
@example([(NOTHING, 26), (PLAYED, 11), (MUTE, 30), (PLAYED, 1)])
@example([(MUTE, 9), (NOTHING, 4)] * 4)
@example([(MUTE, 10), (PLAYED, 1), (MUTE, 10)])
@given(
    st.lists(
        st.tuples(st.sampled_from([PLAYED, MUTE, NOTHING]), st.integers(1, 30)),
        min_size=1,
        max_size=12,
    )
)
def test_pictures_without_sound_are_declared_and_heard_ones_are_not(
    runs: list[tuple[tuple[bool, bool], int]],
) -> None:
    film = Film()
    steps = [PLAYED] * 5 + [step for step, count in runs for _ in range(count)]
    film.play(steps)
    film.end()
    for begin, end in film.silences(joined=False):
        inner = steps[round(begin / STEP) + 1 : round(end / STEP)]
        assert not any(heard for _, heard in inner)
    last = max(number for number, (seen, _) in enumerate(steps) if seen)
    tail = steps[max(number for number, (_, heard) in enumerate(steps) if heard) + 1 : last + 1]
    if tail and all(seen for seen, _ in tail):
        moment = (last + 0.5) * STEP
        causes = (GapCause.SOUND_LOSS, GapCause.SOUND_STALLED)
        assert any(begin <= moment <= end for begin, end in film.silences(*causes))
    mute = 0
    for number, (seen, heard) in enumerate(steps):
        mute = 0 if heard else mute + seen  # Where pictures are missing too, that is said of both.
        if seen and mute * STEP > 4.0:  # Two seconds, and what of them lies in an open fragment.
            moment = number * STEP - 2.0
            assert any(begin <= moment <= end for begin, end in film.silences()), moment


async def test_a_camera_that_falls_silent_is_told_and_recorded_on() -> None:
    async with Camera(CameraConfig(**SMALL)) as camera:  # type: ignore[arg-type]
        run = Run(camera.source(audio=True), timeouts=replace(FAST, sound=0.5))

        def said() -> str | None:
            return run.sink.statuses[-1].sound_missing if run.sink.statuses else None

        await run.segments(1)
        assert said() is None
        await camera.fault("mute")
        await until(lambda: said() == "sound_silent")
        await until(lambda: GapCause.SOUND_STALLED in run.sink.causes)
        assert run.sink.statuses[-1].state == "recording"
        await camera.fault("mute", False)
        await until(lambda: said() is None)
        await run.segments(2)
        sink = await run.stop()
    assert set(sink.causes) == {GapCause.CONNECTING, GapCause.SOUND_STALLED}
    assert all(decode(segment.data).frames for segment in sink.closed)
    assert sum(status.sound_missing is not None for status in sink.statuses) >= 1
