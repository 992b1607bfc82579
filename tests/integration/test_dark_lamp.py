"""A lamp that disobeys, or is not there: people learn that the visitor is not told."""

import asyncio
from typing import Any

import aiohttp
import pytest
from homeassistant.components.switch import SwitchEntity
from homeassistant.core import HomeAssistant
from homeassistant.exceptions import HomeAssistantError
from homeassistant.setup import async_setup_component
from pytest_homeassistant_custom_component.common import (
    MockConfigEntry,
    setup_test_component_platform,
)

from custom_components.room_witness import lamp
from custom_components.room_witness.const import DOMAIN
from tests.camera import Camera
from tests.camera.signals import Relay

from .conftest import MakeSite, camera_subentry, room_subentry, until
from .test_lamp import issues
from .test_room import SWITCH, call, state

BULB = "switch.bulb"
SECRET = "rtsp://10.0.0.7 The mayor"
NOT_LIT, NOT_OUT, MISSING = "lamp_not_lit_room1", "lamp_not_out_room1", "lamp_missing_room1"


class Bulb(SwitchEntity):
    """Takes every command; shows what it is told only while it has power."""

    _attr_name = "Bulb"
    _attr_should_poll = False
    _attr_is_on = False

    def __init__(self) -> None:
        self.power = True
        self.commands: list[bool] = []
        self.broken_off = 0
        self.error: Exception | None = None
        self.hangs: asyncio.Event | None = None

    def now(self, **changes: Any) -> None:
        for name, value in changes.items():
            setattr(self, name, value)
        self.async_write_ha_state()

    async def _take(self, *, on: bool) -> None:
        self.commands.append(on)
        if self.error is not None:
            raise self.error
        if self.hangs is not None:
            try:
                await self.hangs.wait()
            except asyncio.CancelledError:
                self.broken_off += 1
                raise
        if self.power:
            self.now(_attr_is_on=on)

    async def async_turn_on(self, **_: Any) -> None:
        await self._take(on=True)

    async def async_turn_off(self, **_: Any) -> None:
        await self._take(on=False)


@pytest.fixture
async def bulb(hass: HomeAssistant, monkeypatch: pytest.MonkeyPatch) -> Bulb:
    monkeypatch.setattr(lamp, "_SHOWN_S", 0.2)
    assert await async_setup_component(hass, "homeassistant", {})
    found = Bulb()
    setup_test_component_platform(hass, "switch", [found])
    assert await async_setup_component(hass, "switch", {"switch": {"platform": "test"}})
    await hass.async_block_till_done()
    assert state(hass, BULB) == "off"
    return found


async def site(make_site: MakeSite, camera: Camera) -> MockConfigEntry:
    return await make_site(camera_subentry(camera), room_subentry(lamp=BULB))


async def a_minute_passes(hass: HomeAssistant, entry: MockConfigEntry, bulb: Bulb) -> None:
    """Until it is told once more."""
    before = len(bulb.commands)
    entry.runtime_data._async_refresh()
    await until(hass, lambda: len(bulb.commands) > before)


def warnings(caplog: pytest.LogCaptureFixture) -> list[str]:
    texts = (record.getMessage() for record in caplog.records)
    return [text for text in texts if "could not be switched" in text]


async def test_a_lamp_that_takes_the_command_and_stays_dark_is_told(
    hass: HomeAssistant,
    make_site: MakeSite,
    camera: Camera,
    bulb: Bulb,
    caplog: pytest.LogCaptureFixture,
) -> None:
    entry = await site(make_site, camera)
    bulb.power = False
    await call(hass, "start")
    await until(hass, lambda: NOT_LIT in issues(hass))
    assert state(hass, "binary_sensor.room_12_problem") == "on"
    assert warnings(caplog) == [
        f"The lamp {BULB} could not be switched: it does not show what it was told"
    ]
    await a_minute_passes(hass, entry, bulb)
    await entry.runtime_data.witness.changes.told()
    assert NOT_LIT in issues(hass)  # That it took the command once more says nothing.
    bulb.power = True
    await a_minute_passes(hass, entry, bulb)
    await until(hass, lambda: issues(hass) == set())
    assert state(hass, BULB) == "on"
    bulb.power = False
    await call(hass, "stop")
    await until(hass, lambda: NOT_OUT in issues(hass))
    bulb.now(_attr_is_on=False)
    await until(hass, lambda: issues(hass) == set())
    assert len(warnings(caplog)) == 2


