"""What is wired to a camera: its panic button, tampering, motion, inputs, and their entities."""

from collections.abc import AsyncIterator
from typing import Any

import pytest
from homeassistant.core import HomeAssistant
from homeassistant.helpers import entity_registry as er
from homeassistant.helpers import issue_registry as ir

from custom_components.room_witness.const import DOMAIN
from tests.camera import Camera, CameraConfig
from tests.camera.signals import CELL_MOTION, SCENE

from .conftest import MakeSite, camera_subentry, room_subentry, until
from .test_flows import Subentries
from .test_room import STATE, SWITCH, call, state

EVENTS = "binary_sensor.door_camera_event_connection"
PANIC = "binary_sensor.door_camera_panic_button"
INPUT = "binary_sensor.door_camera_input_in1"
TAMPER = "binary_sensor.door_camera_tamper"
MOTION = "binary_sensor.door_camera_motion"
HELD = "sensor.room_12_evidence_held"
WIRED: dict[str, Any] = {"inputs": ["in1"], "panic_input": "in1", "panic_when": "closed"}


@pytest.fixture
async def camera() -> AsyncIterator[Camera]:
    config = CameraConfig(
        width=160, height=96, gop=5, user="cam", password="pa ss", inputs=1, relays=1
    )
    async with Camera(config) as found:
        yield found


def issues(hass: HomeAssistant) -> set[str]:
    return {key for domain, key in ir.async_get(hass).issues if domain == DOMAIN}


async def heard(hass: HomeAssistant) -> None:
    await until(hass, lambda: hass.states.get(EVENTS) and state(hass, EVENTS) == "on")


async def test_the_panic_button_on_the_camera_does_what_the_rooms_button_does(
    hass: HomeAssistant, make_site: MakeSite, camera: Camera, calendar: str
) -> None:
    await make_site(camera_subentry(camera, **WIRED), room_subentry())
    await heard(hass)
    assert (state(hass, PANIC), state(hass, INPUT)) == ("off", "off")
    await call(hass, "start")
    await until(hass, lambda: state(hass, STATE) == "recording")
    camera.signals.press()
    await until(hass, lambda: state(hass, HELD) == "1")
    assert (state(hass, PANIC), state(hass, INPUT)) == ("on", "on")
    camera.signals.release()
    await until(hass, lambda: state(hass, PANIC) == "off")
    await call(hass, "stop")
    assert state(hass, STATE) == "held"


async def test_pressed_outside_a_meeting_a_repair_says_that_nothing_is_held(
    hass: HomeAssistant, make_site: MakeSite, camera: Camera, calendar: str
) -> None:
    await make_site(camera_subentry(camera, **WIRED), room_subentry())
    await heard(hass)
    camera.signals.press()
    await until(hass, lambda: "panic_held_nothing_room1_camera1" in issues(hass))
    assert state(hass, "binary_sensor.room_12_problem") == "on"
    issue = ir.async_get(hass).issues[DOMAIN, "panic_held_nothing_room1_camera1"]
    assert issue.translation_placeholders == {"camera": "Door camera", "room": "Room 12"}
    camera.signals.release()
    await call(hass, "start")
    camera.signals.press()
    await until(hass, lambda: state(hass, HELD) == "1")
    await until(hass, lambda: "panic_held_nothing_room1_camera1" not in issues(hass))


async def test_a_button_that_is_pressed_at_the_start_is_told_and_reports_nothing(
    hass: HomeAssistant, make_site: MakeSite, camera: Camera, calendar: str
) -> None:
    camera.signals.press()
    await make_site(camera_subentry(camera, **WIRED), room_subentry())
    await call(hass, "start")
    await until(hass, lambda: "panic_was_active_room1_camera1" in issues(hass))
    assert state(hass, PANIC) == "on"
    assert state(hass, HELD) == "0"
    camera.signals.release()
    await until(hass, lambda: "panic_was_active_room1_camera1" not in issues(hass))
    camera.signals.press()
    await until(hass, lambda: state(hass, HELD) == "1")


async def test_pressed_while_the_subscription_was_lost_counts_once(
    hass: HomeAssistant, make_site: MakeSite, camera: Camera, calendar: str
) -> None:
    await make_site(camera_subentry(camera, **WIRED), room_subentry())
    await heard(hass)
    await call(hass, "start")
    await camera.fault("refuse_events")
    camera.signals.lose()
    await until(hass, lambda: state(hass, EVENTS) == "off")
    assert {state(hass, each) for each in (PANIC, INPUT, TAMPER, MOTION)} == {"unavailable"}
    camera.signals.press()
    await camera.fault("refuse_events", False)
    await until(hass, lambda: state(hass, HELD) == "1")
    await heard(hass)
    before = camera.signals.created
    camera.signals.lose()
    await until(hass, lambda: camera.signals.created > before and state(hass, EVENTS) == "on")
    answer: Any = await hass.services.async_call(
        DOMAIN, "list_evidence", {"entity_id": SWITCH}, blocking=True, return_response=True
    )
    ((meeting),) = answer[SWITCH]["meetings"]
    assert len(meeting["holds"]) == 1
    assert "panic_was_active_room1_camera1" not in issues(hass)


