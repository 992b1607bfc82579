"""What is late, also of a meeting that could not even be ended."""

from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from roomwitness.policy.meeting import End, Start, advance
from roomwitness.policy.retention import due, overdue, overrun
from roomwitness.policy.words import (
    RUNNING,
    Hold,
    HoldKind,
    Meeting,
    MeetingState,
    RoomPolicy,
)

T = datetime(2026, 11, 2, 9, 0, tzinfo=UTC)
S = MeetingState
spans = st.integers(0, 90).map(lambda minutes: timedelta(minutes=minutes))
HOLD = Hold(id="h", kind=HoldKind.LEGAL, reason="", created=T, review_date=T)


@given(
    st.sampled_from([S.PLANNED, S.RECORDING, S.PAUSED]),
    st.one_of(st.none(), spans),
    st.booleans(),
    spans,
    spans,
    spans,
)
def test_a_meeting_that_does_not_end_is_late_when_it_would_have_been_erased(
    state: MeetingState,
    length: timedelta | None,
    held: bool,
    window: timedelta,
    grace: timedelta,
    after: timedelta,
) -> None:
    now = T + after
    planned_end = None if length is None else T + length
    meeting = Meeting(
        id="m", room_id="r", origin="booking", booking_key="b", planned_start=T,
        planned_end=planned_end, state=state, holds=(HOLD,) if held else (),
    )  # fmt: skip
    runs_on = state in RUNNING and planned_end is not None and now >= planned_end + grace
    assert overrun([meeting], now, grace) == ((meeting,) if runs_on else ())
    late = bool(overdue([meeting], now, grace, {"r": window, "other": timedelta(0)}))
    assert late is (runs_on and not held and now >= (planned_end or T) + grace + window)


@given(spans, spans, spans, spans)
def test_whether_it_could_be_ended_makes_no_difference(
    length: timedelta, window: timedelta, grace: timedelta, after: timedelta
) -> None:
    """The promise is the same: planned end, and the review window."""
    policy, now = RoomPolicy(review_window=window), T + length + after
    runs = Meeting(
        id="m", room_id="r", origin="booking", booking_key="b", planned_start=T,
        planned_end=T + length,
    )  # fmt: skip
    runs = advance(runs, Start(), T, policy)
    ended = advance(runs, End(runs.planned_end), now, policy)
    windows = {"r": window}
    assert bool(overdue([runs], now, grace, windows)) is bool(overdue([ended], now, grace, windows))
    assert overdue([ended], now, grace, windows) == due([ended], now - grace)
    assert overdue([runs, ended], now, grace, windows) in ((), (runs, ended))


def test_a_room_that_is_gone_has_the_usual_window() -> None:
    end, usual = T + timedelta(hours=1), RoomPolicy().review_window
    meeting = Meeting(
        id="m", room_id="r", origin="manual", planned_start=T, planned_end=end, state=S.RECORDING
    )
    second = timedelta(seconds=1)
    assert overdue([meeting], end + usual - second, timedelta(0), {}) == ()
    assert overdue([meeting], end + usual, timedelta(0), {}) == (meeting,)
