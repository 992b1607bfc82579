"""What the custody log tells of holds, carried out on meetings that a kill or a disk kept from it.

Reasons are not in the log, because they may hold names: what is carried out from it has none.
Lines that nobody had signed until the start found them (custody/adopted.py) may be anybody's: of
those only what protects is carried out. A release among them is none, and staff may release again.
"""

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from roomwitness.custody import CustodyLog, LogTampered, decode_entry
from roomwitness.custody.adopted import ADOPTED, doubted, in_doubt
from roomwitness.errors import WitnessError
from roomwitness.policy import holds
from roomwitness.policy import meeting as events
from roomwitness.policy.words import Hold, HoldKind, Meeting, RoomPolicy
from roomwitness.vault.index import Index
from roomwitness.vault.times import time_of

# What was logged had been allowed: the room's rules are not asked again.
_ANY = RoomPolicy()
_WORDS = b'"hold":', f'"{ADOPTED}"'.encode()


@dataclass(frozen=True, slots=True)
class Late:
    """An entry about a hold, and whether it was signed when it was written."""

    entry: Mapping[str, Any]
    vouched: bool = True


def unread(log: CustodyLog, index: Index) -> list[Late]:
    """Entries about holds behind the byte up to which the index knows that it has them all.

    Call it before the log gets another entry than what it tells of by itself.
    """
    caught_up = index.caught_up()
    if caught_up is None or caught_up > log.length:  # A new index, or an older log was put back.
        index.save_meetings([], log.length)
        return []
    lines = [
        (number, line)
        for number, line in enumerate(log.since(caught_up))
        if any(word in line for word in _WORDS)
    ]
    doubt = doubted(lines)
    late = []
    for number, line in lines:
        with suppress(LogTampered):  # The log may have been exchanged for another.
            late.append(Late(decode_entry(line), not in_doubt(number, doubt)))
    return late


def replayed(meeting: Meeting, late: Late) -> Meeting:
    """The meeting with what the entry changed of its holds; as it is, if that is no news to it.

    Nothing that is not ``vouched`` for ends a hold, asks for that, or brings its review nearer.
    """
    try:
        return _replayed(meeting, late)
    except TypeError, ValueError, OverflowError, OSError:
        if late.vouched:
            raise
        return meeting  # Not even an entry of ours.


def _replayed(meeting: Meeting, late: Late) -> Meeting:
    at = datetime.fromisoformat(late.entry["time"])
    if at.tzinfo is None:
        raise ValueError("no time zone")
    event = _event(late.entry, at)
    known = {hold.id for hold in meeting.holds}
    if event is None or (isinstance(event, events.PlaceHold) and event.hold.id in known):
        return meeting
    if not (late.vouched or _protects(meeting, event)):
        return meeting
    with suppress(WitnessError):  # A hold that is released, or not there: the daily check tells.
        return events.advance(meeting, event, at, _ANY)
    return meeting


def _protects(meeting: Meeting, event: events.Event) -> bool:
    match event:
        case events.PlaceHold() | holds.WithdrawRelease():
            return True
        case holds.ExtendHold(hold_id=hold_id, review_date=date):
            return any(h.id == hold_id and h.review_date < date for h in meeting.open_holds)
        case _:
            return False


def _event(entry: Mapping[str, Any], at: datetime) -> events.Event | None:
    match entry:
        case {
            "kind": "report_threat" | "place_hold",
            "hold": str(hold_id),
            "hold_kind": str(kind),
            "review_date": float(date),
        } if kind in HoldKind:
            hold = Hold(
                id=hold_id,
                kind=HoldKind(kind),
                reason="",
                created=at,
                review_date=time_of(date),
                placed_by=_name(entry.get("by")),
            )
            return events.PlaceHold(hold)
        case {"kind": "extend_hold", "hold": str(hold_id), "review_date": float(date)}:
            return holds.ExtendHold(hold_id, time_of(date), "", entry.get("by"))
        case {"kind": "release_hold" | "lapse_hold", "hold": str(hold_id)}:
            return events.ReleaseHold(hold_id, "", entry.get("by"))
        case {"kind": "ask_release", "hold": str(hold_id)}:
            return holds.AskRelease(hold_id, "", entry.get("by"))
        case {"kind": "withdraw_release", "hold": str(hold_id)}:
            return holds.WithdrawRelease(hold_id, entry.get("by"))
        case _:
            return None


def _name(value: object) -> str | None:
    if not (value is None or isinstance(value, str)):
        raise TypeError("not a name")
    return value
