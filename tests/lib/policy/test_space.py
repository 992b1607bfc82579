"""Room on the disk: what is promised, refused and foreseen."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from roomwitness.policy import meeting as events
from roomwitness.policy import space
from roomwitness.policy.words import Booking, Meeting, MeetingState, RoomPolicy

from .test_meeting import run

NOW = datetime(2026, 11, 24, 12, tzinfo=UTC)
RATE = 1000.0
SIZES = st.integers(0, 10**13)
LENGTHS = st.none() | st.timedeltas(timedelta(seconds=1), timedelta(days=2))


def meeting(state: MeetingState, end: datetime | None) -> Meeting:
    return Meeting(
        id="m", room_id="r", origin="manual", planned_start=NOW, planned_end=end, state=state
    )


def minutes(count: float) -> timedelta:
    return timedelta(minutes=count)


def booking(start: float, end: float) -> Booking:
    return Booking(uid="b", start=NOW + minutes(start), end=NOW + minutes(end))


@pytest.mark.parametrize(
    ("state", "end", "seconds"),
    [
        (MeetingState.RECORDING, NOW + minutes(2), 120),
        (MeetingState.PAUSED, NOW + minutes(2), 120),
        (MeetingState.RECORDING, None, 1800),
        (MeetingState.RECORDING, NOW - minutes(2), 0),
        (MeetingState.REVIEW, NOW + minutes(2), 0),
        (MeetingState.PLANNED, NOW + minutes(2), 0),
    ],
)
def test_what_a_meeting_needs_yet(state: MeetingState, end: datetime | None, seconds: int) -> None:
    assert space.still_to_come(meeting(state, end), RATE, NOW) == seconds * 1000


@given(LENGTHS, SIZES, SIZES, st.none() | SIZES, SIZES)
def test_a_meeting_begins_only_if_running_ones_can_be_finished(
    length: timedelta | None, promised: int, free: int, quota: int | None, used: int
) -> None:
    stock = space.Stock(free=free, quota=quota, used=used)
    found = space.refusal(length, RATE, promised, stock)
    wanted = int(RATE * min(length or space.LEAST, space.LEAST).total_seconds())
    fits = promised + wanted <= free or wanted == 0
    allowed = quota is None or used + wanted <= quota or wanted == 0
    assert (found is None) == (fits and allowed)
    if found is not None:
        assert found.of == ("quota" if fits else "disk")
        assert 0 <= found.free < found.needed == wanted


@given(
    st.timedeltas(timedelta(seconds=1), timedelta(days=2)), SIZES, SIZES, st.none() | SIZES, SIZES
)
def test_what_is_foreseen_to_fit_is_not_refused_and_is_whole(
    length: timedelta, promised: int, free: int, quota: int | None, used: int
) -> None:
    stock = space.Stock(free=free, quota=quota, used=used)
    found = space.foreseen(length, RATE, promised, stock)
    if found is None:
        assert space.refusal(length, RATE, promised, stock) is None
        assert promised + space.needed(RATE, length) <= max(free, promised)
    elif found.of == "quota":
        assert space.refusal(length, RATE, promised, stock) == found
    else:
        assert 0 <= found.free < found.needed == space.needed(RATE, length)


def test_when_what_runs_is_free_again() -> None:
    policy, end = RoomPolicy(review_window=minutes(60)), NOW + minutes(5)
    calm = meeting(MeetingState.RECORDING, end)
    assert space.gone_at(calm, policy) == end + minutes(60)
    assert space.gone_at(meeting(MeetingState.RECORDING, None), policy) is None
    assert space.gone_at(run(calm, events.ReportThreat("h"), now=NOW), policy) is None


def test_a_long_meeting_begins_if_half_an_hour_fits() -> None:
    stock = space.Stock(free=1_800_000)
    assert space.refusal(timedelta(hours=8), RATE, 0, stock) is None
    assert space.refusal(timedelta(hours=8), RATE, 1, stock) is not None


def test_what_is_erased_before_the_next_begins_is_not_counted_twice() -> None:
    policy = RoomPolicy(lead=minutes(1), lag=minutes(1), review_window=minutes(60))
    bookings = [booking(10, 20), booking(30, 40), booking(200, 210)]
    taken = space.booked(bookings, RATE, policy, NOW)
    assert [size for _, _, size in taken] == [720_000] * 3
    assert space.peak(taken) == 1_440_000


def test_only_what_begins_within_a_day_counts_and_what_runs_does_not() -> None:
    bookings = [booking(-5, 5), booking(24 * 60 + 1, 24 * 60 + 9), booking(9, 3)]
    assert space.booked(bookings, RATE, RoomPolicy(), NOW) == []
    assert space.peak([]) == 0


def test_one_that_ends_as_the_next_begins_is_gone_by_then() -> None:
    later = NOW + minutes(1)
    assert space.peak([(NOW, later, 5), (later, later + minutes(1), 7)]) == 7
