"""Erasures as their people see them: receipts that anyone can check, and failures that stay."""

import json
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from homeassistant.components.backup import BackupManager
from homeassistant.core import HomeAssistant
from homeassistant.exceptions import ServiceValidationError
from homeassistant.helpers import issue_registry as ir
from homeassistant.setup import async_setup_component
from homeassistant.util import dt as dt_util
from pytest_homeassistant_custom_component.typing import ClientSessionGenerator

from custom_components.room_witness.const import DOMAIN
from roomwitness.cli import main
from roomwitness.custody import verify_log
from roomwitness.vault import erasure
from roomwitness.witness import view
from tests.camera import Camera

from .conftest import MakeSite, camera_subentry, room_subentry, until
from .test_backup import manager, take  # noqa: F401
from .test_room import call, state

OVERDUE = "sensor.room_witness_erasures_overdue"
LAST = "sensor.room_12_last_erasure"


async def receipt(hass: HomeAssistant, name: str) -> dict[str, Any]:
    answer = await hass.services.async_call(
        DOMAIN, "get_receipt", {"receipt": name}, blocking=True, return_response=True
    )
    assert answer is not None
    return dict(answer)


async def listed(hass: HomeAssistant, **data: Any) -> dict[str, Any]:
    answer = await hass.services.async_call(
        DOMAIN, "list_receipts", data, blocking=True, return_response=True
    )
    assert answer is not None
    return dict(answer)


