"""What the conductor tells the face: the state of a room, and what a person must mend."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal

from roomwitness.capture import CaptureStatus
from roomwitness.policy.words import MeetingState
from roomwitness.vault import Receipt


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    """Something a person must act on; ``key`` names the translated repair issue."""

    key: str
    room_id: str | None = None
    camera_id: str | None = None
    meeting_id: str | None = None
    hold_id: str | None = None
    placeholders: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Checked:
    """A preflight's result; ``failed`` are the keys of what is wrong, ``number`` counts results."""

    number: int
    at: datetime
    failed: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class RoomStatus:
    """A room as seen now; ``segments`` (sealed) and ``bytes`` (of media) are this run's.

    ``used_bytes`` is what all of its recordings take on the disk. ``pre_roll_s``: the room is
    watched now and so many seconds are kept in memory; 0 if not.
    """

    state: MeetingState | Literal["idle"]
    meeting_id: str | None = None
    recording: bool = False
    next_booking: datetime | None = None
    evidence_held: int = 0
    next_review: datetime | None = None
    releases_pending: int = 0
    next_erasure: datetime | None = None
    overdue: int = 0
    cameras: Mapping[str, CaptureStatus] = field(default_factory=dict)
    segments: int = 0
    bytes: int = 0
    last_receipt: Receipt | None = None
    used_bytes: int = 0
    problem: str | None = None
    checked: Checked | None = None
    pre_roll_s: float = 0.0
