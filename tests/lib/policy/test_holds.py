"""Holds by example: dates, and who may end one."""

from dataclasses import replace
from datetime import timedelta

import pytest

from roomwitness.errors import WitnessError
from roomwitness.policy import holds
from roomwitness.policy import meeting as events
from roomwitness.policy.words import Hold, HoldKind, Meeting, MeetingState

from .test_meeting import POLICY, T

TWO = replace(POLICY, two_people=True)
DAY = timedelta(days=1)
S = MeetingState


def held(*placed_by: str | None) -> Meeting:
    return Meeting(
        id="m",
        room_id="r",
        state=S.HELD,
        origin="manual",
        planned_start=T,
        started=T,
        ended=T,
        deadline=T,
        holds=tuple(
            Hold(
                id=f"h{number}",
                kind=HoldKind.ACCESS_REQUEST,
                reason="dnr",
                created=T,
                review_date=T + DAY,
                placed_by=by,
            )
            for number, by in enumerate(placed_by)
        ),
    )


def refused(meeting: Meeting, event: events.Event, policy=TWO) -> str:  # type: ignore[no-untyped-def]
    with pytest.raises(WitnessError) as caught:
        events.advance(meeting, event, T, policy)
    return caught.value.key


def test_two_people_neither_of_whom_placed_it() -> None:
    meeting = held("anna")
    assert refused(meeting, events.ReleaseHold("h0", "why", "bo")) == "release_not_asked"
    assert refused(meeting, holds.AskRelease("h0", "why", "anna")) == "two_people_needed"
    assert refused(meeting, holds.AskRelease("h0", "why", None)) == "person_needed"
    asked = events.advance(meeting, holds.AskRelease("h0", "why", "bo"), T, TWO)
    assert holds.pending([asked]) == ((asked, asked.holds[0]),)
    assert asked.holds[0].release_ask_reason == "why"
    for by, key in (
        ("bo", "two_people_needed"),
        ("anna", "two_people_needed"),
        (None, "person_needed"),
    ):
        assert refused(asked, events.ReleaseHold("h0", "yes", by)) == key
    back = events.advance(asked, holds.WithdrawRelease("h0", "anna"), T, TWO)
    assert back == meeting
    assert refused(back, holds.WithdrawRelease("h0", "anna")) == "release_not_asked"
    free = events.advance(asked, events.ReleaseHold("h0", "yes", "cia"), T, TWO)
    assert (free.state, free.holds[0].release_reason) == (S.RELEASED, "yes")


def test_one_person_is_enough_elsewhere() -> None:
    for by in ("anna", None):
        free = events.advance(held("anna"), events.ReleaseHold("h0", "why", by), T, POLICY)
        assert free.state is S.RELEASED


def test_one_hold_of_several() -> None:
    meeting = held("anna", None)
    one = events.advance(meeting, events.ReleaseHold("h1", "why"), T, POLICY)
    assert one.state is S.HELD
    assert refused(one, events.ReleaseHold("h1", "again"), POLICY) == "hold_not_found"
    assert refused(one, events.ReleaseHold("nobody", ""), POLICY) == "hold_not_found"


def test_a_review_is_put_off_and_never_brought_forward() -> None:
    meeting = held(None)
    for date in (T, T - DAY):
        assert refused(meeting, holds.ExtendHold("h0", date, "why")) == "review_date_invalid"
    for date in (T + DAY, T + DAY - timedelta(seconds=1), T + timedelta(seconds=1)):
        assert refused(meeting, holds.ExtendHold("h0", date, "why")) == "review_not_put_off"
    later = events.advance(meeting, holds.ExtendHold("h0", T + 9 * DAY, "appeal"), T, TWO)
    assert (later.holds[0].review_date, later.holds[0].review_reason) == (T + 9 * DAY, "appeal")
    assert holds.to_review([meeting], T + DAY) == ((meeting, meeting.holds[0]),)
    assert holds.to_review([meeting], T + DAY - timedelta(seconds=1)) == ()
    assert holds.to_review([later], T + DAY) == ()


def test_a_hold_ends_by_itself_only_where_the_site_chose_it() -> None:
    meeting = held(None)
    choice = replace(POLICY, erase_at_review=True)
    for policy, now in ((POLICY, T + DAY), (choice, T)):
        assert not holds.lapsed(meeting.holds[0], now, policy)
        with pytest.raises(WitnessError):
            events.advance(meeting, events.LapseHold("h0"), now, policy)
    assert holds.lapsed(meeting.holds[0], T + DAY, choice)
    free = events.advance(meeting, events.LapseHold("h0"), T + DAY, choice)
    assert free.state is S.RELEASED
