"""The lamp at the door shows whether the room records: after a crash, a restart, a hand, too."""

from typing import Any

import pytest
from homeassistant.config_entries import ConfigEntryDisabler
from homeassistant.core import Event, HomeAssistant, ServiceCall, callback
from homeassistant.exceptions import HomeAssistantError
from homeassistant.helpers import issue_registry as ir
from homeassistant.setup import async_setup_component
from pytest_homeassistant_custom_component.common import MockConfigEntry

from custom_components.room_witness.const import DOMAIN
from tests.camera import Camera

from .conftest import LAMP, MakeSite, camera_subentry, room_subentry, until
from .test_room import STATE, SWITCH, call, state

OTHER = "input_boolean.other"


@pytest.fixture
async def lamps(hass: HomeAssistant) -> None:
    assert await async_setup_component(hass, "homeassistant", {})
    helpers: dict[str, Any] = {"input_boolean": {"lamp": {}, "other": {}}}
    assert await async_setup_component(hass, "input_boolean", helpers)


async def turn(hass: HomeAssistant, lamp: str, *, on: bool) -> None:
    action = "turn_on" if on else "turn_off"
    await hass.services.async_call("input_boolean", action, {"entity_id": lamp}, blocking=True)


def issues(hass: HomeAssistant) -> set[str]:
    return {key for domain, key in ir.async_get(hass).issues if domain == DOMAIN}


def switched(hass: HomeAssistant, lamp: str = LAMP) -> list[str]:
    """What the lamp has shown since."""
    found: list[str] = []

    @callback
    def take(event: Event[Any]) -> None:
        if event.data["entity_id"] == lamp and (new := event.data["new_state"]) is not None:
            found.append(new.state)

    hass.bus.async_listen("state_changed", take)
    return found


async def started(hass: HomeAssistant, make_site: MakeSite, camera: Camera) -> MockConfigEntry:
    entry = await make_site(camera_subentry(camera), room_subentry())
    await call(hass, "start")
    await until(hass, lambda: state(hass, LAMP) == "on")
    return entry


async def test_a_lamp_that_was_left_on_is_put_out(
    hass: HomeAssistant, make_site: MakeSite, camera: Camera, lamps: None
) -> None:
    await turn(hass, LAMP, on=True)
    await make_site(camera_subentry(camera), room_subentry())
    await until(hass, lambda: state(hass, LAMP) == "off")


async def test_a_lamp_that_comes_late_is_shown_what_is(
    hass: HomeAssistant, make_site: MakeSite, camera: Camera
) -> None:
    assert await async_setup_component(hass, "homeassistant", {})
    await make_site(camera_subentry(camera), room_subentry())
    await call(hass, "start")
    await until(hass, lambda: "lamp_not_lit_room1" in issues(hass))
    helpers: dict[str, Any] = {"input_boolean": {"lamp": {}}}
    assert await async_setup_component(hass, "input_boolean", helpers)
    await until(hass, lambda: state(hass, LAMP) == "on")
    await until(hass, lambda: issues(hass) == set())


async def test_a_restart_in_mid_meeting_does_not_blink_it(
    hass: HomeAssistant, make_site: MakeSite, camera: Camera, lamps: None
) -> None:
    entry = await started(hass, make_site, camera)
    shown = switched(hass)
    assert await hass.config_entries.async_reload(entry.entry_id)
    await until(hass, lambda: state(hass, STATE) == "recording")
    await until(hass, lambda: state(hass, "binary_sensor.room_12_recording") == "on")
    assert shown == []
    await call(hass, "stop")
    await until(hass, lambda: state(hass, LAMP) == "off")
    assert shown == ["off"]


async def test_a_lamp_that_somebody_puts_out_is_on_again(
    hass: HomeAssistant, make_site: MakeSite, camera: Camera, lamps: None
) -> None:
    await started(hass, make_site, camera)
    shown = switched(hass)
    await turn(hass, LAMP, on=False)
    await until(hass, lambda: shown == ["off", "on"])


async def test_two_rooms_behind_one_lamp(
    hass: HomeAssistant, make_site: MakeSite, camera: Camera, lamps: None
) -> None:
    await make_site(camera_subentry(camera), room_subentry(), room_subentry("room2", "Room 14"))
    shown = switched(hass)
    other = {"entity_id": "switch.room_14_meeting"}
    await hass.services.async_call("switch", "turn_on", other, blocking=True)
    await call(hass, "start")
    await until(hass, lambda: state(hass, LAMP) == "on")
    await hass.services.async_call("switch", "turn_off", other, blocking=True)
    await until(hass, lambda: state(hass, "switch.room_14_meeting") == "off")
    assert shown == ["on"]
    await hass.services.async_call("switch", "turn_off", {"entity_id": SWITCH}, blocking=True)
    await until(hass, lambda: state(hass, LAMP) == "off")


async def test_another_lamp_for_the_room_and_none_for_a_room_that_is_gone(
    hass: HomeAssistant, make_site: MakeSite, camera: Camera, lamps: None
) -> None:
    entry = await started(hass, make_site, camera)
    room = entry.subentries["room1"]
    hass.config_entries.async_update_subentry(entry, room, data={**room.data, "lamp": OTHER})
    await until(hass, lambda: (state(hass, LAMP), state(hass, OTHER)) == ("off", "on"))
    await turn(hass, LAMP, on=True)
    await hass.async_block_till_done()
    assert state(hass, LAMP) == "on"  # It is nobody's any more.
    hass.config_entries.async_remove_subentry(entry, "room1")
    await until(hass, lambda: state(hass, OTHER) == "off")


@pytest.mark.parametrize("how", ["removed", "disabled"])
async def test_a_site_that_ends_says_no_longer_that_it_records(
    hass: HomeAssistant, make_site: MakeSite, camera: Camera, lamps: None, how: str
) -> None:
    entry = await started(hass, make_site, camera)
    if how == "removed":
        await hass.config_entries.async_remove(entry.entry_id)
    else:
        await hass.config_entries.async_set_disabled_by(entry.entry_id, ConfigEntryDisabler.USER)
        await hass.async_block_till_done()
    await until(hass, lambda: state(hass, LAMP) == "off")


async def test_a_lamp_that_refuses_is_tried_again_and_told_once(
    hass: HomeAssistant,
    make_site: MakeSite,
    camera: Camera,
    lamps: None,
    caplog: pytest.LogCaptureFixture,
) -> None:
    entry = await started(hass, make_site, camera)
    tries: list[ServiceCall] = []

    async def broken(service: ServiceCall) -> None:
        tries.append(service)
        raise HomeAssistantError("the bulb is out")

    hass.services.async_register("homeassistant", "turn_on", broken)
    await turn(hass, LAMP, on=False)
    await until(hass, lambda: tries)
    await hass.async_block_till_done()
    entry.runtime_data._async_refresh()
    await entry.runtime_data.witness.changes.told()
    await until(hass, lambda: len(tries) > 1)
    await until(hass, lambda: "lamp_not_lit_room1" in issues(hass))
    assert state(hass, "binary_sensor.room_12_problem") == "on"
    assert caplog.text.count("could not be switched") == 1
    hass.services.async_register("homeassistant", "turn_off", broken)
    await call(hass, "stop")
    await until(hass, lambda: "lamp_not_lit_room1" not in issues(hass))
    await turn(hass, LAMP, on=True)
    await until(hass, lambda: "lamp_not_out_room1" in issues(hass))
    tries.clear()
    await hass.config_entries.async_remove(entry.entry_id)
    assert tries
    assert not [r for r in caplog.records if r.exc_info and r.levelname == "ERROR"]
