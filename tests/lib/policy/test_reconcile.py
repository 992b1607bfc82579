"""Reconciliation by example: each case is a calendar, a clock, and what must follow."""

from collections.abc import Iterable
from datetime import UTC, date, datetime, time, timedelta
from itertools import count
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from roomwitness.policy import meeting as events
from roomwitness.policy.reconcile import Change, Create, Plan, plan
from roomwitness.policy.words import Booking, Meeting, MeetingState, RoomPolicy

POLICY = RoomPolicy(preflight_lead=timedelta(minutes=10))
T = datetime(2026, 11, 2, 9, 0, tzinfo=UTC)


def at(minutes: float) -> datetime:
    return T + timedelta(minutes=minutes)


def booking(uid: str, start: float, end: float, recurrence: str | None = None) -> Booking:
    return Booking(uid=uid, recurrence_id=recurrence, start=at(start), end=at(end))


class Room:
    """Carries plans out in memory, as the conductor does on disk."""

    def __init__(self, policy: RoomPolicy = POLICY) -> None:
        self.policy = policy
        self.meetings: dict[str, Meeting] = {}
        self._ids = count()

    def see(self, bookings: Iterable[Booking], now: datetime) -> Plan:
        bookings = tuple(bookings)
        result = plan(
            "room",
            bookings,
            self.meetings.values(),
            now,
            self.policy,
            lambda: f"m{next(self._ids)}",
        )
        for step in result.steps:
            if isinstance(step, Create):
                self.meetings[step.meeting.id] = step.meeting
            else:
                self.meetings[step.meeting_id] = events.advance(
                    self.meetings[step.meeting_id], step.event, now, self.policy
                )
        again = plan("room", bookings, self.meetings.values(), now, self.policy, lambda: "never")
        assert again.steps == (), "a plan that was carried out must plan nothing more"
        return result

    def states(self) -> list[tuple[str, MeetingState]]:
        found = sorted(self.meetings.values(), key=lambda m: (m.planned_start, m.id))
        return [((m.booking_key or "").split("\n")[0], m.state) for m in found]


S = MeetingState


def test_a_booking_goes_from_planned_to_recording_to_review() -> None:
    room = Room()
    calendar = [booking("a", 30, 60)]
    assert room.see(calendar, at(0)).steps == (), "too far ahead to be worth a row"
    room.see(calendar, at(21))
    assert room.states() == [("a", S.PREFLIGHT)]
    room.see(calendar, at(30))
    assert room.states() == [("a", S.RECORDING)]
    room.see(calendar, at(60))
    assert room.states() == [("a", S.REVIEW)]


def test_a_meeting_already_running_at_the_first_look_is_recorded() -> None:
    room = Room()
    room.see([booking("a", -20, 20)], at(0))
    assert room.states() == [("a", S.RECORDING)]


def test_lead_and_lag_widen_the_window() -> None:
    room = Room(RoomPolicy(lead=timedelta(minutes=5), lag=timedelta(minutes=3)))
    calendar = [booking("a", 30, 60)]
    room.see(calendar, at(25))
    assert room.states() == [("a", S.RECORDING)]
    room.see(calendar, at(62))
    assert room.states() == [("a", S.RECORDING)]
    room.see(calendar, at(63))
    assert room.states() == [("a", S.REVIEW)]


def test_a_shortened_booking_ends_earlier_and_a_prolonged_one_later() -> None:
    room = Room()
    room.see([booking("a", 0, 60)], at(0))
    room.see([booking("a", 0, 90)], at(50))
    room.see([booking("a", 0, 90)], at(70))
    assert room.states() == [("a", S.RECORDING)]
    room.see([booking("a", 0, 65)], at(71))
    assert room.states() == [("a", S.REVIEW)]
    (meeting,) = room.meetings.values()
    assert meeting.ended == at(65)


def test_a_cancelled_booking_leaves_nothing_to_keep() -> None:
    room = Room()
    room.see([booking("a", 5, 60)], at(0))
    room.see([], at(1))
    (meeting,) = room.meetings.values()
    assert meeting.state is S.ERASED
    assert meeting.started is None


def test_a_booking_cancelled_while_it_runs_is_over_now() -> None:
    room = Room()
    room.see([booking("a", 0, 60)], at(0))
    room.see([], at(20))
    (meeting,) = room.meetings.values()
    assert (meeting.state, meeting.ended) == (S.REVIEW, at(20))


def test_a_booking_moved_ahead_of_time_is_the_same_meeting() -> None:
    room = Room()
    room.see([booking("a", 5, 60)], at(0))
    room.see([booking("a", 8, 70)], at(1))
    room.see([booking("a", 8, 70)], at(8))
    assert room.states() == [("a", S.RECORDING)]


def test_a_booking_moved_to_later_while_it_runs_is_recorded_again_then() -> None:
    room = Room()
    room.see([booking("a", 0, 30)], at(0))
    room.see([booking("a", 60, 90)], at(10))
    assert room.states() == [("a", S.REVIEW)]
    room.see([booking("a", 60, 90)], at(60))
    assert room.states() == [("a", S.REVIEW), ("a", S.RECORDING)]


