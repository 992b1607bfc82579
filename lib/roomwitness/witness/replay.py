"""What the custody log tells of holds, carried out on meetings that a kill or a disk kept from it.

Reasons are not in the log, because they may hold names: what is carried out from it has none.
"""

from collections.abc import Mapping
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any

from roomwitness.custody import CustodyLog, LogTampered, decode_entry
from roomwitness.errors import WitnessError
from roomwitness.policy import holds
from roomwitness.policy import meeting as events
from roomwitness.policy.words import Hold, HoldKind, Meeting, RoomPolicy
from roomwitness.vault.index import Index

# What was logged had been allowed: the room's rules are not asked again.
_ANY = RoomPolicy()


def unread(log: CustodyLog, index: Index) -> list[dict[str, Any]]:
    """Entries about holds behind the byte up to which the index knows that it has them all.

    Call it before the log gets another entry.
    """
    caught_up = index.caught_up()
    if caught_up is None or caught_up > log.length:  # A new index, or an older log was put back.
        index.save_meetings([], log.length)
        return []
    entries = []
    for line in log.since(caught_up):
        if b'"hold":' in line:
            with suppress(LogTampered):  # The log may have been exchanged for another.
                entries.append(decode_entry(line))
    return entries


def replayed(meeting: Meeting, entry: Mapping[str, Any]) -> Meeting:
    """The meeting with what the entry changed of its holds; as it is, if that is no news to it."""
    at = datetime.fromisoformat(entry["time"])
    event = _event(entry, at)
    known = {hold.id for hold in meeting.holds}
    if event is None or (isinstance(event, events.PlaceHold) and event.hold.id in known):
        return meeting
    with suppress(WitnessError):  # A hold that is released, or not there: the daily check tells.
        return events.advance(meeting, event, at, _ANY)
    return meeting


def _event(entry: Mapping[str, Any], at: datetime) -> events.Event | None:
    match entry:
        case {
            "kind": "report_threat" | "place_hold",
            "hold": str(hold_id),
            "hold_kind": kind,
            "review_date": float(date),
        } if kind in HoldKind:
            hold = Hold(
                id=hold_id,
                kind=HoldKind(kind),
                reason="",
                created=at,
                review_date=_time(date),
                placed_by=entry.get("by"),
            )
            return events.PlaceHold(hold)
        case {"kind": "extend_hold", "hold": str(hold_id), "review_date": float(date)}:
            return holds.ExtendHold(hold_id, _time(date), "", entry.get("by"))
        case {"kind": "release_hold" | "lapse_hold", "hold": str(hold_id)}:
            return events.ReleaseHold(hold_id, "", entry.get("by"))
        case {"kind": "ask_release", "hold": str(hold_id)}:
            return holds.AskRelease(hold_id, "", entry.get("by"))
        case {"kind": "withdraw_release", "hold": str(hold_id)}:
            return holds.WithdrawRelease(hold_id, entry.get("by"))
        case _:
            return None


def _time(value: float) -> datetime:
    return datetime.fromtimestamp(value, UTC)
