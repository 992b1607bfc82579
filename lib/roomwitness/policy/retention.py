"""When what must be gone."""

from collections.abc import Iterable
from datetime import datetime, timedelta

from .words import Meeting, MeetingState

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


def overdue(meetings: Iterable[Meeting], now: datetime, grace: timedelta) -> tuple[Meeting, ...]:
    """The meetings whose erasure is more than ``grace`` late: a promise that is being broken."""
    return due(meetings, now - grace)