async def test_a_lamp_that_obeys_slowly_is_not_told(
    hass: HomeAssistant,
    make_site: MakeSite,
    camera: Camera,
    bulb: Bulb,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    monkeypatch.setattr(lamp, "_SHOWN_S", 60.0)
    entry = await site(make_site, camera)
    bulb.power = False
    await call(hass, "start")
    await until(hass, lambda: bulb.commands)
    bulb.now(_attr_is_on=True)
    await until(hass, lambda: not entry.runtime_data._lamps._looks)
    assert (issues(hass), warnings(caplog)) == (set(), [])


@pytest.mark.parametrize(
    "error",
    [
        OSError(SECRET),
        TimeoutError(SECRET),
        aiohttp.ClientError(SECRET),
        HomeAssistantError(SECRET),
        KeyError(SECRET),
    ],
    ids=lambda error: type(error).__name__,
)
async def test_whatever_its_integration_raises_is_told_by_its_name(
    hass: HomeAssistant,
    make_site: MakeSite,
    camera: Camera,
    bulb: Bulb,
    error: Exception,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    monkeypatch.setattr(lamp, "_SHOWN_S", 60.0)  # It is told at once.
    entry = await site(make_site, camera)
    bulb.error = error
    await call(hass, "start")
    await until(hass, lambda: NOT_LIT in issues(hass))
    assert warnings(caplog) == [f"The lamp {BULB} could not be switched: {type(error).__name__}"]
    ours = [r for r in caplog.records if "room_witness" in r.name]
    assert not [r for r in ours if SECRET in r.getMessage() or r.exc_info]
    bulb.error = None
    await a_minute_passes(hass, entry, bulb)
    await until(hass, lambda: issues(hass) == set())
    assert state(hass, BULB) == "on"
    bulb.error = error
    assert await hass.config_entries.async_remove(entry.entry_id)  # Its lamp keeps it from nothing.


async def test_a_lamp_whose_integration_hangs_is_told_before_it_is_broken_off(
    hass: HomeAssistant, make_site: MakeSite, camera: Camera, bulb: Bulb
) -> None:
    await site(make_site, camera)
    bulb.hangs = asyncio.Event()
    await call(hass, "start")
    async with asyncio.timeout(20):
        while NOT_LIT not in issues(hass):  # ``until`` would wait for what hangs, too.
            await asyncio.sleep(0.02)
    assert (bulb.commands, bulb.broken_off) == ([True], 0)
    bulb.hangs.set()
    await until(hass, lambda: issues(hass) == set())


async def test_a_lamp_whose_integration_hangs_is_broken_off_and_told_anew(
    hass: HomeAssistant,
    make_site: MakeSite,
    camera: Camera,
    bulb: Bulb,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(lamp, "_TAKEN_S", 0.3)
    entry = await site(make_site, camera)
    bulb.hangs = asyncio.Event()
    await call(hass, "start")
    await until(hass, lambda: bulb.broken_off and NOT_LIT in issues(hass))
    bulb.hangs = None
    await a_minute_passes(hass, entry, bulb)
    await until(hass, lambda: issues(hass) == set())
    assert state(hass, BULB) == "on"
    bulb.hangs = asyncio.Event()
    assert await hass.config_entries.async_remove(entry.entry_id)


async def test_a_meeting_that_ends_while_its_lamp_hangs_leaves_nothing_wrong(
    hass: HomeAssistant,
    make_site: MakeSite,
    camera: Camera,
    bulb: Bulb,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(lamp, "_TAKEN_S", 0.5)
    monkeypatch.setattr(lamp, "_SHOWN_S", 60.0)
    entry = await site(make_site, camera)
    bulb.hangs = asyncio.Event()
    await call(hass, "start")
    await until(hass, lambda: bulb.commands == [True])
    await call(hass, "stop")
    await until(hass, lambda: bulb.broken_off)
    await entry.runtime_data.witness.changes.told()
    assert issues(hass) == set()


async def checked(hass: HomeAssistant) -> list[str]:
    answer: Any = await hass.services.async_call(
        DOMAIN, "preflight", {"entity_id": SWITCH}, blocking=True, return_response=True
    )
    return [problem["check"] for problem in answer[SWITCH]["problems"]]


async def test_the_check_before_a_meeting_finds_a_lamp_that_is_not_there(
    hass: HomeAssistant, make_site: MakeSite, camera: Camera, bulb: Bulb
) -> None:
    entry = await site(make_site, camera)
    assert await checked(hass) == []
    bulb.now(_attr_available=False)
    assert await checked(hass) == ["lamp_missing"]
    await until(hass, lambda: MISSING in issues(hass))
    assert state(hass, "binary_sensor.room_12_problem") == "on"
    bulb.now(_attr_available=True)
    assert await checked(hass) == []
    await until(hass, lambda: issues(hass) == set())
    room = entry.subentries["room1"]
    data = {**room.data, "lamp": "switch.renamed"}
    hass.config_entries.async_update_subentry(entry, room, data=data)
    await hass.async_block_till_done()
    assert await checked(hass) == ["lamp_missing"]
    await call(hass, "start")
    await until(hass, lambda: NOT_LIT in issues(hass))
    assert await checked(hass) == ["lamp_not_lit"]  # The same fault is told once.


@pytest.mark.parametrize(
    ("relay", "missing"),
    [("camera1:relay1", False), ("camera1:relay2", True), ("camera9:relay1", True)],
)
async def test_the_check_before_a_meeting_finds_a_relay_that_is_not_there(
    hass: HomeAssistant, make_site: MakeSite, camera: Camera, bulb: Bulb, relay: str, missing: bool
) -> None:
    camera.signals.relays["relay1"] = Relay()
    room = room_subentry(lamp=BULB, lamp_relay=relay)
    await make_site(camera_subentry(camera, relays=["relay1"]), room)
    assert ("lamp_missing" in await checked(hass)) is missing