async def test_a_receipt_is_fetched_and_checked_by_somebody_else(
    hass: HomeAssistant,
    make_site: MakeSite,
    camera: Camera,
    calendar: str,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    entry = await make_site(camera_subentry(camera), room_subentry())
    assert state(hass, OVERDUE) == "0"
    await call(hass, "start")
    await until(hass, lambda: camera.rtsp.plays)
    await call(hass, "stop")
    await until(hass, lambda: state(hass, LAST) != "unknown")
    last = hass.states.get(LAST)
    assert last is not None
    found = await receipt(hass, last.attributes["receipt"])
    assert await receipt(hass, last.attributes["meeting_id"]) != found, "its name differs"
    file = tmp_path / found["file_name"]
    file.write_text(found["file"])
    key = Path(hass.config.path("room_witness", "vault", "custody", "log.vkey"))
    assert (
        await hass.async_add_executor_job(main, ["verify-receipt", str(file), "--vkey", str(key)])
        == 0
    )
    told = json.loads(capsys.readouterr().out.partition("\n")[2])
    assert told["decision"] == "G-7"
    assert told["meeting"] == last.attributes["meeting_id"]
    with pytest.raises(ServiceValidationError) as caught:
        await receipt(hass, "nothing")
    assert caught.value.translation_key == "receipt_not_found"
    head = await hass.services.async_call(
        DOMAIN, "get_checkpoint", {}, blocking=True, return_response=True
    )
    assert head is not None
    await call(hass, "start")
    await call(hass, "stop")
    await until(hass, lambda: hass.states.get(LAST) != last)
    custody = Path(hass.config.path("room_witness", "vault", "custody"))
    vkey, kept = str(head["verifier_key"]), [str(head["checkpoint"])]
    assert await hass.async_add_executor_job(verify_log, custody, vkey, kept)
    everything = await listed(hass)
    assert len(everything["receipts"]) == 2
    assert everything["next"] is None
    first = await listed(hass, limit=1)
    second = await listed(hass, limit=1, after=first["next"])
    assert first["receipts"] + second["receipts"] == everything["receipts"]
    assert second["receipts"][0]["receipt"] == last.attributes["receipt"]
    assert second["receipts"][0]["decision"] == "G-7"
    past = dt_util.now() - timedelta(hours=1)
    assert (await listed(hass, before=past.isoformat()))["receipts"] == []
    assert await listed(hass, since=past.isoformat()) == everything
    for wrong in ("nothing", "x:y"):
        with pytest.raises(ServiceValidationError):
            await listed(hass, after=wrong)
    await hass.config_entries.async_unload(entry.entry_id)
    with pytest.raises(ServiceValidationError) as caught:
        await receipt(hass, "nothing")
    assert caught.value.translation_key == "site_not_loaded"


async def test_what_cannot_be_erased_is_a_repair_and_overdue_until_it_is_gone(
    hass: HomeAssistant,
    make_site: MakeSite,
    camera: Camera,
    calendar: str,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    def busy(_path: Path) -> None:
        raise OSError(16, "Device or resource busy")

    entry = await make_site(camera_subentry(camera), room_subentry())
    witness = entry.runtime_data.witness
    await call(hass, "start")
    await until(hass, lambda: witness.status("room1").bytes > 0)
    with monkeypatch.context() as patch:
        patch.setattr(erasure.shutil, "rmtree", busy)
        patch.setattr(view, "_OVERDUE_GRACE", view._OVERDUE_GRACE * 0)
        await call(hass, "stop")
        issues = ir.async_get(hass).issues
        await until(hass, lambda: (DOMAIN, "erasure_failed_room1") in issues)
        issue = issues[DOMAIN, "erasure_failed_room1"]
        assert issue.translation_placeholders == {"count": "1", "room": "Room 12"}
        await until(hass, lambda: state(hass, OVERDUE) == "1")
        assert state(hass, "sensor.room_12_erasures_overdue") == "1"
        assert state(hass, LAST) == "unknown"
    await until(hass, lambda: state(hass, LAST) != "unknown")
    await until(hass, lambda: (DOMAIN, "erasure_failed_room1") not in issues)
    assert state(hass, OVERDUE) == "0"
    assert not [r for r in caplog.records if r.exc_info and r.levelname in ("WARNING", "ERROR")]


async def test_a_backup_that_carries_a_key_is_told_until_somebody_answers_for_it(
    hass: HomeAssistant,
    manager: BackupManager,  # noqa: F811
    make_site: MakeSite,
    camera: Camera,
    calendar: str,
    hass_client: ClientSessionGenerator,
) -> None:
    assert await async_setup_component(hass, "repairs", {})
    await make_site(camera_subentry(camera), room_subentry())
    await call(hass, "start")
    await until(hass, lambda: camera.rtsp.plays)
    await call(hass, "report_threat")
    await take(manager, "while held")
    await hass.async_block_till_done(wait_background_tasks=True)
    await call(hass, "stop")
    await call(hass, "release", reason="Decision 13")
    await until(hass, lambda: state(hass, LAST) != "unknown")
    issues = ir.async_get(hass).issues
    await until(hass, lambda: (DOMAIN, "backups_carry_keys") in issues)
    issue = issues[DOMAIN, "backups_carry_keys"]
    assert issue.is_fixable
    ((backup_id, _),) = (await manager.async_get_backups())[0].items()
    first_told = issue.translation_placeholders
    assert first_told is not None
    assert backup_id in issue.translation_placeholders["backups"]
    await take(manager, "another, while nothing was held")
    await call(hass, "start")
    await call(hass, "report_threat")
    await take(manager, "while held again")
    await hass.async_block_till_done(wait_background_tasks=True)
    last = hass.states.get(LAST)
    assert last is not None
    await call(hass, "stop")
    await call(hass, "release", reason="Decision 14")
    await until(
        hass,
        lambda: issues[DOMAIN, "backups_carry_keys"].translation_placeholders != first_told,
    )
    file = (await receipt(hass, last.attributes["receipt"]))["file"]
    assert backup_id in file.partition("c2sp.org/tlog-proof")[0]
    client = await hass_client()
    flow = await client.post(
        "/api/repairs/issues/fix", json={"handler": DOMAIN, "issue_id": "backups_carry_keys"}
    )
    flow_id = (await flow.json())["flow_id"]
    done = await client.post(f"/api/repairs/issues/fix/{flow_id}", json={})
    assert (await done.json())["type"] == "create_entry"
    await until(hass, lambda: (DOMAIN, "backups_carry_keys") not in issues)
    await take(manager, "Home Assistant looks again, and they are all still there")
    await until(hass, lambda: (DOMAIN, "backups_carry_keys") in issues)
