"""The meeting's states by example: what fits, what is refused."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from roomwitness.policy import meeting as events
from roomwitness.policy.errors import ReviewWindowOver, TransitionNotAllowed
from roomwitness.policy.retention import due, next_erasure, overdue
from roomwitness.policy.words import Hold, HoldKind, Meeting, MeetingState, RoomPolicy

T = datetime(2026, 11, 2, 9, 0, tzinfo=UTC)
POLICY = RoomPolicy(review_window=timedelta(minutes=30), hold_period=timedelta(days=7))
S = MeetingState


def run(meeting: Meeting, *steps: events.Event, now: datetime = T) -> Meeting:
    for step in steps:
        meeting = events.advance(meeting, step, now, POLICY)
    return meeting


@pytest.fixture
def planned() -> Meeting:
    return Meeting(id="m", room_id="r", origin="booking", booking_key="u\n", planned_start=T)


def hold(hold_id: str, kind: HoldKind = HoldKind.ACCESS_REQUEST) -> events.PlaceHold:
    return events.PlaceHold(
        Hold(id=hold_id, kind=kind, reason="dnr 1", created=T, review_date=T + timedelta(days=1))
    )


def test_a_calm_meeting_is_due_at_its_deadline_and_not_before(planned: Meeting) -> None:
    over = run(planned, events.Preflight(), events.Start(), events.End())
    assert over.deadline == T + timedelta(minutes=30)
    assert due([over], T + timedelta(minutes=29)) == ()
    assert due([over], T + timedelta(minutes=30)) == (over,)
    assert next_erasure([over]) == over.deadline
    assert overdue([over], T + timedelta(minutes=30), timedelta(seconds=60), {}) == ()
    assert overdue([over], T + timedelta(minutes=31), timedelta(seconds=60), {}) == (over,)
    erased = run(over, events.Erase(), now=T + timedelta(minutes=30))
    assert erased.state is S.ERASED
    assert next_erasure([erased]) is None


@pytest.mark.parametrize(
    "before",
    [(events.Start(),), (events.Start(), events.Pause()), (events.Start(), events.End())],
    ids=["recording", "paused", "in review"],
)
def test_a_threat_holds_it_whenever_it_can_be_reported(
    planned: Meeting, before: tuple[events.Event, ...]
) -> None:
    held = run(planned, *before, events.ReportThreat("h"))
    assert held.held
    (found,) = held.holds
    assert (found.kind, found.review_date) == (HoldKind.THREAT, T + timedelta(days=7))
    if held.state in (S.RECORDING, S.PAUSED):
        held = run(held, events.End())
    assert held.state is S.HELD
    assert due([held], T + timedelta(days=9999)) == ()
    with pytest.raises(TransitionNotAllowed):
        run(held, events.Erase())


@given(st.integers(-3600, 7200), st.sampled_from(["threat", "hold"]))
def test_after_its_review_window_nothing_holds_it(seconds: int, how: str) -> None:
    over = run(
        Meeting(id="m", room_id="r", origin="manual", planned_start=T), events.Start(), events.End()
    )
    event = events.ReportThreat("h") if how == "threat" else hold("h")
    at = T + timedelta(seconds=seconds)
    if seconds < 1800:
        assert run(over, event, now=at).state is S.HELD
    else:
        with pytest.raises(ReviewWindowOver):
            run(over, event, now=at)


def test_every_hold_must_be_released_before_it_is_erased(planned: Meeting) -> None:
    held = run(planned, events.Start(), events.End(), events.ReportThreat("t"), hold("a"))
    one = run(held, events.ReleaseHold("t", "no charge"))
    assert one.state is S.HELD
    free = run(one, events.ReleaseHold("a", "appeal over"), now=T + timedelta(hours=5))
    assert (free.state, free.deadline) == (S.RELEASED, T + timedelta(hours=5))
    assert [h.release_reason for h in free.holds] == ["no charge", "appeal over"]
    assert due([free], T + timedelta(hours=5)) == (free,)


def test_a_hold_released_while_it_records_leaves_an_ordinary_meeting(planned: Meeting) -> None:
    calm = run(
        planned, events.Start(), events.ReportThreat("t"), events.ReleaseHold("t", "mistake")
    )
    assert calm.state is S.RECORDING
    assert run(calm, events.End()).state is S.REVIEW


def test_handed_over_evidence_stays_held_until_released(planned: Meeting) -> None:
    given = run(planned, events.Start(), events.End(), hold("a"), events.HandOver())
    assert given.state is S.HANDED_OVER
    assert due([given], T + timedelta(days=999)) == ()
    assert run(given, events.ReleaseHold("a", "closed")).state is S.RELEASED


def test_pause_and_resume(planned: Meeting) -> None:
    meeting = run(planned, events.Start(), events.Pause())
    assert meeting.state is S.PAUSED
    assert run(meeting, events.Resume()).state is S.RECORDING


def test_an_end_is_never_in_the_future(planned: Meeting) -> None:
    late = run(planned, events.Start(), events.End(T + timedelta(hours=1)))
    assert late.ended == T


@pytest.mark.parametrize(
    ("path", "refused"),
    [
        ((), events.End()),
        ((), events.Erase()),
        ((), events.ReportThreat("h")),
        ((), events.Pause()),
        ((events.Start(),), events.Start()),
        ((events.Start(),), events.Preflight()),
        ((events.Start(),), events.Cancel()),
        ((events.Start(),), events.Erase()),
        ((events.Start(),), events.Resume()),
        ((events.Start(),), events.HandOver()),
        ((events.Start(), events.End()), events.Rebook(T, T)),
        ((events.Start(), events.End(), events.Erase()), events.ReportThreat("h")),
        ((events.Start(), events.End(), events.Erase()), hold("h")),
    ],
)
def test_what_does_not_fit_is_refused_and_names_the_state(
    planned: Meeting, path: tuple[events.Event, ...], refused: events.Event
) -> None:
    meeting = run(planned, *path)
    with pytest.raises(TransitionNotAllowed) as caught:
        run(meeting, refused)
    assert caught.value.placeholders == {"state": meeting.state}
