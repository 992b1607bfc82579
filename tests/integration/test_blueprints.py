"""The blueprints in Home Assistant's own automation engine, and how they get to a site."""

import asyncio
import json
from datetime import timedelta
from pathlib import Path

import pytest
from homeassistant.core import CoreState, HomeAssistant, ServiceCall
from homeassistant.setup import async_setup_component
from homeassistant.util import dt as dt_util
from pytest_homeassistant_custom_component.common import (
    async_fire_time_changed,
    async_mock_service,
)

from custom_components.room_witness import blueprints
from roomwitness.files import sha256

HERE = Path(blueprints.__file__).parent / "blueprints" / "automation"
WALL, CALENDAR = "wall_switch_to_threat.yaml", "calendar_to_recording.yaml"
ROOM = "switch.room_14_meeting"
BOOKINGS = "calendar.room_14"


@pytest.fixture
def expected_lingering_timers() -> bool:
    """An automation waits for its next ten minutes until its Home Assistant is gone."""
    return True


async def automate(hass: HomeAssistant, blueprint: str, **inputs: str) -> None:
    await blueprints.async_install(hass)
    use = {"path": f"room_witness/{blueprint}", "input": {"room": ROOM, **inputs}}
    config = {"automation": {"use_blueprint": use}}
    Path(hass.config.path("configuration.yaml")).write_text(json.dumps(config))  # For a reload.
    assert await async_setup_component(hass, "automation", config)
    await hass.async_block_till_done()


async def becomes(hass: HomeAssistant, entity_id: str, state: str, **attributes: object) -> None:
    hass.states.async_set(entity_id, state, attributes)
    await hass.async_block_till_done()


async def turns(hass: HomeAssistant, entity_id: str, state: str) -> None:
    """As ``becomes``, where an automation may wait for what comes next: nothing is then done."""
    hass.states.async_set(entity_id, state)
    await passes()


async def passes() -> None:
    for _ in range(100):
        await asyncio.sleep(0)


def shown(state: str | int) -> str:
    """A number is a press so many seconds ago, as a button or event shows it."""
    if isinstance(state, str):
        return state
    moment = dt_util.utcnow() - timedelta(seconds=state)
    return moment.isoformat(timespec="milliseconds")


@pytest.mark.parametrize(
    ("entity_id", "states", "reports"),
    [
        ("binary_sensor.wall", ["off", "on"], 1),
        ("binary_sensor.wall", ["off", "on", "off", "on"], 2),
        ("switch.wall", ["on", "off"], 0),
        ("switch.wall", ["unavailable", "on"], 0),
        ("switch.wall", ["unknown", "on"], 0),
        ("switch.wall", ["off", "unavailable", "on"], 0),
        ("switch.wall", ["on", "unavailable", "unknown"], 0),
        ("event.wall", [500, 0], 1),
        ("event.wall", ["unknown", 0], 1),
        ("event.wall", ["unavailable", 0], 1),
        ("event.wall", ["unavailable", 500], 0),
        ("event.wall", ["unavailable", -500], 0),
        ("event.wall", ["unknown", 500], 0),
        ("event.wall", [500, "unavailable", 500, 0], 1),
        ("button.wall", ["unavailable", "unknown", 0], 1),
    ],
)
async def test_a_press_is_reported_and_nothing_else(
    hass: HomeAssistant, entity_id: str, states: list[str | int], reports: int
) -> None:
    reported = async_mock_service(hass, "room_witness", "report_threat")
    await becomes(hass, entity_id, shown(states[0]))
    await automate(hass, WALL, wall_switch=entity_id)
    for state in states[1:]:
        await becomes(hass, entity_id, shown(state))
    assert len(reported) == reports
    assert all(call.data["entity_id"] == [ROOM] for call in reported)


@pytest.mark.parametrize(("entity_id", "state"), [("switch.wall", "on"), ("event.wall", 60)])
async def test_a_new_attribute_or_an_entity_that_goes_is_no_press(
    hass: HomeAssistant, entity_id: str, state: str | int
) -> None:
    reported = async_mock_service(hass, "room_witness", "report_threat")
    is_now = shown(state)
    await becomes(hass, entity_id, is_now, linkquality=80)
    await automate(hass, WALL, wall_switch=entity_id)
    await becomes(hass, entity_id, is_now, linkquality=81)
    hass.states.async_remove(entity_id)
    await hass.async_block_till_done()
    await becomes(hass, entity_id, is_now)
    assert reported == []


async def test_the_first_press_of_a_new_button_is_reported(hass: HomeAssistant) -> None:
    reported = async_mock_service(hass, "room_witness", "report_threat")
    assert await async_setup_component(hass, "input_button", {"input_button": {"wall": {}}})
    await automate(hass, WALL, wall_switch="input_button.wall")
    for presses in (1, 2):
        await hass.services.async_call(
            "input_button", "press", {"entity_id": "input_button.wall"}, blocking=True
        )
        await hass.async_block_till_done()
        assert len(reported) == presses


