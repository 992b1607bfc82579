"""Changing a camera takes no panic button or lamp away unless the camera says that it is gone."""

from collections.abc import AsyncIterator
from typing import Any

import pytest
from homeassistant.core import HomeAssistant
from homeassistant.data_entry_flow import FlowResultType
from pytest_homeassistant_custom_component.common import MockConfigEntry

from roomwitness.onvif import OnvifAuthFailed, OnvifError, OnvifFault, OnvifUnreachable, io
from tests.camera import Camera, CameraConfig
from tests.camera.signals import Fault

from .conftest import MakeSite, camera_subentry, room_subentry, until
from .test_flows import Subentries
from .test_room import state
from .test_signals import PANIC, heard

WIRED: dict[str, Any] = {
    "inputs": ["in1", "in2"],
    "relays": ["relay1"],
    "panic_input": "in2",
    "panic_when": "open",
}


@pytest.fixture
async def camera() -> AsyncIterator[Camera]:
    config = CameraConfig(
        width=160, height=96, gop=5, user="cam", password="pa ss", inputs=2, relays=1
    )
    async with Camera(config) as found:
        yield found


def refuse(camera: Camera, code: str, *operations: str) -> None:
    """Have the camera answer a fault of that code."""

    def fault(_text: str, _path: str) -> str:
        raise Fault(code)

    for operation in operations:
        setattr(camera.signals, f"_{operation}", fault)


def fail(monkeypatch: pytest.MonkeyPatch, error: OnvifError) -> None:
    async def ask(_device: object) -> tuple[str, ...]:
        raise error

    monkeypatch.setattr(io, "inputs", ask)


async def changing(
    hass: HomeAssistant, entry: MockConfigEntry, camera: Camera, subentry_id: str | None = "camera1"
) -> tuple[Subentries, Any]:
    """The flow, after its last question but what is wired, and what it asks then."""
    flow = Subentries(hass, entry, "camera")
    await flow.start(subentry_id)
    if subentry_id is None:
        await flow.go(next_step_id="onvif")
    await flow.go(host="127.0.0.1", port=camera.onvif.port, username="cam", password="pa ss")
    return flow, await flow.go(name="Door", audio=True)


def wired(entry: MockConfigEntry, subentry_id: str = "camera1") -> dict[str, Any]:
    data = entry.subentries[subentry_id].data
    return {key: data[key] for key in WIRED if key in data}


@pytest.mark.parametrize(
    "error",
    [OnvifUnreachable("TimeoutError"), OnvifAuthFailed(), OnvifFault({"action"}), OnvifError()],
    ids=lambda error: type(error).__name__,
)
async def test_a_camera_that_cannot_be_asked_keeps_its_panic_button(
    hass: HomeAssistant,
    make_site: MakeSite,
    camera: Camera,
    calendar: str,
    monkeypatch: pytest.MonkeyPatch,
    error: OnvifError,
) -> None:
    entry = await make_site(camera_subentry(camera, **WIRED), room_subentry())
    await heard(hass)
    with monkeypatch.context() as patch:
        fail(patch, error)
        flow, result = await changing(hass, entry, camera)
        assert (result["type"], result["step_id"]) == (FlowResultType.MENU, "signals_unknown")
        told = {"inputs": "in1, in2", "relays": "relay1", "panic": "in2"}
        assert result["description_placeholders"] == told
        result = await flow.go(next_step_id="signals_again")
        assert result["step_id"] == "signals_unknown"
        result = await flow.go(next_step_id="signals_kept")
        assert result["step_id"] == "signals"
        await flow.go(panic_input="in2", panic_when="open")
    assert wired(entry) == WIRED
    assert entry.subentries["camera1"].title == "Door"
    await hass.async_block_till_done()
    assert hass.states.get(PANIC)
    await until(hass, lambda: state(hass, PANIC) == "on")  # Its contact is open: heard as before.


async def test_asked_again_the_camera_tells(
    hass: HomeAssistant, make_site: MakeSite, camera: Camera, monkeypatch: pytest.MonkeyPatch
) -> None:
    entry = await make_site(camera_subentry(camera, **{**WIRED, "inputs": ["in2"]}))
    with monkeypatch.context() as patch:
        fail(patch, OnvifUnreachable("TimeoutError"))
        flow, _ = await changing(hass, entry, camera)
    result = await flow.go(next_step_id="signals_again")
    options = result["data_schema"].schema["panic_input"].config["options"]
    assert [option["value"] for option in options] == ["in1", "in2"]
    await flow.go(panic_input="in2", panic_when="open")
    assert wired(entry) == WIRED
    await hass.async_block_till_done()


