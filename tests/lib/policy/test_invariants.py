"""DESIGN.md's invariants as a state machine: time both ways, restarts anywhere, any calendar."""

import tempfile
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import count
from pathlib import Path

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from roomwitness.errors import WitnessError
from roomwitness.policy import holds
from roomwitness.policy import meeting as events
from roomwitness.policy.reconcile import Create, plan
from roomwitness.policy.retention import due, overrun
from roomwitness.policy.words import (
    RUNNING,
    Booking,
    Hold,
    HoldKind,
    Meeting,
    MeetingState,
    RoomPolicy,
)
from roomwitness.vault.index import Index

T = datetime(2026, 10, 24, 22, 0, tzinfo=UTC)  # The night in which Sweden's clocks go back.
S = MeetingState
people = st.sampled_from(["anna", "bo", "cia", None])
minutes = st.integers(-90, 240).map(lambda m: timedelta(minutes=m))


class Rooms(RuleBasedStateMachine):
    """One room; meetings live in a real index, so that a restart forgets everything else."""

    def __init__(self) -> None:
        super().__init__()
        self.folder = tempfile.TemporaryDirectory()
        self.ids = count()
        self.now = T
        self.policy = RoomPolicy(lead=timedelta(minutes=2), review_window=timedelta(minutes=30))
        self.calendar: dict[str, Booking] = {}
        # The latest review date that each hold ever had.
        self.latest: dict[str, datetime] = {}
        self.open()

    def open(self) -> None:
        self.index = Index(Path(self.folder.name) / "index.db", lambda _r, _s: Path())
        self.index.open()

    def teardown(self) -> None:
        self.index.close()
        self.folder.cleanup()

    def meetings(self) -> dict[str, Meeting]:
        return {m.id: m for m in self.index.meetings()}

    def apply(self, meeting: Meeting, event: events.Event) -> Meeting:
        after = events.advance(meeting, event, self.now, self.policy)
        self.index.save_meeting(after)
        for hold in after.holds:
            known = self.latest.get(hold.id, hold.review_date)
            self.latest[hold.id] = max(hold.review_date, known)
        self.check_who_ended_it(meeting, event)
        return after

    @rule(uid=st.sampled_from("abc"), start=minutes, length=st.integers(-10, 90))
    def book(self, uid: str, start: timedelta, length: int) -> None:
        begin = self.now + start
        self.calendar[uid] = Booking(uid=uid, start=begin, end=begin + timedelta(minutes=length))

    @rule(uid=st.sampled_from("abc"))
    def cancel(self, uid: str) -> None:
        self.calendar.pop(uid, None)

    @rule(step=minutes)
    def time_moves(self, step: timedelta) -> None:
        self.now += step
        self.tick()

    @rule()
    def restart(self) -> None:
        self.index.close()
        self.open()

    @rule()
    def start_by_hand(self) -> None:
        if not any(m.state in RUNNING for m in self.meetings().values()):
            meeting = events.by_hand(f"m{next(self.ids)}", "r", self.now, self.policy)
            self.apply(meeting, events.Start())

    @precondition(lambda self: self.meetings())
    @rule(data=st.data())
    def something_happens(self, data: st.DataObject) -> None:
        known = self.meetings()
        meeting = known[data.draw(st.sampled_from(sorted(known)))]
        happenings: list[events.Event] = [
            events.ReportThreat(f"h{next(self.ids)}"),
            events.End(),
            events.Pause(),
            events.Resume(),
            events.GoOn(self.now + data.draw(minutes)),
            events.HandOver(),
            events.Erase(),
            events.PlaceHold(self.new_hold(data)),
            *(
                event
                for hold in meeting.open_holds
                for event in (
                    events.ReleaseHold(hold.id, "why", data.draw(people)),
                    events.LapseHold(hold.id),
                    holds.AskRelease(hold.id, "why", data.draw(people)),
                    holds.WithdrawRelease(hold.id, data.draw(people)),
                    holds.ExtendHold(hold.id, self.now + data.draw(minutes), "why"),
                )
            ),
        ]
        event = data.draw(st.sampled_from(happenings))
        try:
            self.apply(meeting, event)
        except WitnessError:
            assert self.meetings()[meeting.id] == meeting

    def new_hold(self, data: st.DataObject) -> Hold:
        return Hold(
            id=f"h{next(self.ids)}",
            kind=data.draw(st.sampled_from(HoldKind)),
            reason="why",
            created=self.now,
            review_date=self.now + timedelta(minutes=60),
            placed_by=data.draw(people),
        )

    def check_who_ended_it(self, before: Meeting, event: events.Event) -> None:
        """Whatever was done, a hold that ended was ended by two who had not placed it.

        Or by its date, where the site chose that; and that date nobody can have brought forward.
        """
        if isinstance(event, events.LapseHold):
            assert self.policy.erase_at_review
            assert self.latest[event.hold_id] <= self.now
        if not self.policy.two_people or not isinstance(event, events.ReleaseHold):
            return
        (hold,) = [h for h in before.holds if h.id == event.hold_id]
        assert hold.release_asked is not None
        assert event.by is not None
        assert hold.release_asked_by is not None
        assert len({event.by, hold.release_asked_by, hold.placed_by}) == 3

    @rule(two_people=st.booleans(), erase_at_review=st.booleans())
    def the_site_changes_its_mind(self, two_people: bool, erase_at_review: bool) -> None:
        self.policy = replace(self.policy, two_people=two_people, erase_at_review=erase_at_review)

    @rule()
    def tick(self) -> None:
        result = plan(
            "r",
            self.calendar.values(),
            self.meetings().values(),
            self.now,
            self.policy,
            lambda: f"m{next(self.ids)}",
        )
        for step in result.steps:
            if isinstance(step, Create):
                self.index.save_meeting(step.meeting)
            else:
                self.apply(self.meetings()[step.meeting_id], step.event)
        for meeting in overrun(self.meetings().values(), self.now, timedelta(0)):
            self.apply(meeting, events.End(meeting.planned_end))
        for meeting in self.meetings().values():
            after = meeting
            for hold in meeting.open_holds:
                if holds.lapsed(hold, self.now, self.policy):
                    after = self.apply(after, events.LapseHold(hold.id))
        for meeting in due(self.meetings().values(), self.now):
            self.apply(meeting, events.Erase())
        late = [
            m
            for m in self.meetings().values()
            if m.state in (S.REVIEW, S.RELEASED) and m.deadline and m.deadline <= self.now
        ]
        assert not late, "not held, past its deadline, and still readable"

    @invariant()
    def a_held_meeting_is_never_erased(self) -> None:
        for meeting in self.meetings().values():
            assert not (meeting.held and meeting.state in (S.ERASED, S.REVIEW, S.RELEASED))

    @invariant()
    def a_review_date_never_comes_nearer(self) -> None:
        for meeting in self.meetings().values():
            for hold in meeting.holds:
                assert hold.review_date == self.latest[hold.id]

    @invariant()
    def one_meeting_at_a_time(self) -> None:
        assert sum(m.state in RUNNING for m in self.meetings().values()) <= 1

    @invariant()
    def what_runs_has_an_end(self) -> None:
        for meeting in self.meetings().values():
            assert meeting.state not in RUNNING or meeting.planned_end is not None

    @invariant()
    def what_is_over_has_a_deadline_or_a_hold(self) -> None:
        for meeting in self.meetings().values():
            if meeting.ended is not None and meeting.state is not S.ERASED:
                assert meeting.held or meeting.deadline is not None


TestRooms = Rooms.TestCase
TestRooms.settings = settings(max_examples=40, stateful_step_count=30, deadline=None)
