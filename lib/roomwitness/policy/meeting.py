"""The meeting's state machine (docs/architecture.md, "The life of a meeting")."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime
from typing import cast

from .errors import ReviewWindowOver, TransitionNotAllowed
from .holds import (
    AskRelease,
    ExtendHold,
    WithdrawRelease,
    ask_release,
    check_release,
    extend,
    lapsed,
    period,
    with_hold,
    withdraw_release,
)
from .words import AHEAD, KEPT, RUNNING, Hold, HoldKind, Meeting, MeetingState, RoomPolicy

S = MeetingState


@dataclass(frozen=True, slots=True)
class Preflight:
    """Its cameras are being checked."""


@dataclass(frozen=True, slots=True)
class Start:
    """Recording begins."""


@dataclass(frozen=True, slots=True)
class Pause:
    """Recording stops for a while, declared as a gap."""


@dataclass(frozen=True, slots=True)
class Resume:
    """Recording goes on."""


@dataclass(frozen=True, slots=True)
class End:
    """The meeting is over; ``at`` is when, if that was before now (we were down)."""

    at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Rebook:
    """Its booking moved: the new window of the recording."""

    start: datetime
    end: datetime


@dataclass(frozen=True, slots=True)
class GoOn:
    """It is to go on until then: of a meeting without a booking, whose end only staff know."""

    until: datetime


@dataclass(frozen=True, slots=True)
class Cancel:
    """Its booking is gone before it began: nothing was recorded, nothing is kept."""


@dataclass(frozen=True, slots=True)
class ReportThreat:
    """Staff reports a threat."""

    hold_id: str
    by: str | None = None


@dataclass(frozen=True, slots=True)
class PlaceHold:
    """One more reason to keep it."""

    hold: Hold


@dataclass(frozen=True, slots=True)
class ReleaseHold:
    """A reasoned end of one hold."""

    hold_id: str
    reason: str
    by: str | None = None


@dataclass(frozen=True, slots=True)
class LapseHold:
    """The end of a hold at its review date, where the site chose that."""

    hold_id: str


@dataclass(frozen=True, slots=True)
class HandOver:
    """A package was given to the police."""

    by: str | None = None


@dataclass(frozen=True, slots=True)
class Erase:
    """Its keys are destroyed and its bytes unlinked."""


type Event = (
    Preflight
    | Start
    | Pause
    | Resume
    | End
    | Rebook
    | GoOn
    | Cancel
    | ReportThreat
    | PlaceHold
    | ReleaseHold
    | LapseHold
    | ExtendHold
    | AskRelease
    | WithdrawRelease
    | HandOver
    | Erase
)


def by_hand(meeting_id: str, room_id: str, now: datetime, policy: RoomPolicy) -> Meeting:
    """A meeting that somebody starts now. It has an end, so that a forgotten one does not record
    every later visitor, and hold off every booking, for ever.
    """
    return Meeting(
        id=meeting_id,
        room_id=room_id,
        origin="manual",
        planned_start=now,
        planned_end=now + policy.manual_length,
    )


def advance(meeting: Meeting, event: Event, now: datetime, policy: RoomPolicy) -> Meeting:
    """Give the meeting as it is after ``event``.

    Raises:
        TransitionNotAllowed: the event does not fit the meeting's state.
    """
    rule = cast("Callable[[Meeting, Event, datetime, RoomPolicy], Meeting]", _RULES[type(event)])
    return rule(meeting, event, now, policy)


def _need(meeting: Meeting, states: frozenset[MeetingState]) -> None:
    if meeting.state not in states:
        raise TransitionNotAllowed(state=meeting.state)


def _preflight(meeting: Meeting, _: Preflight, _now: datetime, _p: RoomPolicy) -> Meeting:
    _need(meeting, AHEAD)
    return replace(meeting, state=S.PREFLIGHT)


def _start(meeting: Meeting, _: Start, now: datetime, _p: RoomPolicy) -> Meeting:
    _need(meeting, AHEAD)
    return replace(meeting, state=S.RECORDING, started=now)


def _pause(meeting: Meeting, _: Pause, _now: datetime, _p: RoomPolicy) -> Meeting:
    _need(meeting, frozenset({S.RECORDING}))
    return replace(meeting, state=S.PAUSED)


def _resume(meeting: Meeting, _: Resume, _now: datetime, _p: RoomPolicy) -> Meeting:
    _need(meeting, frozenset({S.PAUSED}))
    return replace(meeting, state=S.RECORDING)


def _end(meeting: Meeting, event: End, now: datetime, policy: RoomPolicy) -> Meeting:
    _need(meeting, RUNNING)
    ended = now if event.at is None else min(event.at, now)
    return replace(
        meeting,
        state=S.HELD if meeting.held else S.REVIEW,
        ended=ended,
        deadline=ended + policy.review_window,
    )


def _rebook(meeting: Meeting, event: Rebook, _now: datetime, _p: RoomPolicy) -> Meeting:
    _need(meeting, AHEAD | RUNNING)
    return replace(meeting, planned_start=event.start, planned_end=event.end)


def _go_on(meeting: Meeting, event: GoOn, _now: datetime, _p: RoomPolicy) -> Meeting:
    _need(meeting, RUNNING)
    if meeting.booking_key is not None:
        raise TransitionNotAllowed(state=meeting.state)
    end = meeting.planned_end  # It is never brought forward: that is what ending it is for.
    return replace(meeting, planned_end=max(event.until, end) if end else event.until)


def _cancel(meeting: Meeting, _: Cancel, now: datetime, _p: RoomPolicy) -> Meeting:
    _need(meeting, AHEAD)
    if meeting.held:
        raise TransitionNotAllowed(state=meeting.state)
    return replace(meeting, state=S.ERASED, erased=now)


def _threat(meeting: Meeting, event: ReportThreat, now: datetime, policy: RoomPolicy) -> Meeting:
    hold = Hold(
        id=event.hold_id,
        kind=HoldKind.THREAT,
        reason="",
        created=now,
        review_date=now + period(policy),
        placed_by=event.by,
    )
    return _place(meeting, PlaceHold(hold), now, policy)


def _place(meeting: Meeting, event: PlaceHold, now: datetime, _p: RoomPolicy) -> Meeting:
    _need(meeting, RUNNING | KEPT | {S.REVIEW})
    if meeting.state is S.REVIEW and not can_be_held(meeting, now):
        raise ReviewWindowOver
    kept = meeting.state if meeting.state in RUNNING | KEPT else S.HELD
    return replace(meeting, state=kept, holds=(*meeting.holds, event.hold))


def can_be_held(meeting: Meeting, now: datetime) -> bool:
    """Whether a meeting in review is still in its window; after it nothing of it may be read."""
    return meeting.deadline is None or now < meeting.deadline


def _release(meeting: Meeting, event: ReleaseHold, now: datetime, policy: RoomPolicy) -> Meeting:
    def change(hold: Hold) -> Hold:
        check_release(hold, event.by, policy)
        return replace(hold, released=now, release_reason=event.reason)

    return _freed(with_hold(meeting, event.hold_id, change), now)


def _lapse(meeting: Meeting, event: LapseHold, now: datetime, policy: RoomPolicy) -> Meeting:
    def change(hold: Hold) -> Hold:
        if not lapsed(hold, now, policy):
            raise TransitionNotAllowed(state=meeting.state)
        return replace(hold, released=now, release_reason="")

    return _freed(with_hold(meeting, event.hold_id, change), now)


def _freed(after: Meeting, now: datetime) -> Meeting:
    """Without its last hold it is to be erased; one that records goes on as an ordinary one."""
    if after.held or after.state in RUNNING:
        return after
    return replace(after, state=S.RELEASED, deadline=now)


def _hand_over(meeting: Meeting, _: HandOver, _now: datetime, _p: RoomPolicy) -> Meeting:
    _need(meeting, KEPT)
    return replace(meeting, state=S.HANDED_OVER)


def _erase(meeting: Meeting, _: Erase, now: datetime, _p: RoomPolicy) -> Meeting:
    _need(meeting, frozenset({S.REVIEW, S.RELEASED}))
    if meeting.held:
        raise TransitionNotAllowed(state=meeting.state)
    return replace(meeting, state=S.ERASED, erased=now)


_RULES: dict[type, object] = {
    Preflight: _preflight,
    Start: _start,
    Pause: _pause,
    Resume: _resume,
    End: _end,
    Rebook: _rebook,
    GoOn: _go_on,
    Cancel: _cancel,
    ReportThreat: _threat,
    PlaceHold: _place,
    ReleaseHold: _release,
    LapseHold: _lapse,
    ExtendHold: extend,
    AskRelease: ask_release,
    WithdrawRelease: withdraw_release,
    HandOver: _hand_over,
    Erase: _erase,
}
