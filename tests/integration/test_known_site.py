"""The integration is deleted and added again: keys go on, in the mode that is chosen now."""

from dataclasses import replace
from typing import Any

import pytest
from homeassistant.config_entries import SOURCE_USER, ConfigEntryState
from homeassistant.core import HomeAssistant
from homeassistant.data_entry_flow import FlowResultType

from custom_components.room_witness import paths
from custom_components.room_witness.const import DOMAIN
from roomwitness.custody import LogUnwritable
from roomwitness.witness import SiteKeys, StoredKeys
from roomwitness.witness.ledger import Ledger

from .test_backup import log_entries
from .test_site import issue_ids


@pytest.fixture(params=[False, True], ids=["assisted", "sealed"])
async def kept(hass: HomeAssistant, keys: SiteKeys, request: pytest.FixtureRequest) -> StoredKeys:
    """Keys of a site whose entry is deleted."""
    found = replace(keys.stored("roomwitness/test"), sealed=request.param)
    await hass.async_add_executor_job(found.save, paths.keys_file(hass))
    return found


def mode(sealed: bool) -> str:
    return "sealed" if sealed else "assisted"


async def added(hass: HomeAssistant, step: str, **chosen: Any) -> Any:
    flow = hass.config_entries.flow
    result: Any = await flow.async_init(DOMAIN, context={"source": SOURCE_USER})
    vault = {"vault": paths.default_vault(hass)}
    result = await flow.async_configure(result["flow_id"], vault | chosen)
    assert result["step_id"] == step
    result = await flow.async_configure(result["flow_id"], {})
    assert result["type"] is FlowResultType.CREATE_ENTRY
    await hass.async_block_till_done()
    return result["result"]


async def stored(hass: HomeAssistant) -> StoredKeys | None:
    return await hass.async_add_executor_job(StoredKeys.load, paths.keys_file(hass))


async def test_the_mode_that_they_are_in_is_suggested_and_kept(
    hass: HomeAssistant, kept: StoredKeys
) -> None:
    entry = await added(hass, "known_site")
    assert await stored(hass) == kept
    assert entry.data["mode"] == mode(kept.sealed)
    assert "mode_changed" not in {
        e["kind"] for e in await hass.async_add_executor_job(log_entries, hass)
    }


async def test_another_mode_is_said_applied_and_logged(
    hass: HomeAssistant, kept: StoredKeys
) -> None:
    other = mode(not kept.sealed)
    entry = await added(hass, f"known_site_{other}", mode=other)
    assert await stored(hass) == replace(kept, sealed=not kept.sealed)
    assert entry.runtime_data.witness.keys.stored.sealed is not kept.sealed
    assert [
        e["mode"]
        for e in await hass.async_add_executor_job(log_entries, hass)
        if e["kind"] == "mode_changed"
    ] == [other]
    assert (entry.data["mode"], "chosen_mode" in entry.data) == (other, False)

    # What is changed later stays so.
    await entry.runtime_data.witness.keys.set_sealed(kept.sealed)
    assert await hass.config_entries.async_reload(entry.entry_id)
    assert await stored(hass) == kept


async def test_while_it_cannot_be_logged_the_site_does_not_start_in_the_other_mode(
    hass: HomeAssistant, kept: StoredKeys, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = Ledger.note

    def note(self: Ledger, kind: str, *args: Any, **fields: Any) -> None:
        if kind == "mode_changed":
            raise LogUnwritable
        real(self, kind, *args, **fields)

    with monkeypatch.context() as patch:
        patch.setattr(Ledger, "note", note)
        other = mode(not kept.sealed)
        entry = await added(hass, f"known_site_{other}", mode=other)
        assert entry.state is ConfigEntryState.SETUP_RETRY
        assert "log_unwritable" in issue_ids(hass)
        assert await stored(hass) == kept
    assert await hass.config_entries.async_reload(entry.entry_id)
    await hass.async_block_till_done()
    assert entry.state is ConfigEntryState.LOADED
    assert "log_unwritable" not in issue_ids(hass)
    assert await stored(hass) == replace(kept, sealed=not kept.sealed)
