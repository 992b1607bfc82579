"""Who may end a hold: administrators, whom the options list, and what one has built."""

from datetime import timedelta
from typing import Any

import pytest
from homeassistant.core import Context, HomeAssistant
from homeassistant.data_entry_flow import FlowResultType
from homeassistant.exceptions import HomeAssistantError, ServiceValidationError
from homeassistant.setup import async_setup_component
from homeassistant.util import dt as dt_util
from pytest_homeassistant_custom_component.common import MockConfigEntry, MockUser

from custom_components.room_witness.const import DOMAIN
from roomwitness.custody import LogUnwritable
from tests.camera import Camera

from .conftest import MakeSite, camera_subentry, room_subentry, until
from .test_backup import log_entries
from .test_holds import act, held_by
from .test_room import STATE, state


@pytest.fixture
async def entry(
    hass: HomeAssistant, make_site: MakeSite, camera: Camera, calendar: str
) -> MockConfigEntry:
    return await make_site(camera_subentry(camera), room_subentry())


@pytest.fixture
def staff(hass: HomeAssistant) -> MockUser:
    """A member of *Users*, who may control every entity."""
    user = MockUser(name="Bo Staff").add_to_hass(hass)
    user.mock_policy({"entities": True})
    return user


@pytest.fixture
def bo(staff: MockUser) -> Context:
    return Context(user_id=staff.id)


async def decide(hass: HomeAssistant, who: Context, meeting: str, decision: str) -> None:
    given = {"meeting_id": meeting, "decision": decision, "reason": "closed"}
    given |= {"review_date": dt_util.now() + timedelta(days=90)}
    await hass.services.async_call(DOMAIN, "decide", given, blocking=True, context=who)


async def entrust(hass: HomeAssistant, entry: MockConfigEntry, *users: str) -> None:
    result: Any = await hass.config_entries.options.async_init(entry.entry_id)
    result = await hass.config_entries.options.async_configure(
        result["flow_id"], {"next_step_id": "holds"}
    )
    offered = next(v for k, v in result["data_schema"].schema.items() if k == "deciders")
    assert "Bo Staff" in [user["label"] for user in offered.config["options"]]
    values = {"two_people": False, "erase_at_review": False, "deciders": list(users)}
    result = await hass.config_entries.options.async_configure(result["flow_id"], values)
    assert result["type"] is FlowResultType.CREATE_ENTRY
    await hass.async_block_till_done()


async def refused(hass: HomeAssistant, who: Context, meeting: str) -> None:
    """Nothing that ends a hold, or says that it was handed over, is done for them."""
    calls = [act(hass, "release", who, reason="closed"), act(hass, "hand_over", who)]
    calls += [
        decide(hass, who, meeting, decision)
        for decision in ("extend", "release", "withdraw_release", "hand_over")
    ]
    for call in calls:
        with pytest.raises(ServiceValidationError) as caught:
            await call
        assert caught.value.translation_key == "not_a_decider"
    assert state(hass, STATE) == "held"


async def test_a_user_holds_and_puts_off_but_ends_nothing(
    hass: HomeAssistant, entry: MockConfigEntry, bo: Context
) -> None:
    meeting = await held_by(hass, bo)
    await act(hass, "hold", bo, kind="legal", reason="Request 1")
    date = dt_util.now() + timedelta(days=90)
    await act(hass, "extend", bo, review_date=date, reason="Appeal 1")
    await act(hass, "list_evidence", bo)
    await refused(hass, bo, meeting)


async def test_whom_the_options_list_decides_until_they_are_removed(
    hass: HomeAssistant, entry: MockConfigEntry, staff: MockUser, bo: Context
) -> None:
    meeting = await held_by(hass, bo)
    await entrust(hass, entry, staff.id)
    await act(hass, "hand_over", bo)
    await decide(hass, bo, meeting, "extend")
    await entrust(hass, entry)
    with pytest.raises(ServiceValidationError):
        await act(hass, "release", bo, reason="closed")
    await entrust(hass, entry, staff.id)
    await act(hass, "release", bo, reason="closed")
    await until(hass, lambda: state(hass, STATE) == "idle")
    staff.is_active = False
    with pytest.raises(ServiceValidationError) as caught:
        await decide(hass, bo, meeting, "release")
    assert caught.value.translation_key == "not_a_decider"

    person = entry.runtime_data.witness.people.known(staff.id)
    told = [
        e["people"]
        for e in await hass.async_add_executor_job(log_entries, hass)
        if e["kind"] == "deciders_set"
    ]
    assert told == [person, "", person]
    assert staff.id not in str(await hass.async_add_executor_job(log_entries, hass)), "a pseudonym"


async def test_what_the_log_does_not_say_yet_counts_for_nothing(
    hass: HomeAssistant,
    entry: MockConfigEntry,
    staff: MockUser,
    bo: Context,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    await held_by(hass, bo)
    ledger = entry.runtime_data.witness._ledger
    real = ledger.note

    def note(kind: str, *args: Any, **fields: Any) -> None:
        if kind == "deciders_set":
            raise LogUnwritable
        real(kind, *args, **fields)

    with monkeypatch.context() as patch:
        patch.setattr(ledger, "note", note)
        await entrust(hass, entry, staff.id)
        with pytest.raises(HomeAssistantError) as caught:
            await act(hass, "release", bo, reason="closed")
        assert caught.value.translation_key == "log_unwritable"
    await act(hass, "release", bo, reason="closed")
    kinds = [e["kind"] for e in await hass.async_add_executor_job(log_entries, hass)]
    assert kinds.index("deciders_set") < kinds.index("release_hold")


async def test_a_reload_tells_the_log_nothing_new(
    hass: HomeAssistant, entry: MockConfigEntry, staff: MockUser
) -> None:
    await entrust(hass, entry, staff.id)
    assert await hass.config_entries.async_reload(entry.entry_id)
    await hass.async_block_till_done()
    assert [e["kind"] for e in await hass.async_add_executor_job(log_entries, hass)].count(
        "deciders_set"
    ) == 1


async def test_an_administrator_and_what_one_has_built_decide(
    hass: HomeAssistant, entry: MockConfigEntry, bo: Context
) -> None:
    anna = Context(user_id=MockUser(name="anna", is_owner=True).add_to_hass(hass).id)
    await held_by(hass, bo)
    await act(hass, "hand_over", anna)
    assert await async_setup_component(
        hass,
        "automation",
        {
            "automation": {
                "triggers": {"trigger": "event", "event_type": "closed"},
                "actions": {
                    "action": "room_witness.release",
                    "target": {"entity_id": "switch.room_12_meeting"},
                    "data": {"reason": "closed"},
                },
            }
        },
    )
    hass.bus.async_fire("closed", context=bo)
    await until(hass, lambda: state(hass, STATE) == "idle")


async def test_a_script_that_a_user_starts_is_that_user(
    hass: HomeAssistant, entry: MockConfigEntry, bo: Context
) -> None:
    await held_by(hass, bo)
    assert await async_setup_component(
        hass,
        "script",
        {
            "script": {
                "close": {
                    "sequence": {
                        "action": "room_witness.release",
                        "target": {"entity_id": "switch.room_12_meeting"},
                        "data": {"reason": "closed"},
                    }
                }
            }
        },
    )
    with pytest.raises(ServiceValidationError):
        await hass.services.async_call("script", "close", {}, blocking=True, context=bo)
    assert state(hass, STATE) == "held"
