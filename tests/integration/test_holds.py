"""Holds in Home Assistant: several at once, two people, reviews and their repairs."""

from datetime import timedelta
from typing import Any

import pytest
from homeassistant.components.repairs import repairs_flow_manager
from homeassistant.core import Context, HomeAssistant
from homeassistant.data_entry_flow import FlowResultType
from homeassistant.exceptions import ServiceValidationError
from homeassistant.helpers import issue_registry as ir
from homeassistant.setup import async_setup_component
from homeassistant.util import dt as dt_util
from pytest_homeassistant_custom_component.common import MockConfigEntry, MockUser

from custom_components.room_witness.const import DOMAIN
from roomwitness.policy.steady import Steady
from tests.camera import Camera

from .conftest import MakeSite, camera_subentry, room_subentry, until
from .test_backup import log_entries
from .test_room import STATE, SWITCH, state

EVIDENCE = "sensor.room_12_evidence_held"


@pytest.fixture
def people(hass: HomeAssistant) -> dict[str, Context]:
    return {
        name: Context(user_id=MockUser(name=name, is_owner=True).add_to_hass(hass).id)
        for name in ("anna", "bo", "cia")
    }


@pytest.fixture
async def entry(
    hass: HomeAssistant, make_site: MakeSite, camera: Camera, calendar: str
) -> MockConfigEntry:
    assert await async_setup_component(hass, "repairs", {})
    return await make_site(camera_subentry(camera), room_subentry())


async def act(
    hass: HomeAssistant, action: str, context: Context | None = None, **data: Any
) -> dict[str, Any]:
    answer = await hass.services.async_call(
        DOMAIN,
        action,
        {"entity_id": SWITCH, **data},
        blocking=True,
        return_response=True,
        context=context,
    )
    assert answer is not None
    return answer[SWITCH]  # type: ignore[return-value]


async def refused(hass: HomeAssistant, action: str, *args: Any, **data: Any) -> str:
    with pytest.raises(ServiceValidationError) as caught:
        await act(hass, action, *args, **data)
    assert caught.value.translation_key is not None
    return caught.value.translation_key


async def held_by(hass: HomeAssistant, who: Context) -> str:
    await act(hass, "start", who)
    meeting: str = (await act(hass, "report_threat", who))["meeting_id"]
    await hass.services.async_call(DOMAIN, "stop", {"entity_id": SWITCH}, blocking=True)
    return meeting


async def set_options(hass: HomeAssistant, entry: MockConfigEntry, **options: bool) -> None:
    result: Any = await hass.config_entries.options.async_init(entry.entry_id)
    assert result["step_id"] == "init"
    result = await hass.config_entries.options.async_configure(
        result["flow_id"], {"next_step_id": "holds"}
    )
    values = {"two_people": False, "erase_at_review": False, **options}
    result = await hass.config_entries.options.async_configure(result["flow_id"], values)
    assert result["type"] is FlowResultType.CREATE_ENTRY
    await hass.async_block_till_done()


async def test_several_holds_are_listed_extended_and_released_one_by_one(
    hass: HomeAssistant, entry: MockConfigEntry, people: dict[str, Context]
) -> None:
    meeting = await held_by(hass, people["anna"])
    date = (dt_util.now() + timedelta(days=90)).replace(microsecond=0)
    second = await act(
        hass, "hold", kind="restriction", reason="Objection 4", review_date=date.isoformat()
    )
    assert second["review_date"] == dt_util.as_utc(date).isoformat()
    (found,) = (await act(hass, "list_evidence"))["meetings"]
    assert found["meeting_id"] == meeting
    assert found["state"] == "held"
    assert [h["kind"] for h in found["holds"]] == ["threat", "restriction"]
    assert found["holds"][1]["hold_id"] == second["hold_id"]
    assert "Objection" not in str(found)

    later = date + timedelta(days=10)
    done = await act(
        hass, "extend", review_date=later, reason="Appeal 5", hold_id=second["hold_id"]
    )
    assert done["hold_ids"] == [second["hold_id"]]
    (found,) = (await act(hass, "list_evidence"))["meetings"]
    assert found["holds"][1]["review_date"] == dt_util.as_utc(later).isoformat()
    past = dt_util.now() - timedelta(days=1)
    assert (
        await refused(hass, "extend", review_date=past, reason="not now") == "review_date_invalid"
    )
    nearer = dt_util.now() + timedelta(days=1)
    for which in ({}, {"hold_id": second["hold_id"]}):
        key = await refused(hass, "extend", review_date=nearer, reason="sooner", **which)
        assert key == "review_not_put_off"
    between = date - timedelta(days=30)
    done = await act(hass, "extend", review_date=between, reason="Appeal 6")
    assert len(done["hold_ids"]) == 1, "the other one is reviewed later anyhow"
    assert (
        await refused(hass, "hold", kind="legal", reason="late", review_date=past)
        == "review_date_invalid"
    )
    assert await refused(hass, "release", reason="whatever", hold_id="x") == "hold_not_found"

    threat = found["holds"][0]["hold_id"]
    done = await act(hass, "release", reason="No charge", hold_id=threat)
    assert done == {"meeting_id": meeting, "released": [threat], "pending": []}
    assert state(hass, EVIDENCE) == "1"
    await act(hass, "release", reason="All over")
    await until(hass, lambda: state(hass, "sensor.room_12_last_erasure") != "unknown")
    assert (await act(hass, "list_evidence"))["meetings"] == []


