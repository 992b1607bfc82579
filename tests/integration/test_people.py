"""Lists and people in Home Assistant: who is told names, who is logged, who can be forgotten."""

from pathlib import Path
from typing import Any

import pytest
from homeassistant.const import CONF_ENTITY_ID
from homeassistant.core import Context, HomeAssistant
from homeassistant.exceptions import ServiceValidationError, Unauthorized
from homeassistant.helpers import device_registry as dr
from homeassistant.helpers.service import async_get_all_descriptions
from pytest_homeassistant_custom_component.common import MockConfigEntry, MockUser

from custom_components.room_witness.const import DOMAIN
from roomwitness.custody import verify_log
from tests.camera import Camera

from .conftest import ROOM, MakeSite, camera_subentry, room_subentry, until
from .test_backup import log_entries
from .test_holds import act, held_by, set_options
from .test_room import SWITCH, state

EVIDENCE = "sensor.room_12_evidence_held"


@pytest.fixture
async def entry(
    hass: HomeAssistant, make_site: MakeSite, camera: Camera, calendar: str
) -> MockConfigEntry:
    second = room_subentry("room2", "Room 14")
    return await make_site(camera_subentry(camera), room_subentry(), second)


@pytest.fixture
def admin(hass: HomeAssistant) -> Context:
    return Context(user_id=MockUser(name="Anna Admin", is_owner=True).add_to_hass(hass).id)


@pytest.fixture
def staff(hass: HomeAssistant) -> Context:
    user = MockUser(name="Bo Staff").add_to_hass(hass)
    user.mock_policy({"entities": True})
    return Context(user_id=user.id)


async def listed(hass: HomeAssistant, who: Context | None, **data: Any) -> dict[str, Any]:
    answer = await hass.services.async_call(
        DOMAIN, "list_meetings", data, blocking=True, return_response=True, context=who
    )
    assert answer is not None
    return dict(answer)


async def forget(hass: HomeAssistant, who: Context | None, **data: Any) -> None:
    await hass.services.async_call(DOMAIN, "forget_person", data, blocking=True, context=who)


async def test_a_list_tells_what_there_is_and_only_administrators_who(
    hass: HomeAssistant, entry: MockConfigEntry, admin: Context, staff: Context
) -> None:
    await act(hass, "start", staff)
    await until(hass, lambda: state(hass, "sensor.room_12_state") == "recording")
    witness = entry.runtime_data.witness
    await until(hass, lambda: witness.status("room1").bytes > 0)
    press = {CONF_ENTITY_ID: "button.room_12_report_threat"}
    await hass.services.async_call("button", "press", press, blocking=True, context=staff)
    meeting = witness.status("room1").meeting_id
    await hass.services.async_call(DOMAIN, "stop", {CONF_ENTITY_ID: SWITCH}, blocking=True)
    (row,) = (await listed(hass, admin))["meetings"]
    assert (row["meeting_id"], row["room_id"], row["room"]) == (meeting, "room1", ROOM)
    assert row["state"] == "held"
    assert row["recordings"] == 1
    assert row["segments"] >= 1
    assert row["bytes"] > 0
    assert row["media_seconds"] > 0
    assert row["gap_seconds"] >= 0
    (hold,) = row["holds"]
    assert hold["kind"] == "threat"
    assert hold["placed_by_name"] == "Bo Staff"
    assert hold["release_asked_by_name"] is None
    assert staff.user_id not in str(row)

    (told,) = (await listed(hass, staff))["meetings"]
    assert "placed_by_name" not in told["holds"][0]
    assert told["holds"][0]["placed_by"] == hold["placed_by"]
    (evidence,) = (await act(hass, "list_evidence", None))["meetings"]
    assert evidence == row, "an automation is an administrator's"

    people = witness.people
    entries = await hass.async_add_executor_job(log_entries, hass)
    assert [(e["what"], e["by"]) for e in entries if e["kind"] == "listed"] == [
        ("meetings", people.known(admin.user_id)),
        ("meetings", people.known(staff.user_id)),
        ("evidence", None),
    ]
    assert staff.user_id not in str(entries)


