"""What a person must mend, as repairs: pure functions of what is known."""

from collections.abc import Iterable, Iterator, Mapping, Sequence, Set

from roomwitness.capture import CaptureStatus
from roomwitness.errors import WitnessError
from roomwitness.policy.words import Meeting

from .config import RoomConfig
from .status import Problem

# So many meetings are named in one repair.
_TOLD = 10

# What the disk may refuse, and what a person can do about it.
_DISK = frozenset(
    {"vault_unwritable", "vault_full", "vault_in_use", "store_error", "log_unwritable"}
)


def of_tick(err: BaseException) -> Problem:
    """Why the last upkeep was not carried out whole; of an unforeseen error the name alone."""
    if isinstance(err, WitnessError) and err.key in _DISK:
        return Problem(key=err.key, placeholders=err.placeholders)
    name = err.key if isinstance(err, WitnessError) else type(err).__name__
    return Problem(key="upkeep_failed", placeholders={"error": name})


def of_site(
    *,
    keys_lost: bool,
    held_keys_lost: int,
    unlisted: int,
    disk: Problem | None,
    tampered: Iterable[str],
    broken: Sequence[str],
    rolled_back: bool,
    unsigned: int,
) -> Iterator[Problem]:
    """The site's stores: ``tampered`` names logs set aside, ``broken`` names invariants.

    ``held_keys_lost`` counts held meetings, ``unlisted`` recordings that the index does not list.
    ``unsigned`` is the number of log lines that nobody had signed when it was opened.
    """
    if keys_lost:
        yield Problem(key="ephemeral_keys_lost")
    if held_keys_lost:
        yield Problem(key="held_keys_lost", placeholders={"count": str(held_keys_lost)})
    if unlisted:
        yield Problem(key="recordings_unlisted", placeholders={"count": str(unlisted)})
    if disk is not None:
        yield disk
    for name in tampered:
        yield Problem(key="log_tampered", placeholders={"kept_as": name})
    if broken:
        yield Problem(key="check_failed", placeholders={"invariants": ", ".join(broken)})
    if rolled_back:
        yield Problem(key="log_rolled_back")
    if unsigned:
        yield Problem(key="log_unsigned", placeholders={"count": str(unsigned)})


def of_room(room: RoomConfig, *, calendar_lost: bool, invalid: int) -> Iterator[Problem]:
    """A room's calendar, with so many invalid bookings, its legal file and its cameras."""
    if calendar_lost:
        yield calendar_missing(room)
    if invalid:
        yield Problem(key="booking_invalid", room_id=room.id, placeholders={"count": str(invalid)})
    yield from of_legal_file(room)
    yield from of_room_cameras(room)


def calendar_missing(room: RoomConfig) -> Problem:
    """The room's calendar cannot be read."""
    return Problem(key="calendar_missing", room_id=room.id)


def of_legal_file(room: RoomConfig) -> Iterator[Problem]:
    """A room does not arm before its legal file is filled in."""
    if missing := room.legal_file.missing:
        yield Problem(
            key="legal_file_incomplete",
            room_id=room.id,
            placeholders={"fields": ", ".join(missing)},
        )


def of_room_cameras(room: RoomConfig) -> Iterator[Problem]:
    """A room does not arm without a camera; one that is gone is missed, whatever others record."""
    if not room.cameras:
        yield Problem(key="room_without_camera", room_id=room.id)
    elif room.cameras_gone:
        told = {"count": str(room.cameras_gone)}
        yield Problem(key="room_camera_gone", room_id=room.id, placeholders=told)


def of_overrun(room_id: str, meetings: Iterable[Meeting]) -> Iterator[Problem]:
    """Meetings of the room that record past their planned end, if there are any."""
    if any(meetings):
        yield Problem(key="meeting_not_ended", room_id=room_id)


def of_removed_rooms(held: Sequence[Meeting], damaged: Set[str]) -> Iterator[Problem]:
    """Evidence whose room is no longer configured: no entity shows it."""
    if held:
        names = [meeting.id for meeting in sorted(held, key=lambda m: m.planned_start)]
        more = [] if len(names) <= _TOLD else ["..."]
        told = {"count": str(len(names)), "meetings": ", ".join(names[:_TOLD] + more)}
        yield Problem(key="evidence_without_room", placeholders=told)
    for meeting in held:
        yield from of_meeting(meeting, damaged, {})


def of_meeting(
    meeting: Meeting, damaged: Set[str], cameras: Mapping[str, CaptureStatus]
) -> Iterator[Problem]:
    """A meeting's segments, if it is among the ``damaged``, and the cameras that record it."""
    room_id = meeting.room_id
    if meeting.id in damaged:
        placeholders = {"meeting": meeting.id}
        yield Problem(key="segment_corrupted", room_id=room_id, placeholders=placeholders)
    yield from of_cameras(room_id, cameras)


def of_cameras(room_id: str, cameras: Mapping[str, CaptureStatus]) -> Iterator[Problem]:
    """The cameras that record, or are watched."""
    for camera_id, status in cameras.items():
        if status.error_key is not None:
            yield Problem(key=status.error_key, room_id=room_id, camera_id=camera_id)
        if status.sound_refused is not None:
            yield Problem(
                key="sound_unsupported",
                room_id=room_id,
                camera_id=camera_id,
                placeholders={"codec": status.sound_refused},
            )
        if status.sound_missing is not None:
            yield Problem(key=status.sound_missing, room_id=room_id, camera_id=camera_id)
