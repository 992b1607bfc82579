"""Cameras as devices: a repair sets a clock, own recordings are told, who moved is followed."""

from functools import partial
from typing import Any

import pytest
from homeassistant.components.repairs import repairs_flow_manager
from homeassistant.core import HomeAssistant
from homeassistant.data_entry_flow import FlowResultType
from homeassistant.helpers import issue_registry as ir
from homeassistant.setup import async_setup_component
from pytest_homeassistant_custom_component.common import MockConfigEntry

from custom_components.room_witness.const import DOMAIN
from roomwitness.onvif import discover
from tests.camera import Camera
from tests.camera.discovery import Discovery
from tests.peers import free_port

from .conftest import MakeSite, camera_subentry, room_subentry, until
from .test_backup import log_entries

CLOCK = "device_clock_off_room1_camera1"


@pytest.fixture
async def entry(
    hass: HomeAssistant, make_site: MakeSite, camera: Camera, calendar: str
) -> MockConfigEntry:
    assert await async_setup_component(hass, "repairs", {})
    camera.onvif.house.serial = "SN-1"
    known = {"endpoint": str(camera.onvif.house.endpoint), "serial": "SN-1"}
    return await make_site(camera_subentry(camera, **known), room_subentry())


def issues(hass: HomeAssistant) -> set[str]:
    return {key for (domain, key) in ir.async_get(hass).issues if domain == DOMAIN}


async def check(hass: HomeAssistant) -> None:
    press = {"entity_id": "button.room_12_check_now"}
    await hass.services.async_call("button", "press", press, blocking=True)
    await hass.async_block_till_done()


class Repair:
    """Drives the fix flow of the clock."""

    def __init__(self, hass: HomeAssistant) -> None:
        manager = repairs_flow_manager(hass)
        assert manager is not None
        self._manager = manager
        self.result: Any = None

    async def start(self) -> Any:
        self.result = await self._manager.async_init(DOMAIN, data={"issue_id": CLOCK})
        return self.result

    async def go(self, **user_input: Any) -> Any:
        self.result = await self._manager.async_configure(self.result["flow_id"], user_input)
        return self.result


async def test_a_clock_is_set_from_the_repair(
    hass: HomeAssistant, camera: Camera, entry: MockConfigEntry
) -> None:
    house = camera.onvif.house
    await camera.fault("clock_offset_s", -3600.0)
    await check(hass)
    issue = ir.async_get(hass).issues[DOMAIN, CLOCK]
    assert issue.is_fixable
    assert issue.translation_placeholders == {
        "camera": "Door camera",
        "room": "Room 12",
        "offset": "-1 h 00 min",
    }
    repair = Repair(hass)
    result = await repair.start()
    # Its time server is on, and plainly not reached.
    assert (result["type"], result["step_id"]) == (FlowResultType.MENU, "ntp")
    assert result["description_placeholders"] == {"camera": "Door camera", "offset": "-1 h 00 min"}
    assert (await repair.go(next_step_id="init"))["step_id"] == "ntp"
    assert (await repair.go(next_step_id="set_clock"))["step_id"] == "set_clock"
    house.may_set = False
    assert (await repair.go())["errors"] == {"base": "not_administrator"}
    house.may_set, house.keeps_clock_wrong = True, True
    assert (await repair.go())["errors"] == {"base": "clock_still_off"}
    house.keeps_clock_wrong = False
    await camera.fault("kill")
    assert (await repair.go())["errors"] == {"base": "onvif_unreachable"}
    await camera.fault("revive")
    assert (await repair.go())["type"] is FlowResultType.CREATE_ENTRY
    await hass.async_block_till_done()
    assert CLOCK not in issues(hass)
    assert abs(camera.faults.clock_offset_s) < 0.5
    assert not house.ntp


async def test_a_clock_that_somebody_set_meanwhile_is_left_alone(
    hass: HomeAssistant, camera: Camera, entry: MockConfigEntry
) -> None:
    camera.onvif.house.ntp = False
    await camera.fault("clock_offset_s", 10.0)
    await check(hass)
    repair = Repair(hass)
    await camera.fault("kill")
    assert (await repair.start())["step_id"] == "unreachable"
    assert (await repair.go())["errors"] == {"base": "onvif_unreachable"}
    await camera.fault("revive")
    assert (await repair.go())["step_id"] == "set_clock"
    await camera.fault("clock_offset_s", 0.0)
    assert (await repair.start())["type"] is FlowResultType.CREATE_ENTRY
    await hass.async_block_till_done()
    assert CLOCK not in issues(hass)
    await camera.fault("clock_offset_s", 10.0)
    await check(hass)
    camera.onvif.house._GetSystemDateAndTime = lambda _: "<tds:R/>"  # type: ignore[method-assign]
    assert (await repair.start())["reason"] == "no_clock"


async def test_the_repair_of_a_site_that_is_not_loaded(
    hass: HomeAssistant, camera: Camera, entry: MockConfigEntry
) -> None:
    camera.onvif.house.ntp = False
    await camera.fault("clock_offset_s", 10.0)
    await check(hass)
    repair = Repair(hass)
    assert (await repair.start())["step_id"] == "set_clock"
    assert await hass.config_entries.async_unload(entry.entry_id)
    assert (await repair.go())["reason"] == "site_not_loaded"
    assert (await repair.start())["reason"] == "site_not_loaded"


async def test_a_camera_that_records_by_itself_is_told_until_it_does_not(
    hass: HomeAssistant, camera: Camera, entry: MockConfigEntry
) -> None:
    house = camera.onvif.house
    house.jobs, house.stored = ["Active"], 1
    await check(hass)
    assert issues(hass) == {"camera_records_room1_camera1"}
    assert not ir.async_get(hass).issues[DOMAIN, "camera_records_room1_camera1"].is_fixable
    house.jobs = ["Idle"]
    await check(hass)
    assert issues(hass) == {"camera_keeps_recordings_room1_camera1"}
    house.stored, house.storages = 0, ["nfs://10.0.0.9/pictures"]
    await check(hass)
    assert issues(hass) == {"camera_stores_elsewhere_room1_camera1"}
    house.storages = []
    await check(hass)
    assert issues(hass) == set()


async def test_the_address_follows_the_camera(
    hass: HomeAssistant, camera: Camera, entry: MockConfigEntry
) -> None:
    devices = entry.runtime_data.witness.devices
    devices.again_s = 0.0
    responder = Discovery("door", "127.0.0.1", camera.onvif.port, camera.onvif.house.endpoint)
    await responder.start(0)
    devices.find = partial(discover, 0.2, [("127.0.0.1", responder.port)])
    subentry = entry.subentries["camera1"]
    # As if DHCP had given it another address while nobody looked.
    elsewhere = {"port": free_port()}
    stream = camera.url.replace("127.0.0.1", "camera.invalid")
    hass.config_entries.async_update_subentry(
        entry, subentry, data={**subentry.data, **elsewhere, "stream_url": stream}
    )
    await hass.async_block_till_done()
    await devices.round()
    await until(hass, lambda: entry.subentries["camera1"].data["stream_url"] == camera.url)
    responder.stop()
    data = entry.subentries["camera1"].data
    assert (data["port"], data["stream_url"]) == (camera.onvif.port, camera.url)
    assert data["password"] == "pa ss"
    await check(hass)
    assert issues(hass) == set()
    assert "camera_moved" in [
        e["kind"] for e in await hass.async_add_executor_job(log_entries, hass)
    ]
    # A camera that was removed meanwhile is nobody's.
    devices.moved("gone", None)