class Room:
    """The room's switch, as it is asked."""

    def __init__(self, hass: HomeAssistant) -> None:
        self.calls: list[str] = []
        for service, state in (("turn_on", "on"), ("turn_off", "off")):

            async def called(call: ServiceCall, state: str = state) -> None:
                assert call.data["entity_id"] == [ROOM]
                self.calls.append(state)
                hass.states.async_set(ROOM, state)

            hass.services.async_register("switch", service, called)
        hass.states.async_set(ROOM, "off")


@pytest.mark.parametrize(
    ("states", "asked"),
    [
        (["on", "off"], ["on", "off"]),
        (["on", "unavailable", "off"], ["on", "off"]),
        (["on", "unavailable", "unknown", "off"], ["on", "off"]),
        (["on", "unavailable", "on", "off"], ["on", "on", "off"]),
        (["unavailable", "off"], []),
    ],
)
async def test_an_event_is_recorded_while_it_runs_also_if_the_calendar_is_away_at_its_end(
    hass: HomeAssistant, states: list[str], asked: list[str]
) -> None:
    room = Room(hass)
    await becomes(hass, BOOKINGS, "off")
    await automate(hass, CALENDAR, calendar=BOOKINGS)
    for state in states:
        await turns(hass, BOOKINGS, state)
    await hass.async_block_till_done()
    assert room.calls == asked


@pytest.mark.parametrize(
    ("states", "asked"),
    [
        (["off"], ["off"]),
        (["on"], []),
        (["unavailable", "off"], ["off"]),
        (["unavailable", "on"], ["on"]),
    ],
)
async def test_an_event_that_ended_while_home_assistant_was_down_is_ended(
    hass: HomeAssistant, states: list[str], asked: list[str]
) -> None:
    room = Room(hass)
    hass.set_state(CoreState.not_running)
    await becomes(hass, ROOM, "on")
    await becomes(hass, BOOKINGS, states[0])
    await automate(hass, CALENDAR, calendar=BOOKINGS)
    assert room.calls == []
    await hass.async_start()
    await passes()
    for state in states[1:]:
        await turns(hass, BOOKINGS, state)
    await hass.async_block_till_done()
    assert room.calls == asked


async def test_a_long_event_is_recorded_to_its_end_unless_staff_ended_it(
    hass: HomeAssistant,
) -> None:
    room = Room(hass)
    await becomes(hass, BOOKINGS, "off")
    await automate(hass, CALENDAR, calendar=BOOKINGS)

    async def ten_minutes_later() -> list[str]:
        room.calls.clear()
        nonlocal moment
        moment += timedelta(minutes=10)
        async_fire_time_changed(hass, moment)
        await passes()
        return room.calls

    moment = dt_util.utcnow().replace(minute=0, second=0, microsecond=0) + timedelta(hours=1)
    assert await ten_minutes_later() == []
    await becomes(hass, BOOKINGS, "on")
    assert await ten_minutes_later() == ["on"]
    await becomes(hass, ROOM, "off")
    assert await ten_minutes_later() == []
    await becomes(hass, ROOM, "on")
    await turns(hass, BOOKINGS, "unavailable")
    assert await ten_minutes_later() == []
    await becomes(hass, BOOKINGS, "off")
    assert room.calls == ["off"]


def place(hass: HomeAssistant, name: str) -> Path:
    return Path(hass.config.path("blueprints", "automation", "room_witness", name))


async def test_an_earlier_version_is_replaced_and_its_automations_follow(
    hass: HomeAssistant, monkeypatch: pytest.MonkeyPatch
) -> None:
    reported = async_mock_service(hass, "room_witness", "report_threat")
    earlier = async_mock_service(hass, "room_witness", "earlier")
    await becomes(hass, "switch.wall", "off")
    await automate(hass, WALL, wall_switch="switch.wall")
    path = place(hass, WALL)
    path.write_text(path.read_text().replace("report_threat", "earlier"))
    await hass.services.async_call("automation", "reload", blocking=True)
    await becomes(hass, "switch.wall", "on")
    assert (len(earlier), len(reported)) == (1, 0)
    await blueprints.async_install(hass)
    assert "earlier" in path.read_text(), "somebody edited it: it is theirs"
    edited = sha256(path)
    assert edited is not None
    monkeypatch.setattr(blueprints, "_OURS", blueprints._OURS | {edited})
    await blueprints.async_install(hass)
    await hass.async_block_till_done()
    assert path.read_bytes() == (HERE / WALL).read_bytes()
    await becomes(hass, "switch.wall", "off")
    await becomes(hass, "switch.wall", "on")
    assert (len(earlier), len(reported)) == (1, 1)
    assert sorted(p.name for p in path.parent.iterdir()) == [CALENDAR, WALL]


def test_every_blueprint_is_known_as_ours() -> None:
    """Once it is changed a site that has it must still be told from one that edited it."""
    assert {sha256(path) for path in HERE.glob("*.yaml")} <= blueprints._OURS
