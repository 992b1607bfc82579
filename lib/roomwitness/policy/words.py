"""The words of the trade (docs/glossary.md): all times are aware UTC datetimes."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Literal


class MeetingState(StrEnum):
    """Where a meeting stands in its life."""

    PLANNED = "planned"
    PREFLIGHT = "preflight"
    RECORDING = "recording"
    PAUSED = "paused"
    REVIEW = "review"
    HELD = "held"
    HANDED_OVER = "handed_over"
    RELEASED = "released"
    ERASED = "erased"


AHEAD = frozenset({MeetingState.PLANNED, MeetingState.PREFLIGHT})
RUNNING = frozenset({MeetingState.RECORDING, MeetingState.PAUSED})
KEPT = frozenset({MeetingState.HELD, MeetingState.HANDED_OVER})


class HoldKind(StrEnum):
    """Why a meeting is kept (LAW.md, checklist 7)."""

    THREAT = "threat"
    ACCESS_REQUEST = "access_request"
    RESTRICTION = "restriction"
    LEGAL = "legal"


class GapCause(StrEnum):
    """Why an interval of a recording is missing."""

    CONNECTING = "connecting"
    CAMERA_UNREACHABLE = "camera_unreachable"
    CAMERA_AUTH = "camera_auth"
    CONNECTION_LOST = "connection_lost"
    STALLED = "stalled"
    PACKET_LOSS = "packet_loss"
    DAMAGED = "damaged"  # Pictures are there, but refer to lost ones.
    SOUND_LOSS = "sound_loss"
    SOUND_STALLED = "sound_stalled"  # Pictures are there.
    NO_KEYFRAME = "no_keyframe"
    PROTOCOL_ERROR = "protocol_error"
    STREAM_CHANGED = "stream_changed"
    RESTART = "restart"
    DISK_FULL = "disk_full"
    DISK_FAILED = "disk_failed"  # It cannot be written, or something keeps us from it.
    PAUSED = "paused"
    CLOCK_STEP = "clock_step"  # Our clock was set forward: nothing is missing.


@dataclass(frozen=True, slots=True, kw_only=True)
class Booking:
    """One event of the room's calendar (RFC 5545 UID and RECURRENCE-ID); no title, no names."""

    uid: str
    recurrence_id: str | None = None
    start: datetime
    end: datetime

    @property
    def key(self) -> str:
        """Identity of this occurrence, whatever its present time."""
        return f"{self.uid}\n{self.recurrence_id or ''}"

    @property
    def valid(self) -> bool:
        """Whether it ends after it starts."""
        return self.end > self.start


@dataclass(frozen=True, slots=True, kw_only=True)
class Hold:
    """The decision that a meeting is evidence until its review date, or until released.

    People (``placed_by``, ``release_asked_by``) are pseudonymous ids; None is an automation.
    """

    id: str
    kind: HoldKind
    reason: str
    created: datetime
    review_date: datetime
    released: datetime | None = None
    release_reason: str | None = None
    placed_by: str | None = None
    review_reason: str | None = None
    release_asked: datetime | None = None
    release_asked_by: str | None = None
    release_ask_reason: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class RoomPolicy:
    """A room's times: record from ``lead`` before to ``lag`` after a booking.

    A meeting that is started by hand ends after ``manual_length``, unless somebody puts it off.
    ``pre_roll`` is how much before a threat outside any meeting is kept: 0 is off, at most 15 s.
    ``two_people`` says that a hold is released by two, neither of whom placed it;
    ``erase_at_review`` that a hold ends by itself at its review date.
    """

    lead: timedelta = timedelta(0)
    lag: timedelta = timedelta(0)
    review_window: timedelta = timedelta(hours=1)
    hold_period: timedelta = timedelta(days=30)
    manual_length: timedelta = timedelta(hours=3)
    preflight_lead: timedelta = timedelta(minutes=10)
    pre_roll: timedelta = timedelta(0)
    two_people: bool = False
    erase_at_review: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Meeting:
    """One protected visit.

    ``planned_start`` and ``planned_end`` are the recording's window, lead and lag included;
    ``planned_end`` of a meeting without a booking is when it ends unless staff let it go on; None
    only for one that an earlier version began by hand.
    ``deadline`` is when it must be erased unless it is held.
    """

    id: str
    room_id: str
    state: MeetingState = MeetingState.PLANNED
    origin: Literal["booking", "manual", "threat"]
    booking_key: str | None = None
    planned_start: datetime
    planned_end: datetime | None = None
    started: datetime | None = None
    ended: datetime | None = None
    deadline: datetime | None = None
    erased: datetime | None = None
    holds: tuple[Hold, ...] = ()

    @property
    def open_holds(self) -> tuple[Hold, ...]:
        """The holds that are not released."""
        return tuple(hold for hold in self.holds if hold.released is None)

    @property
    def held(self) -> bool:
        """Whether anything blocks its erasure."""
        return bool(self.open_holds)
