"""Sound lies beside the pictures that it belongs to, however late either of them comes."""

import io
from datetime import UTC, datetime, timedelta

import av
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from roomwitness.capture import sdp
from roomwitness.capture.codecs import AccessUnit, sound_codec
from roomwitness.capture.codecs.h264 import H264Depacketizer
from roomwitness.capture.coverage import Coverage
from roomwitness.capture.rtp import SenderReport, Track
from roomwitness.capture.segmenter import Segmenter
from roomwitness.policy.words import GapCause

from .clockworld import FORM
from .memory import MemorySink

T = datetime(2026, 11, 2, 9, 0, tzinfo=UTC)
# docs/time.md
_EXACT_S = 0.1
_RATE, _SAMPLES = 8000, 400
_SECONDS, _SEGMENT = 14, 3


def at(seconds: float) -> datetime:
    return T + timedelta(seconds=seconds)


def begun() -> tuple[MemorySink, Segmenter, Track, Track]:
    """A segmenter into memory, and its tracks of pictures and sounds."""
    sink = MemorySink()
    segmenter = Segmenter(
        sink, Coverage(T, GapCause.CONNECTING, sink.gap), segment_seconds=_SEGMENT,
        sound=sound_codec(sdp.Media("audio", 8, "PCMA", _RATE, 1, "", {})).format,
    )  # fmt: skip
    pictures = Track(96, 90000, H264Depacketizer(lambda _unit: None))
    sounds = Track(8, _RATE, H264Depacketizer(lambda _unit: None))
    return sink, segmenter, pictures, sounds


def play(
    delay: float, *, reports: bool, apart: float = 0.0, turn: float | None = None
) -> MemorySink:
    """Sound that comes ``delay`` seconds behind the picture of its moment, each told by its number.

    The sound's reports are by a clock that is ``apart`` seconds from the picture's. At ``turn`` it
    begins to count anew.
    """
    sink, segmenter, pictures, sounds = begun()
    late = max(0.0, -delay)  # Then it is the picture that is late.
    step = _SAMPLES / _RATE
    coming = [(number / 10 + late, "picture", number) for number in range(_SECONDS * 10)]
    coming += [(n * step + max(0.0, delay), "sound", n) for n in range(round(_SECONDS / step))]
    for when, what, number in sorted(coming):
        if what == "picture":
            time, key = number * 9000, number % 10 == 0
            if reports and key:
                pictures.report = SenderReport(at(number / 10 + 77), time, at(when))
            unit = AccessUnit(time, [b"\x65"], 1, key=key, picture=True, format=FORM)
            segmenter.picture(unit, pictures, at(when))
        else:
            moment, time = number * step, number * _SAMPLES + 999
            if turn is not None and moment >= turn:
                sounds.epoch, time = 1, time + 55_555
            if reports and (number % 20 == 0 or sounds.epoch):
                sounds.report = SenderReport(at(moment + 77 + apart), time, at(when))
            data = number.to_bytes(2) * (_SAMPLES // 2)
            segmenter.sound(time, data, sounds, pictures, at(when))
    segmenter.finish(pictures, GapCause.RESTART)
    return sink


def heard(sink: MemorySink) -> list[list[tuple[int, float]]]:
    """Of each segment: a sound's number, and the second at which a player has it."""
    found = []
    for segment in sink.closed:
        start = (segment.facts["start"] - T).total_seconds()
        with av.open(io.BytesIO(segment.data)) as container:
            (sound,) = container.streams.audio
            found.append([
                (int.from_bytes(bytes(p)[:2]), start + float(p.pts * sound.time_base))
                for p in container.demux(sound)
                if p.size and p.pts is not None
            ])  # fmt: skip
    return found


@example(0.3, True)
@example(1.0, True)
@example(-1.0, True)
@example(1.0, False)
@settings(max_examples=30, deadline=None)
@given(st.floats(-1, 1), st.booleans())
def test_each_sound_is_heard_at_its_moment_in_every_segment(delay: float, reports: bool) -> None:
    sink = play(delay, reports=reports)
    assert len(sink.closed) == 5
    found = heard(sink)
    # A picture's moment is when it came. Without reports nobody can know more of the sound's.
    expected = max(0.0, -delay) if reports else max(0.0, delay)
    for segment in found:
        for number, second in segment:
            assert second - number * _SAMPLES / _RATE == pytest.approx(expected, abs=_EXACT_S)
    numbers = [number for segment in found for number, _ in segment]
    assert numbers == list(range(numbers[0], numbers[0] + len(numbers))), "none is missing"
    assert len(numbers) * _SAMPLES / _RATE >= _SECONDS - 1.2 - abs(delay)


@pytest.mark.parametrize("delay", [-0.4, 0.4])
@pytest.mark.parametrize("apart", [-7200.0, 3600.0, 40_000_000.0])
def test_reports_by_two_clocks_are_not_believed(delay: float, apart: float) -> None:
    for segment in heard(play(delay, reports=True, apart=apart)):
        for number, second in segment:
            moment = number * _SAMPLES / _RATE
            assert second - moment == pytest.approx(max(0.0, delay), abs=_EXACT_S)


@pytest.mark.parametrize("turn", [2.55, 3.1, 7.0])
def test_sound_that_counts_anew_goes_on_where_it_was(turn: float) -> None:
    for segment in heard(play(0.3, reports=True, turn=turn)):
        times = [second for _, second in segment]
        assert times == sorted(set(times))
        for number, second in segment:
            assert second == pytest.approx(number * _SAMPLES / _RATE, abs=_EXACT_S)


def test_a_sound_for_which_there_is_no_room_any_more_is_declared() -> None:
    """It was made before the first picture and comes when the segment's header is written."""
    sink, segmenter, pictures, sounds = begun()
    pictures.report = SenderReport(at(0), 0, at(0))
    sounds.report = SenderReport(at(0), 0, at(0))
    for number in range(8):
        key = number == 0
        unit = AccessUnit(number * 9000, [b"\x65"], 1, key=key, picture=True, format=FORM)
        segmenter.picture(unit, pictures, at(number / 10))
    assert sink.opened[0].data, "the header is written"
    for moment in (-0.3, 0.2, 0.25):
        data = round(moment * 100 + 100).to_bytes(2) * (_SAMPLES // 2)
        segmenter.sound(round(moment * _RATE), data, sounds, pictures, at(0.75))
    segmenter.finish(pictures, GapCause.RESTART)
    assert [number for number, _ in heard(sink)[0]] == [120, 125]
    assert (GapCause.SOUND_LOSS, 1) in [(cause, lost) for *_, cause, lost in sink.gaps]