async def test_tampering_and_motion_are_shown_and_a_removed_button_goes(
    hass: HomeAssistant, make_site: MakeSite, camera: Camera, calendar: str
) -> None:
    entry = await make_site(camera_subentry(camera, **WIRED), room_subentry())
    await heard(hass)
    assert (state(hass, TAMPER), state(hass, MOTION)) == ("unknown", "unknown")
    camera.signals.set(CELL_MOTION, "v", True)
    await until(hass, lambda: state(hass, MOTION) == "on")
    camera.signals.set(CELL_MOTION, "v", False)
    await until(hass, lambda: state(hass, MOTION) == "off")
    camera.signals.set(SCENE, "v", True)
    await until(hass, lambda: state(hass, TAMPER) == "on")
    await until(hass, lambda: "camera_tampered_room1_camera1" in issues(hass))
    assert state(hass, "binary_sensor.room_12_problem") == "on"
    camera.signals.set(SCENE, "v", False)
    await until(hass, lambda: "camera_tampered_room1_camera1" not in issues(hass))
    found = entry.subentries["camera1"]
    data = {key: value for key, value in found.data.items() if not key.startswith("panic")}
    hass.config_entries.async_update_subentry(entry, found, data=data)
    await until(hass, lambda: hass.states.get(PANIC) is None)
    await until(hass, lambda: state(hass, INPUT) == "off")
    hass.config_entries.async_update_subentry(entry, found, data={**data, **WIRED})
    await until(hass, lambda: state(hass, PANIC) == "off")


async def test_a_camera_by_its_stream_alone_has_none_of_it(
    hass: HomeAssistant, make_site: MakeSite, camera: Camera, calendar: str
) -> None:
    bare = camera_subentry(camera)
    object.__setattr__(bare, "data", {k: v for k, v in bare.data.items() if k != "host"})
    entry = await make_site(bare, room_subentry())
    entities = er.async_entries_for_config_entry(er.async_get(hass), entry.entry_id)
    found = [e.entity_id for e in entities if e.config_subentry_id == "camera1"]
    assert found == ["binary_sensor.door_camera_problem"]
    assert camera.signals.created == 0


async def test_the_camera_flow_asks_which_input_is_the_panic_button(
    hass: HomeAssistant, make_site: MakeSite, camera: Camera
) -> None:
    entry = await make_site()
    flow = Subentries(hass, entry, "camera")
    await flow.start()
    await flow.go(next_step_id="onvif")
    address = {
        "host": "127.0.0.1",
        "port": camera.onvif.port,
        "username": "cam",
        "password": "pa ss",
    }
    await flow.go(**address)
    result = await flow.go(name="Door", audio=True)
    assert result["step_id"] == "signals"
    await flow.go(panic_input="in1", panic_when="open")
    (subentry,) = entry.subentries.values()
    data = {k: subentry.data[k] for k in ("inputs", "relays", "panic_input", "panic_when")}
    wired = {"inputs": ["in1"], "relays": ["relay1"], "panic_input": "in1", "panic_when": "open"}
    assert data == wired
    await flow.start(subentry.subentry_id)
    await flow.go(**address)
    result = await flow.go(name="Door", audio=True)
    suggested = {
        str(key): key.description["suggested_value"]
        for key in result["data_schema"].schema
        if key.description
    }
    assert suggested == {"panic_input": "in1", "panic_when": "open"}
    await flow.go(panic_when="closed")
    assert "panic_input" not in entry.subentries[subentry.subentry_id].data
    await hass.async_block_till_done()


async def test_a_lamp_wired_to_the_camera(
    hass: HomeAssistant, make_site: MakeSite, camera: Camera, calendar: str
) -> None:
    """Chosen in the room's form; lit while it records; put out when the site is removed."""
    bare = room_subentry(lamp_relay=None)
    data = {key: value for key, value in bare.data.items() if key not in ("lamp", "lamp_relay")}
    object.__setattr__(bare, "data", data)
    entry = await make_site(camera_subentry(camera, relays=["relay1"]), bare)
    flow = Subentries(hass, entry, "room")
    result = await flow.start("room1")
    options = result["data_schema"].schema["lamp_relay"].config["options"]
    assert options == [{"value": "camera1:relay1", "label": "Door camera: relay1"}]
    await flow.go(name="Room 12", pre_roll=0, lamp_relay="camera1:relay1", **data)
    await hass.async_block_till_done()
    relay = camera.signals.relays["relay1"]
    await call(hass, "start")
    await until(hass, lambda: relay.state == "active")
    await camera.fault("refuse_relay")
    await call(hass, "stop")
    await until(hass, lambda: "lamp_not_out_room1" in issues(hass))
    await call(hass, "start")
    await until(hass, lambda: "lamp_not_lit_room1" in issues(hass))
    assert state(hass, "binary_sensor.room_12_problem") == "on"
    await camera.fault("refuse_relay", False)
    await until(hass, lambda: not {i for i in issues(hass) if i.startswith("lamp")})
    await until(hass, lambda: relay.state == "active")
    assert await hass.config_entries.async_reload(entry.entry_id)
    await until(hass, lambda: state(hass, STATE) == "recording")
    assert relay.state == "active"
    await hass.config_entries.async_remove(entry.entry_id)
    assert relay.state == "inactive"


async def test_a_cameras_problem_is_on_its_device(
    hass: HomeAssistant, make_site: MakeSite, camera: Camera, calendar: str
) -> None:
    await make_site(camera_subentry(camera), room_subentry())
    problem = "binary_sensor.door_camera_problem"
    assert state(hass, problem) == "off"
    await camera.fault("refuse_rtsp")
    await call(hass, "preflight")
    await until(hass, lambda: state(hass, problem) == "on")
    await camera.fault("accept_rtsp")
    await call(hass, "preflight")
    await until(hass, lambda: state(hass, problem) == "off")