async def test_a_list_is_chosen_by_room_state_and_time_page_by_page(
    hass: HomeAssistant, entry: MockConfigEntry, admin: Context
) -> None:
    await held_by(hass, admin)
    await hass.services.async_call(
        DOMAIN, "start", {CONF_ENTITY_ID: "switch.room_14_meeting"}, blocking=True
    )
    devices = dr.async_get(hass)
    rooms = {
        name: devices.async_get_device_by_identifier((DOMAIN, name), entry.entry_id).id  # type: ignore[union-attr]
        for name in ("room1", "room2")
    }
    for name, device in rooms.items():
        found = (await listed(hass, admin, room=device))["meetings"]
        assert [row["room_id"] for row in found] == [name]
    found = (await listed(hass, admin, states=["held"], before="2100-01-01 00:00:00"))["meetings"]
    assert [row["room_id"] for row in found] == ["room1"]
    assert (await listed(hass, admin, since="2100-01-01 00:00:00"))["meetings"] == []
    first = await listed(hass, admin, limit=1)
    second = await listed(hass, admin, limit=1, after=first["next"])
    ids = [page["meetings"][0]["room_id"] for page in (first, second)]
    assert sorted(ids) == ["room1", "room2"]
    for wrong, key in (({"after": "x"}, "page_not_found"), ({"room": "x"}, "room_not_found")):
        with pytest.raises(ServiceValidationError) as caught:
            await listed(hass, admin, **wrong)
        assert caught.value.translation_key == key


async def test_an_administrator_forgets_a_person(
    hass: HomeAssistant, entry: MockConfigEntry, admin: Context, staff: Context
) -> None:
    await set_options(hass, entry, two_people=True)
    await held_by(hass, staff)
    hass.states.async_set("person.bo", "home", {"user_id": staff.user_id})
    hass.states.async_set("person.child", "home", {})
    with pytest.raises(Unauthorized):
        await forget(hass, staff, person_entity_id="person.bo")
    for person, key in (
        ("bo", "person_still_needed"),
        ("child", "person_has_no_user"),
        ("nobody", "person_has_no_user"),
    ):
        with pytest.raises(ServiceValidationError) as caught:
            await forget(hass, admin, person_entity_id=f"person.{person}")
        assert caught.value.translation_key == key
    await set_options(hass, entry)
    await forget(hass, admin, person_entity_id="person.bo")
    (row,) = (await listed(hass, admin))["meetings"]
    placed_by = row["holds"][0]["placed_by"]
    assert placed_by.startswith("p-")
    assert row["holds"][0]["placed_by_name"] is None
    with pytest.raises(ServiceValidationError) as caught:
        await forget(hass, admin, pseudonym=placed_by)
    assert caught.value.translation_key == "person_unknown"
    entries = await hass.async_add_executor_job(log_entries, hass)
    (noted,) = [e for e in entries if e["kind"] == "person_forgotten"]
    assert noted["person"] == placed_by
    folder = Path(hass.config.path("room_witness", "vault"))
    assert staff.user_id

    def left() -> bool:
        return any(
            str(staff.user_id).encode() in path.read_bytes()
            for path in folder.parent.rglob("*")
            if path.is_file()
        )

    assert not await hass.async_add_executor_job(left)
    assert await hass.config_entries.async_unload(entry.entry_id)
    found = await hass.async_add_executor_job(verify_log, folder / "custody")
    assert found.unsigned == 0
    with pytest.raises(ServiceValidationError) as caught:
        await listed(hass, admin)
    assert caught.value.translation_key == "site_not_loaded"


async def test_home_assistant_describes_the_actions(
    hass: HomeAssistant, entry: MockConfigEntry
) -> None:
    described = (await async_get_all_descriptions(hass))[DOMAIN]
    assert {"room", "states", "since", "limit", "after"} <= described["list_meetings"][
        "fields"
    ].keys()
    assert described["forget_person"]["fields"].keys() == {"person_entity_id", "pseudonym"}
