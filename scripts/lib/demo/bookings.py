"""Bookings in the demo's calendars."""

from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import urlencode

from .client import Client

CALENDARS = ("calendar.room_12", "calendar.room_14")
_MARK = "made by the demo"
# First begin, length and pause of the visits: the rooms take turns, and in a pause what was
# calm is erased.
_FIRST = {"calendar.room_12": 30, "calendar.room_14": 45}
_LENGTH, _PAUSE = 120, 60
_AHEAD = timedelta(minutes=20)


async def book(client: Client, calendar: str, begin_s: float, end_s: float) -> datetime:
    """An event from so many seconds from now; returns when it begins."""
    # A calendar knows no fractions of a second.
    now = datetime.now(UTC).replace(microsecond=0) + timedelta(seconds=1)
    start, end = (now + timedelta(seconds=seconds) for seconds in (begin_s, end_s))
    await client.act(
        "calendar.create_event",
        calendar,
        summary="Visit",
        description=_MARK,
        start_date_time=start.isoformat(),
        end_date_time=end.isoformat(),
    )
    return start


async def shorten(client: Client, calendar: str, end_s: float) -> None:
    """The running visit ends in so many seconds."""
    now = datetime.now(UTC).replace(microsecond=0)
    for event in await _ours(client, calendar):
        start = datetime.fromisoformat(event["start"]["dateTime"])
        if start <= now < datetime.fromisoformat(event["end"]["dateTime"]):
            changed = {
                "summary": event["summary"],
                "description": _MARK,
                "dtstart": start.astimezone(UTC).isoformat(),
                "dtend": (now + timedelta(seconds=end_s)).isoformat(),
            }
            kind = "calendar/event/update"
            await client.command(kind, entity_id=calendar, uid=event["uid"], event=changed)


async def top_up(client: Client) -> dict[str, list[datetime]]:
    """Visits for the next while, also if it runs for days; when the new ones begin."""
    begin: dict[str, list[datetime]] = {calendar: [] for calendar in CALENDARS}
    for calendar in CALENDARS:
        now = datetime.now(UTC)
        ends = [datetime.fromisoformat(e["end"]["dateTime"]) for e in await _ours(client, calendar)]
        last = max([end for end in ends if end > now], default=None)
        wait = (last - now).total_seconds() + _PAUSE if last else float(_FIRST[calendar])
        while wait < _AHEAD.total_seconds():
            begin[calendar].append(await book(client, calendar, wait, wait + _LENGTH))
            wait += _LENGTH + _PAUSE
    return begin


async def clear(client: Client) -> None:
    """Take the demo's visits of yesterday to tomorrow out of the calendars; a running one ends."""
    for calendar in CALENDARS:
        for event in await _ours(client, calendar):
            await client.command("calendar/event/delete", entity_id=calendar, uid=event["uid"])


async def _ours(client: Client, calendar: str) -> list[dict[str, Any]]:
    now, day = datetime.now(UTC), timedelta(days=1)
    span = {"start": (now - day).isoformat(), "end": (now + day).isoformat()}
    events = await client.get(f"/api/calendars/{calendar}?{urlencode(span)}")
    return [event for event in events if event.get("description") == _MARK]
