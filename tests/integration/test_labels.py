"""No key of the program is shown to people: fields, kinds and states have the forms' words."""

import json
import re
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest
from homeassistant.components.repairs import repairs_flow_manager
from homeassistant.core import HomeAssistant
from homeassistant.exceptions import HomeAssistantError, ServiceValidationError
from homeassistant.helpers import issue_registry as ir
from homeassistant.helpers.translation import async_load_integrations
from homeassistant.setup import async_setup_component

from custom_components.room_witness import labels
from custom_components.room_witness.const import DOMAIN
from custom_components.room_witness.decisions import _NEEDS
from roomwitness.policy.words import HoldKind, MeetingState
from roomwitness.witness import LegalFile
from tests.camera import Camera

from .conftest import LEGAL_FILE, MakeSite, camera_subentry, room_subentry, until
from .test_holds import act

TRANSLATIONS = Path(labels.__file__).parent / "translations"
NAMED = {
    "legal_file_incomplete": [field.name for field in fields(LegalFile)],
    "decision_incomplete": sorted({name for needed in _NEEDS.values() for name in needed}),
    "transition_not_allowed": list(MeetingState),
    "hold_review_due": list(HoldKind),
    "release_pending": list(HoldKind),
}


async def speak(hass: HomeAssistant, language: str) -> None:
    """From here on: entities have their English names already."""
    hass.config.language = language
    await async_load_integrations(hass, {DOMAIN})


def words(language: str, path: str) -> str:
    found = json.loads((TRANSLATIONS / f"{language}.json").read_text())
    for part in path.split("."):
        found = found[part]
    return str(found)


@pytest.mark.parametrize("name", ["en", "sv"])
def test_whatever_may_be_named_has_its_word(name: str) -> None:
    assert labels._WORDS.keys() == NAMED.keys()
    for key, named in NAMED.items():
        for path in labels._WORDS[key].values():
            for each in named:
                assert words(name, path.format(each))


@pytest.mark.parametrize("language", ["en", "sv"])
async def test_what_is_missing_and_what_cannot_be_done_is_told_in_words(
    hass: HomeAssistant, make_site: MakeSite, camera: Camera, calendar: str, language: str
) -> None:
    bare = room_subentry(
        "room2", "Room 14", legal_file=LEGAL_FILE | {"disposal_decision": "", "union_reference": ""}
    )
    entry = await make_site(camera_subentry(camera), room_subentry(), bare)
    await speak(hass, language)
    entry.runtime_data.witness.refresh()
    told = ", ".join(
        words(language, f"config_subentries.room.step.user.sections.legal_file.data.{name}")
        for name in ("disposal_decision", "union_reference")
    )
    await entry.runtime_data.witness.changes.told()
    issue = ir.async_get(hass).issues[DOMAIN, "legal_file_incomplete_room2"]
    assert (issue.translation_placeholders or {})["fields"] == told
    with pytest.raises(ServiceValidationError) as caught:
        await hass.services.async_call(
            DOMAIN, "start", {"entity_id": "switch.room_14_meeting"}, blocking=True
        )
    assert caught.value.translation_placeholders == {"fields": told}

    meeting = (await act(hass, "start"))["meeting_id"]
    with pytest.raises(HomeAssistantError) as refused:
        await act(hass, "hand_over", meeting_id=meeting)
    state = words(language, "selector.meeting_state.options.recording")
    assert refused.value.translation_placeholders == {"state": state}
    given = {"meeting_id": meeting, "decision": "extend"}
    with pytest.raises(ServiceValidationError) as caught:
        await hass.services.async_call(DOMAIN, "decide", given, blocking=True)
    needed = [
        words(language, f"services.decide.fields.{n}.name") for n in ("review_date", "reason")
    ]
    assert caught.value.translation_placeholders == {"fields": ", ".join(needed)}


@pytest.mark.parametrize("language", ["en", "sv"])
async def test_a_repair_about_a_hold_names_its_kind_in_words(
    hass: HomeAssistant, make_site: MakeSite, camera: Camera, calendar: str, language: str
) -> None:
    assert await async_setup_component(hass, "repairs", {})
    entry = await make_site(camera_subentry(camera), room_subentry())
    await speak(hass, language)
    hass.config_entries.async_update_entry(entry, options={"two_people": True})
    await hass.async_block_till_done()
    await act(hass, "start")
    await act(hass, "hold", kind="access_request", reason="Request 1")
    witness = entry.runtime_data.witness
    (meeting,) = witness.meetings("room1")
    await witness.holds.release(meeting.id, "closed", by="p1")
    registry = ir.async_get(hass)

    def found() -> list[Any]:
        return [i for (_, key), i in registry.issues.items() if re.match("release_pending", key)]

    await until(hass, found)
    kind = words(language, "selector.hold_kind.options.access_request")
    (issue,) = found()
    assert issue.translation_placeholders["kind"] == kind
    manager = repairs_flow_manager(hass)
    assert manager is not None
    result: Any = await manager.async_init(DOMAIN, context={"issue_id": issue.issue_id})
    assert result["description_placeholders"]["kind"] == kind
