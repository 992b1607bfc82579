"""What a room looks like from outside: pure functions of what is known."""

from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from typing import Literal

from roomwitness.capture import CaptureStatus
from roomwitness.policy import retention
from roomwitness.policy.holds import pending
from roomwitness.policy.meeting import can_be_held
from roomwitness.policy.words import KEPT, RUNNING, Booking, Meeting, MeetingState
from roomwitness.vault import Receipt

from .status import Checked, Problem, RoomStatus

_OVERDUE_GRACE = timedelta(seconds=60)
_REPORTABLE = KEPT | {MeetingState.REVIEW}
_SHOWN_FIRST = (RUNNING, {MeetingState.PREFLIGHT}, {MeetingState.REVIEW}, {MeetingState.PLANNED})


def current(meetings: Iterable[Meeting]) -> Meeting | None:
    """The meeting that is running."""
    return next((m for m in meetings if m.state in RUNNING), None)


def newest_ended(meetings: Iterable[Meeting], now: datetime) -> Meeting | None:
    """The meeting that ended last and can still be reported; one that is not held before others."""
    found = [m for m in meetings if m.state in _REPORTABLE and can_be_held(m, now)]
    review = MeetingState.REVIEW
    return max(found, key=lambda m: (m.state is review, m.ended or m.planned_start), default=None)


def overdue(
    meetings: Iterable[Meeting], now: datetime, windows: Mapping[str, timedelta]
) -> tuple[Meeting, ...]:
    """The meetings whose erasure is late; ``windows`` are the rooms' review windows."""
    return retention.overdue(meetings, now, _OVERDUE_GRACE, windows)


def overrun(meetings: Iterable[Meeting], now: datetime) -> tuple[Meeting, ...]:
    """The meetings that could not be ended when they should have been."""
    return retention.overrun(meetings, now, _OVERDUE_GRACE)


def shown(meetings: Iterable[Meeting]) -> Meeting | None:
    """The meeting that the room's state speaks of: running, then preflight, then review."""
    meetings = tuple(meetings)
    for states in _SHOWN_FIRST:
        found = [m for m in meetings if m.state in states]
        if found:
            return min(found, key=lambda m: m.planned_start)
    held = [m for m in meetings if m.state in KEPT]
    return max(held, key=lambda m: m.planned_start, default=None)


def next_booking(bookings: Iterable[Booking], now: datetime) -> Booking | None:
    """The booking that begins next."""
    ahead = [b for b in bookings if b.valid and b.start > now]
    return min(ahead, key=lambda b: b.start, default=None)


def next_length(bookings: Iterable[Booking], now: datetime) -> timedelta:
    """How long the next booking is; an hour if none is known."""
    found = next_booking(bookings, now)
    return timedelta(hours=1) if found is None else found.end - found.start


def room_status(
    meetings: tuple[Meeting, ...],
    bookings: Iterable[Booking],
    cameras: Mapping[str, CaptureStatus],
    segments: int,
    last_receipt: Receipt | None,
    used_bytes: int,
    problems: Iterable[Problem],
    now: datetime,
    windows: Mapping[str, timedelta],
    checked: Checked | None = None,
    pre_roll_s: float = 0.0,
    *,
    has_camera: bool = True,
) -> RoomStatus:
    """Put a room's status together; ``cameras`` and ``segments`` are the running meeting's.

    Without a camera what runs is shown as paused, for nothing is recorded.
    """
    meeting = shown(meetings)
    state: MeetingState | Literal["idle"] = meeting.state if meeting else "idle"
    if state == MeetingState.RECORDING and not has_camera:
        state = MeetingState.PAUSED
    ahead = next_booking(bookings, now)
    problem = next(iter(problems), None)
    return RoomStatus(
        state=state,
        meeting_id=meeting.id if meeting else None,
        recording=state == MeetingState.RECORDING,
        next_booking=ahead.start if ahead else None,
        evidence_held=sum(m.held for m in meetings),
        next_erasure=retention.next_erasure(meetings),
        overdue=len(overdue(meetings, now, windows)),
        next_review=min((h.review_date for m in meetings for h in m.open_holds), default=None),
        releases_pending=len(pending(meetings)),
        cameras=cameras,
        segments=segments,
        bytes=sum(status.bytes for status in cameras.values()),
        last_receipt=last_receipt,
        used_bytes=used_bytes,
        problem=problem.key if problem else None,
        checked=checked,
        pre_roll_s=pre_roll_s,
    )
