"""A media clock that is set is noticed in the sound as well."""

import pytest

from roomwitness.policy.words import GapCause

from .test_gaps import heard
from .test_hearing import MUTE, PLAYED, STEP, Film


def lies_right(film: Film) -> int:
    """Each sound is at its moment, of which there is one in each step; how many there are."""
    count = 0
    for number, segment in enumerate(film.sink.closed):
        times = heard(film.sink, number)
        assert times == pytest.approx([n * STEP for n in range(len(times))], abs=0.05)
        assert len(times) * STEP == pytest.approx(segment.facts["media_seconds"], abs=0.05)
        count += len(times)
    return count


@pytest.mark.parametrize("by", [-3600.0, -2.0, 2.0, 3600.0])
def test_sound_alone_is_set(by: float) -> None:
    film = Film()
    film.play([PLAYED] * 33)
    film.sounds_ahead = by
    film.play([PLAYED] * 47)
    film.end()
    assert film.sink.gaps == []
    assert lies_right(film) == 80


# Behind the first sound of a count a jump forward of up to 15 s is taken for a loss.
@pytest.mark.parametrize("by", [-3600.0, -2.0, 3600.0])
def test_both_are_set_and_one_sound_from_before_comes_behind(by: float) -> None:
    film = Film()
    film.play([PLAYED] * 30)
    film.pictures_ahead = by
    film.play([PLAYED])  # A keyframe: it is in the new segment.
    film.sounds_ahead = by
    film.play([PLAYED] * 49)
    film.end()
    assert set(film.sink.causes) <= {GapCause.STREAM_CHANGED}
    assert lies_right(film) == 80


def test_a_hole_where_it_is_set_is_declared() -> None:
    film = Film()
    film.play([PLAYED] * 10 + [MUTE] * 3)
    film.sounds_ahead = -3600.0
    film.play([PLAYED] * 10)
    film.end()
    assert film.sink.causes == [GapCause.SOUND_LOSS]
    assert film.silences(GapCause.SOUND_LOSS) == [pytest.approx((1.8, 2.6), abs=0.01)]
