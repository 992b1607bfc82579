"""Evidence of a room that is removed: it asks, is listed, extended and released."""

from datetime import timedelta
from typing import Any

import pytest
from homeassistant.components.repairs import repairs_flow_manager
from homeassistant.core import Context, HomeAssistant
from homeassistant.data_entry_flow import FlowResultType
from homeassistant.exceptions import ServiceValidationError
from homeassistant.helpers import issue_registry as ir
from homeassistant.util import dt as dt_util
from pytest_homeassistant_custom_component.common import MockConfigEntry, MockUser

from custom_components.room_witness.const import DOMAIN

from .conftest import until
from .test_holds import after, entry, held_by, people, set_options

__all__ = ["entry", "people"]

ISSUE = (DOMAIN, "evidence_without_room")


async def decide(
    hass: HomeAssistant, meeting: str, decision: str, who: Context | None = None, **data: Any
) -> dict[str, Any]:
    answer = await hass.services.async_call(
        DOMAIN,
        "decide",
        {"meeting_id": meeting, "decision": decision, **data},
        blocking=True,
        return_response=True,
        context=who,
    )
    assert answer is not None
    return answer  # type: ignore[return-value]


@pytest.fixture
async def orphan(hass: HomeAssistant, entry: MockConfigEntry, people: dict[str, Context]) -> str:
    """A held meeting whose room is removed; its id."""
    await set_options(hass, entry, two_people=True)
    meeting = await held_by(hass, people["anna"])
    assert ISSUE not in ir.async_get(hass).issues
    hass.config_entries.async_remove_subentry(entry, "room1")
    await hass.async_block_till_done()
    return meeting


async def test_it_is_told_listed_and_decided_by_an_action(
    hass: HomeAssistant, entry: MockConfigEntry, orphan: str, people: dict[str, Context]
) -> None:
    issue = ir.async_get(hass).issues[ISSUE]
    assert issue.translation_placeholders == {"count": "1", "meetings": orphan}
    listed = await hass.services.async_call(
        DOMAIN, "list_meetings", {"states": "held"}, blocking=True, return_response=True
    )
    assert listed is not None
    (row,) = listed["meetings"]  # type: ignore[misc]
    assert (row["meeting_id"], row["room"], row["room_id"]) == (orphan, None, "room1")  # type: ignore[index,call-overload]

    with pytest.raises(ServiceValidationError) as caught:
        await decide(hass, orphan, "extend", reason="Appeal 7")
    assert caught.value.translation_placeholders == {"fields": "Review date"}
    date = dt_util.now() + timedelta(days=90)
    done = await decide(hass, orphan, "extend", review_date=date, reason="Appeal 7")
    assert done["review_date"] == dt_util.as_utc(date).isoformat()
    assert await decide(hass, orphan, "hand_over") == {"meeting_id": orphan}

    anna, bo, cia = people["anna"], people["bo"], people["cia"]
    with pytest.raises(ServiceValidationError) as caught:
        await decide(hass, orphan, "release", anna, reason="mine")
    assert caught.value.translation_key == "two_people_needed"
    assert len((await decide(hass, orphan, "release", bo, reason="closed"))["pending"]) == 1
    assert len((await decide(hass, orphan, "withdraw_release", bo))["hold_ids"]) == 1
    await decide(hass, orphan, "release", bo, reason="closed")
    assert len((await decide(hass, orphan, "release", cia, reason="closed"))["released"]) == 1
    await until(hass, lambda: ISSUE not in ir.async_get(hass).issues)
    await until(hass, lambda: not entry.runtime_data.witness._ledger.meetings)
    with pytest.raises(ServiceValidationError) as caught:
        await decide(hass, orphan, "hand_over")
    assert caught.value.translation_key == "meeting_not_found"


async def test_at_its_review_date_the_repair_asks_and_extends(
    hass: HomeAssistant, entry: MockConfigEntry, orphan: str
) -> None:
    await after(hass, entry, timedelta(days=31))
    (found,) = [key for key in ir.async_get(hass).issues if key[1].startswith("hold_review_due")]
    assert ir.async_get(hass).issues[found].translation_placeholders["room"] == "room1"  # type: ignore[index]
    manager = repairs_flow_manager(hass)
    assert manager is not None
    result: Any = await manager.async_init(DOMAIN, context={"issue_id": found[1]})
    result = await manager.async_configure(result["flow_id"], {"next_step_id": "extend"})
    soon = (dt_util.now() + timedelta(days=60)).date().isoformat()
    result = await manager.async_configure(
        result["flow_id"], {"review_date": soon, "reason": "Appeal 8"}
    )
    assert result["type"] is FlowResultType.CREATE_ENTRY
    await until(hass, lambda: found not in ir.async_get(hass).issues)
    assert ISSUE in ir.async_get(hass).issues


async def test_who_may_not_control_everything_decides_nothing(
    hass: HomeAssistant, orphan: str
) -> None:
    guest = MockUser(name="guest", groups=[]).add_to_hass(hass)
    with pytest.raises(ServiceValidationError) as caught:
        await decide(hass, orphan, "hand_over", Context(user_id=guest.id))
    assert caught.value.translation_key == "not_a_decider"
