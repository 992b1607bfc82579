"""A room whose cameras are deleted, and its area."""

from typing import Any

import pytest
from homeassistant.core import HomeAssistant
from homeassistant.exceptions import ServiceValidationError
from homeassistant.helpers import area_registry as ar
from homeassistant.helpers import device_registry as dr
from homeassistant.helpers import issue_registry as ir

from custom_components.room_witness.const import DOMAIN
from tests.camera import Camera

from .conftest import (
    CALENDAR,
    LAMP,
    LEGAL_FILE,
    TIMES,
    MakeSite,
    camera_subentry,
    room_subentry,
    until,
)
from .test_flows import Subentries
from .test_room import STATE, SWITCH, book, call, state
from .test_site import issue_ids

GOOD: dict[str, Any] = {"name": "Room 12", "times": TIMES, "legal_file": LEGAL_FILE}
RECORDING = "binary_sensor.room_12_recording"
GONE = "room_without_camera_room1"


def suggested(result: Any, name: str) -> Any:
    """What a form suggests for a field."""
    (field,) = [key for key in result["data_schema"].schema if str(key) == name]
    return (field.description or {}).get("suggested_value")


async def test_a_camera_replaced_in_mid_meeting_is_missed_until_the_room_has_the_new_one(
    hass: HomeAssistant, make_site: MakeSite, camera: Camera, calendar: str
) -> None:
    entry = await make_site(camera_subentry(camera), room_subentry(calendar=CALENDAR))
    await book(hass, -2, 600)
    await until(hass, lambda: (state(hass, RECORDING), state(hass, LAMP)) == ("on", "on"))
    hass.config_entries.async_remove_subentry(entry, "camera1")
    hass.config_entries.async_add_subentry(entry, camera_subentry(camera, "camera2"))
    await until(hass, lambda: (state(hass, RECORDING), state(hass, LAMP)) == ("off", "off"))
    assert (state(hass, STATE), state(hass, SWITCH)) == ("paused", "on")
    assert state(hass, "binary_sensor.room_12_problem") == "on"
    await until(hass, lambda: GONE in issue_ids(hass))
    answer: Any = await hass.services.async_call(
        DOMAIN, "preflight", {"entity_id": SWITCH}, blocking=True, return_response=True
    )
    assert {"check": "room_without_camera"} in answer[SWITCH]["problems"]
    flow = Subentries(hass, entry, "room")
    assert suggested(await flow.start("room1"), "cameras") == []
    await flow.go(**GOOD, cameras=["camera2"], calendar=CALENDAR, lamp=LAMP)
    await until(hass, lambda: (state(hass, RECORDING), state(hass, LAMP)) == ("on", "on"))
    await until(hass, lambda: GONE not in issue_ids(hass))


async def test_a_room_without_a_camera_starts_nothing_and_one_that_lacks_one_says_so(
    hass: HomeAssistant, make_site: MakeSite, camera: Camera
) -> None:
    entry = await make_site(
        camera_subentry(camera),
        camera_subentry(camera, "camera2"),
        room_subentry(cameras=["camera1", "camera2"]),
    )
    hass.config_entries.async_remove_subentry(entry, "camera2")
    await until(hass, lambda: "room_camera_gone_room1" in issue_ids(hass))
    issue = ir.async_get(hass).issues[DOMAIN, "room_camera_gone_room1"]
    assert issue.translation_placeholders == {"room": "Room 12", "count": "1"}
    form = await Subentries(hass, entry, "room").start("room1")
    assert suggested(form, "cameras") == ["camera1"]
    hass.config_entries.async_remove_subentry(entry, "camera1")
    await until(hass, lambda: GONE in issue_ids(hass))
    assert "room_camera_gone_room1" not in issue_ids(hass)
    with pytest.raises(ServiceValidationError, match="has no camera"):
        await call(hass, "start")


async def test_the_area_is_the_devices_and_the_form_changes_it(
    hass: HomeAssistant, make_site: MakeSite, camera: Camera
) -> None:
    hall, school = (ar.async_get(hass).async_create(name).id for name in ("Town hall", "School"))
    entry = await make_site(camera_subentry(camera), room_subentry(area=hall))
    registry = dr.async_get(hass)
    flow = Subentries(hass, entry, "room")

    def area() -> str | None:
        device = registry.async_get_device_by_identifier((DOMAIN, "room1"), entry.entry_id)
        assert device is not None
        return device.area_id

    def move(where: str | None) -> None:
        device = registry.async_get_device_by_identifier((DOMAIN, "room1"), entry.entry_id)
        assert device is not None
        registry.async_update_device(device.id, area_id=where)

    async def change(**changes: Any) -> Any:
        form = await flow.start("room1")
        shown = suggested(form, "area")
        await flow.go(**GOOD, cameras=["camera1"], **changes)
        await hass.async_block_till_done()
        return shown

    assert area() == hall
    assert await change(area=school) == hall
    assert area() == school
    move(hall)
    assert await change(area=school) == hall, "where it is, not where it was put last"
    assert area() == school
    move(None)
    room = entry.subentries["room1"]
    hass.config_entries.async_update_subentry(entry, room, title="Room 13")
    await hass.async_block_till_done()
    assert area() is None, "another change does not bring it back"
    assert await hass.config_entries.async_reload(entry.entry_id)
    assert area() is None
    assert await change(area=hall) is None
    assert await change() == hall
    assert area() is None
