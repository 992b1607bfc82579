"""Bookings as desired state, meetings as actual state, and the steps that close the difference.

Idempotent: what is planned once and carried out plans nothing more. So a booking that was moved,
shortened, cancelled or already running at a restart needs no rule of its own.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime
from itertools import pairwise

from .meeting import Cancel, End, Event, Preflight, Rebook, Start
from .words import AHEAD, RUNNING, Booking, Meeting, MeetingState, RoomPolicy


@dataclass(frozen=True, slots=True)
class Create:
    """Take in this planned meeting."""

    meeting: Meeting


@dataclass(frozen=True, slots=True)
class Change:
    """Apply ``event`` to the meeting of that id."""

    meeting_id: str
    event: Event


@dataclass(frozen=True, slots=True)
class Plan:
    """What to do, in order, and which bookings make no sense (they end before they start)."""

    steps: tuple[Create | Change, ...]
    invalid: tuple[Booking, ...]


@dataclass(frozen=True, slots=True)
class _Window:
    key: str
    start: datetime
    end: datetime


def plan(
    room_id: str,
    bookings: Iterable[Booking],
    meetings: Iterable[Meeting],
    now: datetime,
    policy: RoomPolicy,
    new_id: Callable[[], str],
) -> Plan:
    """Close the difference for one room.

    ``meetings`` are all of the room's that are not erased, and erased ones whose booking may still
    be running: a meeting that staff ended early is not begun again.
    """
    bookings = tuple(bookings)
    meetings = tuple(meetings)
    windows = _current(_windows([b for b in bookings if b.valid], policy), now)
    known = {
        m.booking_key: m
        for m in sorted(meetings, key=lambda m: m.planned_start)
        if m.booking_key is not None and (m.state is not MeetingState.ERASED or m.started)
    }
    steps: list[Create | Change] = []
    ended: dict[str, datetime] = {}
    busy = False

    def end(meeting: Meeting, planned: datetime | None) -> None:
        """End it at the planned time if we only notice later (we were down), else now."""
        late = planned is not None and planned < now
        steps.append(Change(meeting.id, End(planned if late else None)))
        ended[meeting.id] = planned if planned is not None and late else now

    for meeting in meetings:
        if meeting.state not in AHEAD | RUNNING:
            continue
        if meeting.booking_key is None:
            busy = True
            continue
        window = windows.get(meeting.booking_key)
        moved = _moved(meeting, window)
        if meeting.state in AHEAD:
            if window is None or window.end <= now:
                steps.append(Change(meeting.id, Cancel()))
            elif moved:
                steps.append(moved)
        elif window is None:
            end(meeting, meeting.planned_end)
        elif window.end <= now:
            end(meeting, window.end)
        elif window.start > now and meeting.started is not None and meeting.started < window.start:
            # Moved to later while it ran: this visit is over, the later one is its own meeting.
            end(meeting, meeting.planned_end)
        else:
            busy = True
            if moved:
                steps.append(moved)

    for window in sorted(windows.values(), key=lambda w: w.start):
        meeting_now = known.get(window.key)
        if window.end <= now:
            continue
        if meeting_now is None or meeting_now.state not in AHEAD:
            if meeting_now is not None:
                over = ended.get(meeting_now.id) or meeting_now.ended
                if over is None or window.start < over:
                    continue  # It runs, or it is over: only a window after that is new.
            if window.start - policy.preflight_lead > now:
                continue  # Too far ahead to be worth a row; the calendar remembers it.
            meeting_now = Meeting(
                id=new_id(),
                room_id=room_id,
                origin="booking",
                booking_key=window.key,
                planned_start=window.start,
                planned_end=window.end,
            )
            steps.append(Create(meeting_now))
        if window.start <= now:
            if not busy:
                steps.append(Change(meeting_now.id, Start()))
                busy = True
        elif meeting_now.state is MeetingState.PLANNED:
            steps.append(Change(meeting_now.id, Preflight()))
    return Plan(tuple(steps), tuple(b for b in bookings if not b.valid))


def _windows(bookings: list[Booking], policy: RoomPolicy) -> list[_Window]:
    """The recording windows, none overlapping: where bookings overlap, the later start wins.

    Lead and lag never take time from another booking. A booking that another one interrupts
    gets a window on either side.
    """
    wide = []
    for booking in bookings:
        before = [min(o.end, booking.start) for o in bookings if o.start < booking.start]
        start = max([booking.start - policy.lead, *before])
        wide.append(_Window(booking.key, start, booking.end + policy.lag))
    edges = sorted({edge for w in wide for edge in (w.start, w.end)})
    pieces: list[_Window] = []
    for start, end in pairwise(edges):
        active = [w for w in wide if w.start <= start < w.end]
        if not active:
            continue
        key = max(active, key=lambda w: (w.start, w.end, w.key)).key
        if pieces and pieces[-1].key == key and pieces[-1].end == start:
            start = pieces.pop().start
        pieces.append(_Window(key, start, end))
    return pieces


def _current(windows: list[_Window], now: datetime) -> dict[str, _Window]:
    """Of each booking the window that runs or comes next, else its last."""
    chosen: dict[str, _Window] = {}
    for window in windows:
        if window.key not in chosen or chosen[window.key].end <= now:
            chosen[window.key] = window
    return chosen


def _moved(meeting: Meeting, window: _Window | None) -> Change | None:
    if window is None or (meeting.planned_start, meeting.planned_end) == (window.start, window.end):
        return None
    return Change(meeting.id, Rebook(window.start, window.end))
