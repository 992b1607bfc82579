"""A room's calendar: pushed cheaply, renamed, broken, let go."""

from datetime import datetime, timedelta
from typing import Any

import pytest
from homeassistant.components.calendar import CalendarEntity, CalendarEvent
from homeassistant.core import HomeAssistant
from homeassistant.helpers import entity_registry as er

from tests.camera import Camera

from .conftest import CALENDAR, LAMP, MakeSite, camera_subentry, room_subentry, until
from .test_room import STATE, book, call, state
from .test_site import issue_ids

OTHER = "calendar.room_twelve"
NEXT = "sensor.room_12_next_booking"


class DAVError(Exception):
    """As caldav has one: of nobody that Home Assistant knows."""


def entity(hass: HomeAssistant) -> CalendarEntity:
    found = hass.data["calendar"].get_entity(CALENDAR)
    assert isinstance(found, CalendarEntity)
    return found


async def test_a_push_does_not_make_out_years_of_bookings(
    hass: HomeAssistant,
    make_site: MakeSite,
    camera: Camera,
    calendar: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    asked: list[timedelta] = []
    real = type(entity(hass)).async_get_events

    async def events(
        self: CalendarEntity, hass: HomeAssistant, start: datetime, end: datetime
    ) -> list[CalendarEvent]:
        asked.append(end - start)
        return await real(self, hass, start, end)

    monkeypatch.setattr(type(entity(hass)), "async_get_events", events)
    await make_site(camera_subentry(camera), room_subentry(calendar=CALENDAR))
    await until(hass, lambda: asked)
    asked.clear()
    await book(hass, 86400 * 400, 60)  # Nothing that the calendar's own state shows.
    await until(hass, lambda: timedelta(seconds=1) in asked and timedelta(days=8) in asked)
    assert set(asked) == {timedelta(seconds=1), timedelta(days=8)}


async def test_a_push_alone_tells_of_a_booking(
    hass: HomeAssistant, make_site: MakeSite, camera: Camera, calendar: str
) -> None:
    """Another one comes before it, so that the calendar's state stays as it is."""
    entry = await make_site(camera_subentry(camera), room_subentry(calendar=CALENDAR))
    await book(hass, 3600, 60)
    known = entry.runtime_data.witness._wishes.bookings
    await until(hass, lambda: len(known.get("room1", ())) == 1)
    shown = hass.states.get(CALENDAR)
    await book(hass, 7200, 60)
    await until(hass, lambda: len(known["room1"]) == 2, 20)  # Before the minute is over.
    assert hass.states.get(CALENDAR) is shown


async def test_a_renamed_calendar_and_lamp_are_followed(
    hass: HomeAssistant, make_site: MakeSite, camera: Camera, calendar: str
) -> None:
    entry = await make_site(camera_subentry(camera), room_subentry(calendar=CALENDAR))
    registry = er.async_get(hass)
    registry.async_update_entity(CALENDAR, new_entity_id=OTHER)
    registry.async_update_entity(LAMP, new_entity_id="input_boolean.door")
    await until(hass, lambda: hass.states.get(OTHER))
    room = entry.subentries["room1"].data
    assert (room["calendar"], room["lamp"]) == (OTHER, "input_boolean.door")
    assert room["cameras"] == ["camera1"]
    await book(hass, -2, 600, entity_id=OTHER)
    await until(hass, lambda: state(hass, STATE) == "recording")
    await until(hass, lambda: state(hass, "input_boolean.door") == "on")
    await until(hass, lambda: not issue_ids(hass))
    # What has the lamp's old id now is no lamp of ours.
    switched: list[Any] = []
    hass.bus.async_listen("call_service", switched.append)
    hass.states.async_set(LAMP, "on")
    await call(hass, "stop")
    await until(hass, lambda: state(hass, "input_boolean.door") == "off")
    targets = [e.data["service_data"].get("entity_id") for e in switched]
    assert LAMP not in targets
    assert [LAMP] not in targets


async def test_a_rename_is_followed_while_the_site_is_not_loaded(
    hass: HomeAssistant, make_site: MakeSite, camera: Camera, calendar: str
) -> None:
    entry = await make_site(camera_subentry(camera), room_subentry(calendar=CALENDAR))
    assert await hass.config_entries.async_unload(entry.entry_id)
    er.async_get(hass).async_update_entity(CALENDAR, new_entity_id=OTHER)
    await hass.async_block_till_done()
    assert entry.subentries["room1"].data["calendar"] == OTHER


async def test_whatever_a_calendar_raises_is_told_once_and_not_repeated(
    hass: HomeAssistant,
    make_site: MakeSite,
    camera: Camera,
    calendar: str,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    tries = 0

    async def events(_self: CalendarEntity, *_: Any) -> list[CalendarEvent]:
        nonlocal tries
        tries += 1
        raise DAVError("https://dav.example.org/anna")

    kind = type(entity(hass))
    entry = await make_site(camera_subentry(camera), room_subentry(calendar=CALENDAR))
    await book(hass, 3600, 60)
    await until(hass, lambda: state(hass, NEXT) != "unknown")
    with monkeypatch.context() as patch:
        patch.setattr(kind, "async_get_events", events)
        entry.runtime_data._bookings.async_rooms_changed()
        await until(hass, lambda: "calendar_missing_room1" in issue_ids(hass))
        first = tries
        entry.runtime_data._bookings.async_rooms_changed()
        await until(hass, lambda: tries > first)
    ours = [r for r in caplog.records if "custom_components" in r.name or r.name == "homeassistant"]
    assert [r.getMessage() for r in ours if r.levelname in {"WARNING", "ERROR"}] == [
        "A room's calendar could not be read: DAVError"
    ]
    assert "anna" not in caplog.text
    assert state(hass, NEXT) != "unknown", "what was known stays"
    # Facilities give the calendar up.
    room = entry.subentries["room1"]
    data = {key: value for key, value in room.data.items() if key != "calendar"}
    hass.config_entries.async_update_subentry(entry, room, data=data)
    await until(hass, lambda: not issue_ids(hass))
    assert state(hass, NEXT) == "unknown"
    assert state(hass, "binary_sensor.room_12_problem") == "off"
