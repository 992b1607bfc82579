"""A meeting that is started by hand ends, and evidence is not let go of on the day it is made."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from roomwitness.policy import meeting as events
from roomwitness.policy.errors import TransitionNotAllowed
from roomwitness.policy.holds import lapsed
from roomwitness.policy.retention import due, overdue, overrun
from roomwitness.policy.words import Meeting, MeetingState, RoomPolicy

T = datetime(2026, 11, 2, 9, 0, tzinfo=UTC)
DAY = timedelta(days=1)
GRACE = timedelta(seconds=60)
lengths = st.timedeltas(timedelta(minutes=30), timedelta(hours=12))
spans = st.timedeltas(timedelta(0), timedelta(hours=24))


@given(lengths, st.lists(spans, max_size=5), spans)
def test_it_ends_the_rooms_length_after_it_was_last_let_go_on(
    length: timedelta, put_off: list[timedelta], after: timedelta
) -> None:
    policy = RoomPolicy(manual_length=length)
    meeting = events.advance(events.by_hand("m", "r", T, policy), events.Start(), T, policy)
    last = T
    for span in put_off:
        last = max(last, T + span)
        meeting = events.advance(meeting, events.GoOn(T + span + length), T + span, policy)
    now = last + length + after
    assert overrun([meeting], now, timedelta(0)) == (meeting,)
    assert overrun([meeting], now - after - timedelta(seconds=1), timedelta(0)) == ()
    assert meeting.planned_end is not None
    over = events.advance(meeting, events.End(meeting.planned_end), now, policy)
    assert over.deadline == last + length + policy.review_window
    assert due([over], over.deadline) == (over,)
    late = overdue([meeting], over.deadline + GRACE, GRACE, {"r": policy.review_window})
    assert late == (meeting,), "that it could not be ended is told"


@pytest.mark.parametrize("state", [s for s in MeetingState if s not in ("recording", "paused")])
def test_only_what_runs_goes_on(state: MeetingState) -> None:
    meeting = Meeting(id="m", room_id="r", origin="manual", planned_start=T, state=state)
    with pytest.raises(TransitionNotAllowed):
        events.advance(meeting, events.GoOn(T + DAY), T, RoomPolicy())


def test_a_booking_says_itself_when_it_ends() -> None:
    meeting = Meeting(
        id="m", room_id="r", origin="booking", booking_key="b", planned_start=T,
        planned_end=T + DAY, state=MeetingState.RECORDING,
    )  # fmt: skip
    with pytest.raises(TransitionNotAllowed):
        events.advance(meeting, events.GoOn(T + 2 * DAY), T, RoomPolicy())


@given(st.timedeltas(-DAY, 90 * DAY), st.timedeltas(timedelta(0), 90 * DAY))
def test_no_hold_ends_by_itself_within_a_day(period: timedelta, after: timedelta) -> None:
    policy = RoomPolicy(hold_period=period, erase_at_review=True)
    meeting = events.advance(events.by_hand("m", "r", T, policy), events.Start(), T, policy)
    (hold,) = events.advance(meeting, events.ReportThreat("h"), T, policy).holds
    assert lapsed(hold, T + after, policy) is (after >= max(period, DAY))
