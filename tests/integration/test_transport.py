"""How a camera's media comes, chosen in its form and used for its recordings."""

from collections.abc import AsyncIterator
from typing import Any

import pytest
from homeassistant.core import HomeAssistant
from homeassistant.data_entry_flow import FlowResultType
from homeassistant.helpers import issue_registry as ir

from custom_components.room_witness.const import DOMAIN
from tests.camera import Camera, CameraConfig

from .conftest import MakeSite, camera_subentry, room_subentry, until
from .test_flows import Subentries
from .test_room import SWITCH, state

WORD = {"username": "cam", "password": "pa ss"}


@pytest.fixture
async def udp_camera() -> AsyncIterator[Camera]:
    config = CameraConfig(width=160, height=96, gop=5, user="cam", password="pa ss", udp=True)
    async with Camera(config) as found:
        yield found


def chosen(result: Any) -> str | None:
    """What the form suggests as transport."""
    inner = result["data_schema"].schema["connection"].schema.schema
    (key,) = (k for k in inner if k == "transport")
    suggested: str | None = (key.description or {}).get("suggested_value")
    return suggested


async def test_a_camera_with_only_udp_is_found_out_and_the_choice_is_kept(
    hass: HomeAssistant, make_site: MakeSite, udp_camera: Camera
) -> None:
    entry = await make_site()
    flow = Subentries(hass, entry, "camera")
    await flow.start()
    await flow.go(next_step_id="stream")
    told = {"stream_url": udp_camera.url, **WORD}
    result = await flow.go(**told, connection={"transport": "tcp"})
    assert result["errors"] == {"base": "transport_refused"}
    assert chosen(result) == "tcp"
    result = await flow.go(**told, connection={"transport": "automatic"})
    assert result["step_id"] == "details"
    result = await flow.go(name="Hall", audio=False)
    assert result["type"] is FlowResultType.CREATE_ENTRY
    (subentry_id,) = entry.subentries
    assert entry.subentries[subentry_id].data["connection"] == {"transport": "automatic"}
    assert chosen(await flow.start(subentry_id)) == "automatic"
    await flow.go(**told, connection={"transport": "udp"})
    result = await flow.go(name="Hall", audio=False)
    assert result["type"] is FlowResultType.ABORT
    assert entry.subentries[subentry_id].data["connection"] == {"transport": "udp"}
    assert chosen(await flow.start(subentry_id)) == "udp"
    await hass.async_block_till_done()


def issues(hass: HomeAssistant) -> set[str]:
    """Keys of the repairs that are shown."""
    found = ir.async_get(hass).issues.values()
    return {i.translation_key or "" for i in found if i.domain == DOMAIN and i.active}


async def switch(hass: HomeAssistant, action: str) -> None:
    await hass.services.async_call("switch", action, {"entity_id": SWITCH}, blocking=True)


async def test_a_meeting_is_recorded_over_udp_and_silence_is_a_repair(
    hass: HomeAssistant, make_site: MakeSite, calendar: str, udp_camera: Camera
) -> None:
    camera = camera_subentry(udp_camera, connection={"transport": "udp"})
    entry = await make_site(camera, room_subentry())
    status = entry.runtime_data.witness.status
    await switch(hass, "turn_on")
    await until(hass, lambda: status("room1").bytes > 0)
    assert issues(hass) == set()
    udp_camera.faults.stall = True
    udp_camera.rtsp.drop()
    await until(hass, lambda: "stream_udp_silent" in issues(hass))
    udp_camera.faults.stall = False
    await until(hass, lambda: issues(hass) == set())
    await switch(hass, "turn_off")
    await until(hass, lambda: state(hass, "sensor.room_12_last_erasure") != "unknown")
    receipt = hass.states.get("sensor.room_12_last_erasure")
    assert receipt is not None
    assert receipt.attributes["segments"] == 2
