"""Bookings in the demo's calendars."""

from datetime import UTC, datetime, timedelta

from .client import Client

CALENDARS = ("calendar.room_12", "calendar.room_14")


async def book(client: Client, calendar: str, begin_s: float, end_s: float) -> datetime:
    """An event from so many seconds from now; returns when it begins."""
    # A calendar knows no fractions of a second.
    now = datetime.now(UTC).replace(microsecond=0) + timedelta(seconds=1)
    start, end = (now + timedelta(seconds=seconds) for seconds in (begin_s, end_s))
    await client.act(
        "calendar.create_event",
        calendar,
        summary="Visit",
        start_date_time=start.isoformat(),
        end_date_time=end.isoformat(),
    )
    return start


async def clear(client: Client) -> None:
    """Take every event of yesterday to tomorrow out of the calendars."""
    now = datetime.now(UTC)
    span = f"start={_query(now - timedelta(days=1))}&end={_query(now + timedelta(days=1))}"
    for calendar in CALENDARS:
        for event in await client.get(f"/api/calendars/{calendar}?{span}"):
            await client.command("calendar/event/delete", entity_id=calendar, uid=event["uid"])


def _query(time: datetime) -> str:
    return time.isoformat().replace("+00:00", "Z")