@pytest.mark.parametrize("operation", ["GetDigitalInputs", "GetRelayOutputs"])
async def test_a_fault_says_nothing_of_what_was_there(
    hass: HomeAssistant, make_site: MakeSite, camera: Camera, operation: str
) -> None:
    entry = await make_site(camera_subentry(camera, **WIRED))
    refuse(camera, "OutOfMemory", operation)
    _, result = await changing(hass, entry, camera)
    assert result["step_id"] == "signals_unknown"
    assert wired(entry) == WIRED


async def test_an_input_that_is_gone_is_told_before_anything_is_kept(
    hass: HomeAssistant, make_site: MakeSite, camera: Camera
) -> None:
    entry = await make_site(camera_subentry(camera, **WIRED))
    del camera.signals.inputs["in2"]
    flow, result = await changing(hass, entry, camera)
    assert result["step_id"] == "panic_gone"
    assert result["description_placeholders"] == {"panic": "in2", "inputs": "in1"}
    assert wired(entry) == WIRED
    result = await flow.go()
    assert result["step_id"] == "signals"
    await flow.go(panic_input="in1", panic_when="closed")
    changed = {"inputs": ["in1"], "panic_input": "in1", "panic_when": "closed"}
    assert wired(entry) == {**WIRED, **changed}
    camera.signals.inputs.clear()
    flow, result = await changing(hass, entry, camera)
    assert result["step_id"] == "panic_gone"
    assert result["description_placeholders"] == {"panic": "in1", "inputs": "-"}
    await flow.go()
    assert wired(entry) == {"relays": ["relay1"]}
    await hass.async_block_till_done()


async def test_a_service_that_is_gone_takes_its_inputs_along(
    hass: HomeAssistant, make_site: MakeSite, camera: Camera
) -> None:
    entry = await make_site(camera_subentry(camera, **WIRED))
    refuse(camera, "ActionNotSupported", "GetDigitalInputs", "GetRelayOutputs")
    flow, result = await changing(hass, entry, camera)
    assert result["step_id"] == "panic_gone"
    await flow.go()
    assert wired(entry) == {}
    await hass.async_block_till_done()


async def test_a_new_camera_that_refuses_has_none_and_one_that_is_silent_is_asked_again(
    hass: HomeAssistant, make_site: MakeSite, camera: Camera, monkeypatch: pytest.MonkeyPatch
) -> None:
    entry = await make_site()
    with monkeypatch.context() as patch:
        fail(patch, OnvifAuthFailed())
        _, result = await changing(hass, entry, camera, None)
    assert result["step_id"] == "signals_unknown"
    assert result["description_placeholders"] == {"inputs": "-", "relays": "-", "panic": "-"}
    refuse(camera, "OutOfMemory", "GetDigitalInputs", "GetRelayOutputs")
    _, result = await changing(hass, entry, camera, None)
    assert result["type"] is FlowResultType.CREATE_ENTRY
    (subentry_id,) = entry.subentries
    assert wired(entry, subentry_id) == {}
    await hass.async_block_till_done()


@pytest.mark.parametrize("relay", ["camera1:relay7", "camera9:relay1"])
async def test_a_room_whose_relay_is_gone_keeps_it_until_another_is_chosen(
    hass: HomeAssistant, make_site: MakeSite, camera: Camera, relay: str
) -> None:
    entry = await make_site(camera_subentry(camera), room_subentry(lamp_relay=relay))
    flow = Subentries(hass, entry, "room")
    result = await flow.start("room1")
    schema = result["data_schema"].schema
    (option,) = schema["lamp_relay"].config["options"]
    assert option["value"] == relay
    (field,) = (key for key in schema if key == "lamp_relay")
    assert field.description == {"suggested_value": relay}
    data = dict(entry.subentries["room1"].data)
    await flow.go(name="Room 12", pre_roll=0, **data)
    assert entry.subentries["room1"].data["lamp_relay"] == relay
    await hass.async_block_till_done()
