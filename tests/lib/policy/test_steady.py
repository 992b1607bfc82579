"""A clock that leaps forward is believed again when it has gone on for an hour."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from roomwitness.policy.steady import REST, Steady

T = datetime(2026, 11, 2, 9, 0, tzinfo=UTC)
HOUR = REST.total_seconds()


def at(seconds: float) -> datetime:
    return T + timedelta(seconds=seconds)


def test_one_that_goes_on_is_believed() -> None:
    steady = Steady()
    assert all(steady.look(at(t), 5.0 + t, T) for t in range(0, 7200, 60))


@pytest.mark.parametrize(("away", "believed"), [(23, True), (25, False), (-500, True)])
def test_a_start_long_after_the_last_sign_of_life_waits(away: int, believed: bool) -> None:
    steady = Steady()
    assert steady.look(T, 0.0, T - timedelta(hours=away)) is believed
    assert steady.look(at(HOUR), HOUR, None)


def test_a_site_that_never_was_is_believed() -> None:
    assert Steady().look(T, 0.0, None)


@given(st.floats(700, 1e9), st.floats(0, 7200))
def test_a_leap_is_not_believed_for_an_hour_wherever_it_goes_then(
    leap: float, after: float
) -> None:
    steady = Steady()
    steady.look(T, 0.0, T)
    assert not steady.look(at(leap + 1), 1.0, T)
    assert steady.look(at(leap + 1 + after), 1.0 + after, T) is (after >= HOUR)


@given(st.lists(st.floats(-1e6, 500), max_size=20))
def test_small_steps_and_such_back_change_nothing(steps: list[float]) -> None:
    """Set back, nothing comes too early by it."""
    steady, shift = Steady(), 0.0
    for number, step in enumerate(steps):
        shift += step
        assert steady.look(at(number + shift), float(number), T)