async def test_two_people_release_and_neither_placed_it(
    hass: HomeAssistant, entry: MockConfigEntry, people: dict[str, Context]
) -> None:
    await set_options(hass, entry, two_people=True)
    anna, bo, cia = people["anna"], people["bo"], people["cia"]
    meeting = await held_by(hass, anna)
    assert await refused(hass, "release", anna, reason="mine") == "two_people_needed"
    assert await refused(hass, "release", None, reason="automation") == "person_needed"
    assert await refused(hass, "withdraw_release", bo) == "release_not_asked"
    done = await act(hass, "release", bo, reason="No charge")
    assert (done["released"], len(done["pending"])) == ([], 1)
    (hold,) = done["pending"]
    issue_id = f"release_pending_room1_{hold}"
    issue = ir.async_get(hass).issues[DOMAIN, issue_id]
    assert issue.is_fixable
    shown = hass.states.get(EVIDENCE)
    assert shown is not None
    assert (shown.state, shown.attributes["releases_pending"]) == ("1", 1)
    assert await refused(hass, "release", bo, reason="again") == "two_people_needed"
    assert (await act(hass, "withdraw_release", anna))["hold_ids"] == [hold]
    assert (DOMAIN, issue_id) not in ir.async_get(hass).issues

    await act(hass, "release", bo, reason="No charge")
    manager = repairs_flow_manager(hass)
    assert manager is not None
    result: Any = await manager.async_init(DOMAIN, context={"issue_id": issue_id})
    result = await manager.async_configure(result["flow_id"], {"next_step_id": "withdraw"})
    result = await manager.async_configure(result["flow_id"], {})
    assert result["type"] is FlowResultType.CREATE_ENTRY
    assert state(hass, EVIDENCE) == "1"

    await act(hass, "release", bo, reason="No charge")
    done = await act(hass, "release", cia, reason="I agree")
    assert done == {"meeting_id": meeting, "released": [hold], "pending": []}
    await until(hass, lambda: state(hass, EVIDENCE) == "0")
    entries = await hass.async_add_executor_job(log_entries, hass)
    asked = [e for e in entries if e["kind"] == "ask_release"][-1]
    released = [e for e in entries if e["kind"] == "release_hold"][-1]
    who = entry.runtime_data.witness.people
    assert (asked["by"], released["by"]) == (who.known(bo.user_id), who.known(cia.user_id))
    assert bo.user_id not in str(entries), "a pseudonym"
    assert "No charge" not in str(entries)


async def after(hass: HomeAssistant, entry: MockConfigEntry, passed: timedelta) -> None:
    """Time goes by."""
    witness = entry.runtime_data.witness
    clock = witness._clock
    witness._clock = lambda: clock() + passed
    witness.holds._clock = witness._clock
    await witness.tick()
    entry.runtime_data._async_refresh()
    await entry.runtime_data.witness.changes.told()
    await hass.async_block_till_done()


async def test_at_its_review_date_a_repair_asks_and_nothing_is_erased(
    hass: HomeAssistant, entry: MockConfigEntry, people: dict[str, Context]
) -> None:
    await held_by(hass, people["anna"])
    await after(hass, entry, timedelta(days=31))
    assert state(hass, EVIDENCE) == "1"
    ((_, issue_id),) = [key for key in ir.async_get(hass).issues if key[0] == DOMAIN]
    assert issue_id.startswith("hold_review_due_room1_")
    manager = repairs_flow_manager(hass)
    assert manager is not None

    async def go(step: str, *inputs: dict[str, Any]) -> Any:
        result: Any = await manager.async_init(DOMAIN, context={"issue_id": issue_id})
        assert result["type"] is FlowResultType.MENU
        result = await manager.async_configure(result["flow_id"], {"next_step_id": step})
        for given in inputs:
            assert result["type"] is FlowResultType.FORM
            result = await manager.async_configure(result["flow_id"], given)
        return result

    soon = (dt_util.now() + timedelta(days=60)).date().isoformat()
    result = await go(
        "extend",
        {"review_date": soon, "reason": " "},
        {"review_date": "2020-01-01", "reason": "Appeal 5"},
    )
    assert result["errors"] == {"base": "review_date_invalid"}
    result = await manager.async_configure(
        result["flow_id"], {"review_date": soon, "reason": "Appeal 5"}
    )
    assert result["type"] is FlowResultType.CREATE_ENTRY
    await hass.async_block_till_done()
    assert not [key for key in ir.async_get(hass).issues if key[0] == DOMAIN]

    await after(hass, entry, timedelta(days=31))
    await set_options(hass, entry, two_people=True)
    result = await go("release", {"reason": "x"}, {"reason": "Decision 9"})
    assert result["errors"] == {"base": "person_needed"}
    await set_options(hass, entry)
    result = await go("release", {"reason": "Decision 9"})
    assert result["type"] is FlowResultType.CREATE_ENTRY
    await until(hass, lambda: state(hass, EVIDENCE) == "0")


async def test_a_site_may_choose_that_holds_end_by_themselves(
    hass: HomeAssistant, entry: MockConfigEntry, people: dict[str, Context]
) -> None:
    await held_by(hass, people["anna"])
    await act(hass, "start")
    before = hass.states.get(STATE).attributes["meeting_id"]  # type: ignore[union-attr]
    await set_options(hass, entry, erase_at_review=True)
    assert hass.states.get(STATE).attributes["meeting_id"] == before  # type: ignore[union-attr]
    assert state(hass, STATE) == "recording", "options interrupt nothing"
    entry.runtime_data.witness._upkeep._steady = Steady(rest=timedelta(0))
    await after(hass, entry, timedelta(days=31))
    assert state(hass, EVIDENCE) == "0"
    kinds = [e["kind"] for e in await hass.async_add_executor_job(log_entries, hass)]
    assert kinds.count("lapse_hold") == 1
