"""When what must be gone."""

from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta

from .words import RUNNING, Meeting, MeetingState, RoomPolicy

_ERASABLE = frozenset({MeetingState.REVIEW, MeetingState.RELEASED})


def due(meetings: Iterable[Meeting], now: datetime) -> tuple[Meeting, ...]:
    """The meetings to erase now: over, not held, and past their deadline."""
    return tuple(
        m
        for m in meetings
        if m.state in _ERASABLE and not m.held and m.deadline is not None and m.deadline <= now
    )


def next_erasure(meetings: Iterable[Meeting]) -> datetime | None:
    """The nearest deadline of meetings that will be erased."""
    return min(
        (m.deadline for m in meetings if m.state in _ERASABLE and m.deadline is not None),
        default=None,
    )


def overrun(meetings: Iterable[Meeting], now: datetime, grace: timedelta) -> tuple[Meeting, ...]:
    """The meetings that run on, more than ``grace`` past their planned end."""
    return tuple(
        m
        for m in meetings
        if m.state in RUNNING and m.planned_end is not None and m.planned_end <= now - grace
    )


def overdue(
    meetings: Iterable[Meeting],
    now: datetime,
    grace: timedelta,
    windows: Mapping[str, timedelta],
) -> tuple[Meeting, ...]:
    """The meetings whose erasure is more than ``grace`` late: a promise that is being broken.

    One that could not be ended has no deadline: its is the planned end and the review window of
    its room, of which ``windows`` has those that are configured.
    """
    meetings = tuple(meetings)
    late = {m.id for m in due(meetings, now - grace)}
    for meeting in meetings:
        window = windows.get(meeting.room_id, RoomPolicy().review_window)
        if not meeting.held and overrun([meeting], now - window, grace):
            late.add(meeting.id)
    return tuple(m for m in meetings if m.id in late)