def test_a_meeting_that_staff_ended_early_is_not_begun_again() -> None:
    room = Room()
    calendar = [booking("a", 0, 60)]
    room.see(calendar, at(0))
    (meeting,) = room.meetings.values()
    room.meetings[meeting.id] = events.advance(meeting, events.End(), at(20), POLICY)
    room.see(calendar, at(21))
    assert room.states() == [("a", S.REVIEW)]


def test_back_to_back_bookings_are_two_meetings() -> None:
    room = Room(RoomPolicy(lead=timedelta(minutes=5), lag=timedelta(minutes=5)))
    calendar = [booking("a", 0, 30), booking("b", 30, 60)]
    room.see(calendar, at(-5))
    room.see(calendar, at(29))
    assert dict(room.states())["a"] is S.RECORDING
    room.see(calendar, at(30))
    assert dict(room.states()) == {"a": S.REVIEW, "b": S.RECORDING}


def test_of_overlapping_bookings_the_later_start_wins_and_the_first_goes_on_after_it() -> None:
    room = Room()
    calendar = [booking("long", 0, 60), booking("short", 20, 30)]
    room.see(calendar, at(0))
    room.see(calendar, at(20))
    assert room.states() == [
        ("long", S.REVIEW),
        ("short", S.RECORDING),
        ("long", S.PREFLIGHT),  # What is left of it after the short one.
    ]
    room.see(calendar, at(30))
    assert room.states() == [("long", S.REVIEW), ("short", S.REVIEW), ("long", S.RECORDING)]


def test_a_booking_that_ends_before_it_starts_is_named_and_ignored() -> None:
    room = Room()
    odd = booking("odd", 10, 5)
    result = room.see([odd, booking("a", 0, 20)], at(6))
    assert result.invalid == (odd,)
    assert room.states() == [("a", S.RECORDING)]


def test_a_manual_meeting_is_not_interrupted_by_a_booking() -> None:
    room = Room()
    manual = Meeting(id="x", room_id="room", origin="manual", planned_start=at(-5))
    room.meetings["x"] = events.advance(manual, events.Start(), at(-5), POLICY)
    room.see([booking("a", 0, 30)], at(1))
    assert room.meetings["x"].state is S.RECORDING
    assert ("a", S.RECORDING) not in room.states()
    room.meetings["x"] = events.advance(room.meetings["x"], events.End(), at(10), POLICY)
    room.see([booking("a", 0, 30)], at(10))
    assert ("a", S.RECORDING) in room.states()


def test_down_over_the_end_the_meeting_ended_when_it_was_planned_to() -> None:
    room = Room()
    calendar = [booking("a", 0, 30)]
    room.see(calendar, at(0))
    room.see(calendar, at(300))
    (meeting,) = room.meetings.values()
    assert meeting.ended == at(30)
    assert meeting.deadline == at(30) + POLICY.review_window


def test_each_occurrence_of_a_recurring_booking_is_its_own_meeting() -> None:
    room = Room()
    calendar = [
        booking("r", 0, 30, "20261102T090000Z"),
        booking("r", 60, 90, "20261102T100000Z"),
    ]
    for minute in range(0, 91, 5):
        room.see(calendar, at(minute))
    assert room.states() == [("r", S.REVIEW), ("r", S.REVIEW)]
    assert len({m.booking_key for m in room.meetings.values()}) == 2


@pytest.mark.parametrize(
    ("day", "hours"),
    [(date(2026, 3, 29), 1), (date(2026, 10, 25), 3)],
    ids=["spring forward", "fall back"],
)
def test_a_booking_across_a_change_of_clocks_lasts_its_real_time(day: date, hours: int) -> None:
    zone = ZoneInfo("Europe/Stockholm")
    night = Booking(
        uid="n",
        start=datetime.combine(day, time(1, 30), zone),
        end=datetime.combine(day, time(3, 30), zone),
    )
    room = Room()
    start, end = night.start.astimezone(UTC), night.end.astimezone(UTC)
    assert end - start == timedelta(hours=hours)
    utc = Booking(uid="n", start=start, end=end)
    room.see([utc], start)
    room.see([utc], end - timedelta(seconds=1))
    assert room.states() == [("n", S.RECORDING)]
    room.see([utc], end)
    assert room.states() == [("n", S.REVIEW)]


def test_an_all_day_booking_is_recorded_all_day() -> None:
    room = Room()
    calendar = [booking("d", 0, 24 * 60)]
    for hour in range(24):
        room.see(calendar, at(hour * 60))
        assert room.states() == [("d", S.RECORDING)]


bookings = st.lists(
    st.builds(
        booking,
        st.sampled_from("abcd"),
        st.integers(0, 200),
        st.integers(0, 200),
    ),
    max_size=5,
    unique_by=lambda b: b.key,
)


@given(bookings, st.lists(st.integers(-10, 220), max_size=12).map(sorted))
def test_never_two_meetings_at_once_and_always_one_while_booked(
    calendar: list[Booking], minutes: list[int]
) -> None:
    room = Room()
    for minute in minutes:
        now = at(minute)
        result = room.see(calendar, now)
        running = [m for m in room.meetings.values() if m.state is S.RECORDING]
        booked = any(b.valid and b.start <= now < b.end for b in calendar)
        assert len(running) == booked
        assert {b.key for b in result.invalid} == {b.key for b in calendar if b.end <= b.start}
        assert all(isinstance(step, Create | Change) for step in result.steps)
