"""A full disk, a quota and a hand-over, as a person meets them in Home Assistant."""

from typing import Any

import pytest
from homeassistant.core import Context, HomeAssistant
from homeassistant.exceptions import HomeAssistantError, ServiceValidationError
from homeassistant.helpers import issue_registry as ir
from pytest_homeassistant_custom_component.common import MockUser

from custom_components.room_witness.const import DOMAIN
from roomwitness.vault import Intake
from tests.camera import Camera

from .conftest import MakeSite, camera_subentry, room_subentry, until
from .test_backup import log_entries
from .test_room import STATE, SWITCH, book, state


async def test_a_full_disk_is_told_and_the_meeting_begins_once_there_is_room(
    hass: HomeAssistant,
    make_site: MakeSite,
    camera: Camera,
    calendar: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(Intake, "free_bytes", lambda _self: 100 << 20)
        await make_site(camera_subentry(camera), room_subentry(calendar=calendar))
        await book(hass, -1, 600)
        issues = ir.async_get(hass)
        await until(hass, lambda: issues.async_get_issue(DOMAIN, "meeting_refused_disk_room1"))
        issue = issues.async_get_issue(DOMAIN, "meeting_refused_disk_room1")
        assert issue is not None
        assert issue.translation_placeholders is not None
        assert issue.translation_placeholders["room"] == "Room 12"
        await until(hass, lambda: issues.async_get_issue(DOMAIN, "vault_nearly_full"))
        with pytest.raises(ServiceValidationError) as refused:
            await hass.services.async_call(DOMAIN, "start", {"entity_id": SWITCH}, blocking=True)
        assert refused.value.translation_key == "meeting_refused_disk"
    await until(hass, lambda: state(hass, STATE) == "recording")
    await until(hass, lambda: not issues.async_get_issue(DOMAIN, "meeting_refused_disk_room1"))


async def test_a_hand_over_is_noted_with_who_did_it(
    hass: HomeAssistant, make_site: MakeSite, camera: Camera
) -> None:
    entry = await make_site(camera_subentry(camera), room_subentry())
    anna = Context(user_id=MockUser(name="anna", is_owner=True).add_to_hass(hass).id)

    async def act(action: str, **data: Any) -> Any:
        answer = await hass.services.async_call(
            DOMAIN,
            action,
            {"entity_id": SWITCH, **data},
            blocking=True,
            context=anna,
            return_response=action != "stop",
        )
        return answer[SWITCH] if answer else None

    meeting = (await act("start"))["meeting_id"]
    with pytest.raises(HomeAssistantError) as refused:
        await act("hand_over")
    assert refused.value.translation_key == "transition_not_allowed"
    await act("report_threat")
    await act("stop")
    assert (await act("hand_over"))["meeting_id"] == meeting
    assert state(hass, STATE) == "handed_over"
    entries = await hass.async_add_executor_job(log_entries, hass)
    (noted,) = [e for e in entries if e["kind"] == "hand_over"]
    who = entry.runtime_data.witness.people.known(anna.user_id)
    assert (noted["meeting"], noted["by"]) == (meeting, who)
    assert who
