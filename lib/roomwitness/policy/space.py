"""Whether there is room for a meeting on the disk and in its room's quota: pure rules of bytes."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal

from .words import RUNNING, Booking, Meeting, RoomPolicy

# A meeting begins if this much of it fits: some of a long visit is better than none of it.
LEAST = timedelta(minutes=30)
# What is booked within this time is what the disk must have room for.
AHEAD = timedelta(hours=24)


@dataclass(frozen=True, slots=True, kw_only=True)
class Shortage:
    """Bytes that are ``needed``, and those that are ``free`` for it."""

    of: Literal["disk", "quota"]
    needed: int
    free: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Stock:
    """What there is, in bytes: free on the disk beyond what is kept back, and of a room's quota."""

    free: int
    quota: int | None = None
    used: int = 0


def needed(rate: float, length: timedelta) -> int:
    """Bytes that ``rate`` (bytes a second) gives in that time; none if it is over."""
    return max(0, int(rate * length.total_seconds()))


def still_to_come(meeting: Meeting, rate: float, now: datetime) -> int:
    """Bytes that a running meeting will need yet.

    At most ``LEAST`` is assumed of one without a booking: its end is a limit, no plan, and others
    are not to go without protection for it.
    """
    if meeting.state not in RUNNING:
        return 0
    left = LEAST if meeting.planned_end is None else meeting.planned_end - now
    return needed(rate, left if meeting.booking_key is not None else min(left, LEAST))


def refusal(length: timedelta | None, rate: float, promised: int, stock: Stock) -> Shortage | None:
    """Why a meeting of that length (None: open-ended) cannot begin.

    ``promised`` are the bytes that running meetings need yet: they are finished first.
    """
    wanted = needed(rate, LEAST if length is None else min(length, LEAST))
    left = max(0, stock.free - promised)
    if wanted > left:
        return Shortage(of="disk", needed=wanted, free=left)
    if stock.quota is not None and wanted > max(0, stock.quota - stock.used):
        return Shortage(of="quota", needed=wanted, free=max(0, stock.quota - stock.used))
    return None


def foreseen(length: timedelta, rate: float, promised: int, stock: Stock) -> Shortage | None:
    """Why a meeting that is booked would not be recorded whole, or would be refused when it begins.

    ``promised`` are the bytes that others have been promised by then.
    """
    wanted, left = needed(rate, length), max(0, stock.free - promised)
    if wanted > left:
        return Shortage(of="disk", needed=wanted, free=left)
    return refusal(length, rate, promised, stock)


def booked(
    bookings: Iterable[Booking],
    rate: float,
    policy: RoomPolicy,
    now: datetime,
    ahead: timedelta = AHEAD,
) -> list[tuple[datetime, datetime, int]]:
    """From when until when a room's bookings of the next time ``ahead`` take how many bytes.

    Those that run already are counted by ``still_to_come``. A calm meeting is erased after its
    review window.
    """
    return [
        (
            booking.start,
            booking.end + policy.lag + policy.review_window,
            needed(rate, booking.end - booking.start + policy.lead + policy.lag),
        )
        for booking in bookings
        if booking.valid and now < booking.start <= now + ahead
    ]


def gone_at(meeting: Meeting, policy: RoomPolicy) -> datetime | None:
    """When what a running meeting takes is free again; None: nobody knows, or it is evidence."""
    if meeting.held or meeting.planned_end is None:
        return None
    return meeting.planned_end + policy.review_window


def peak(taken: Iterable[tuple[datetime, datetime, int]]) -> int:
    """The most bytes that are taken at the same time."""
    changes = []
    for start, end, size in taken:
        changes += [(start, size), (end, -size)]
    now = most = 0
    for _, change in sorted(changes):
        now += change
        most = max(most, now)
    return most
