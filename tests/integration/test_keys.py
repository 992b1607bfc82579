"""Custodians come and go in the page; evidence opens for those who are, and for no others."""

import json
import shutil
from pathlib import Path
from typing import Any
from unittest.mock import patch

import pytest
from homeassistant.components.repairs import repairs_flow_manager
from homeassistant.config_entries import SOURCE_RECONFIGURE, SOURCE_USER, ConfigEntryState
from homeassistant.core import HomeAssistant
from homeassistant.data_entry_flow import FlowResultType
from homeassistant.setup import async_setup_component
from pytest_homeassistant_custom_component.common import MockConfigEntry

from custom_components.room_witness import paths
from custom_components.room_witness.const import DOMAIN
from roomwitness.cli import main
from roomwitness.custody import CustodyLog, LogUnwritable
from roomwitness.vault.store import Vault
from roomwitness.witness import SiteKeys, StoredKeys
from tests.camera import Camera
from tests.peers import age

from .conftest import MakeSite, camera_subentry, room_subentry, until
from .test_room import call
from .test_site import issue_ids


class Flow:
    """Drives the site's own flow."""

    def __init__(self, hass: HomeAssistant, entry: MockConfigEntry | None = None) -> None:
        self._flow = hass.config_entries.flow
        self._entry = entry
        self.result: Any = None

    async def start(self, *choices: str) -> Any:
        source = SOURCE_USER if self._entry is None else SOURCE_RECONFIGURE
        context: Any = {"source": source}
        if self._entry is not None:
            context["entry_id"] = self._entry.entry_id
        self.result = await self._flow.async_init(DOMAIN, context=context)
        for choice in choices:
            await self.go(next_step_id=choice)
        return self.result

    async def go(self, **user_input: Any) -> Any:
        self.result = await self._flow.async_configure(self.result["flow_id"], user_input)
        return self.result


def age_keygen(folder: Path, name: str) -> tuple[Path, str]:
    """An identity file of the age program's own making, and its recipient."""
    path = folder / name
    age.run_program("age-keygen", "-o", path)
    return path, age.run_program("age-keygen", "-y", path).decode().strip()


def written(folder: Path, identity: str) -> Path:
    path = folder / f"{identity[-8:]}.txt"
    path.write_text(f"# custodian\n{identity}\n")
    return path


async def evidence(hass: HomeAssistant) -> str:
    """Record a meeting that becomes evidence; its recording."""
    segments = Path(hass.config.path("room_witness", "vault", "segments"))
    before = set(segments.glob("*/*.tail"))
    await call(hass, "start")
    await until(hass, lambda: set(segments.glob("*/*.tail")) - before)
    await call(hass, "report_threat")
    await call(hass, "stop")
    await until(hass, lambda: len(list(segments.glob("*/*.mp4.age"))) > len(before))
    return max(segments.iterdir(), key=lambda path: path.stat().st_mtime_ns).name


def exported(hass: HomeAssistant, identity: Path, capsys: pytest.CaptureFixture[str]) -> list[str]:
    """The recordings whose keys ``roomwitness export`` opens; each is tried with ``age``."""
    capsys.readouterr()
    main(["export", str(paths.held_dir(hass)), "--identity", str(identity)])
    lines = capsys.readouterr().out.splitlines()
    names = [line.removeprefix("# recording ") for line in lines[::2]]
    for name, secret in zip(names, lines[1::2], strict=True):
        key = identity.with_suffix(".recording")
        key.write_text(f"{secret}\n")
        folder = Path(hass.config.path("room_witness", "vault", "segments", name))
        for segment in folder.glob("*.mp4.age"):
            assert age.run("-d", "-i", key, segment)[4:8] == b"ftyp"
    return names


def log_of(hass: HomeAssistant) -> list[dict[str, Any]]:
    log = Path(hass.config.path("room_witness", "vault", "custody", "log.jsonl"))
    return [json.loads(line) for line in log.open()]


async def test_custodians_are_added_and_retired_with_the_evidence_that_there_is(
    hass: HomeAssistant,
    make_site: MakeSite,
    camera: Camera,
    calendar: str,
    keys: SiteKeys,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    entry = await make_site(camera_subentry(camera), room_subentry())
    first = written(tmp_path, keys.custodian_identity)
    recording = await evidence(hass)
    assert await hass.async_add_executor_job(exported, hass, first, capsys) == [recording]

    second, recipient = await hass.async_add_executor_job(age_keygen, tmp_path, "second.txt")
    secret = second.read_text().splitlines()[-1]
    flow = Flow(hass, entry)
    result = await flow.start()
    assert keys.custodian_recipient in result["description_placeholders"]["custodians"]
    await flow.go(next_step_id="custodian_own")
    for wrong, error in (
        (secret, "recipient_is_secret"),
        (recipient[:-1] + ("q" if recipient[-1] == "x" else "x"), "recipient_invalid"),
        (keys.custodian_recipient, "custodian_known"),
    ):
        result = await flow.go(recipient=wrong, label="Anna")
        assert list(result["errors"].values()) == [error]
        assert secret not in str(result)
    result = await flow.go(recipient=f" {recipient} ", label="Anna")
    assert (result["type"], result["reason"]) == (FlowResultType.ABORT, "custodian_added")
    assert result["description_placeholders"]["changed"] == "2"  # In both key stores.
    assert result["description_placeholders"]["waiting"] == "0"
    assert [c["recipient"] for c in entry.data["custodians"]] == [
        keys.custodian_recipient,
        recipient,
    ]
    assert await hass.async_add_executor_job(exported, hass, second, capsys) == [recording]
    assert await hass.async_add_executor_job(exported, hass, first, capsys) == [recording]

    flow = Flow(hass, entry)
    result = await flow.start("custodian")
    made = result["description_placeholders"]["identity"]
    assert (await flow.go(confirm="AAAAAA"))["errors"] == {"confirm": "identity_not_confirmed"}
    assert (await flow.go(confirm=made[-6:]))["reason"] == "custodian_added"
    third = written(tmp_path, made)
    assert await hass.async_add_executor_job(exported, hass, third, capsys) == [recording]

    before = await hass.async_add_executor_job(held_bytes, hass)
    for custodian in entry.runtime_data.witness.keys.custodians[:2]:
        flow = Flow(hass, entry)
        await flow.start("custodian_retire")
        result = await flow.go(custodian=custodian.id)
        assert result["reason"] == "custodian_retired"
        assert result["description_placeholders"]["kept"] == "0"
    assert (await Flow(hass, entry).start("custodian_retire"))["reason"] == "custodian_last"
    for gone in (first, second):
        assert await hass.async_add_executor_job(exported, hass, gone, capsys) == []
    assert await hass.async_add_executor_job(exported, hass, third, capsys) == [recording]
    stored = StoredKeys.load(paths.keys_file(hass))
    assert stored is not None
    assert [c.id for c in stored.custodians] == [before["third"]]
    left = await hass.async_add_executor_job(held_bytes, hass)
    assert before["needles"][before["third"]] in left["raw"]
    for custodian_id, needle in before["needles"].items():
        assert (needle in left["raw"]) is (custodian_id == before["third"])

    other = await evidence(hass)
    found = await hass.async_add_executor_job(exported, hass, third, capsys)
    assert set(found) == {recording, other}
    assert await hass.async_add_executor_job(exported, hass, first, capsys) == []
    log = await hass.async_add_executor_job(log_of, hass)
    told = [e for e in log if e["kind"] in ("custodian_added", "custodian_retired", "rewrapped")]
    assert [entry["kind"] for entry in told] == [
        *("custodian_added", "rewrapped") * 2,
        *("custodian_retired", "rewrapped") * 2,
    ]
    assert "Anna" not in json.dumps(log)
    assert issue_ids(hass) == set()


def held_bytes(hass: HomeAssistant) -> dict[str, Any]:
    """The held key store as raw bytes, and the end of each custodian's wrap in it."""
    stored = StoredKeys.load(paths.keys_file(hass))
    assert stored is not None
    vault = Vault(
        Path(hass.config.path("room_witness", "vault")),
        paths.ephemeral_dir(hass),
        paths.held_dir(hass),
        stored.ring.site,
        (),
    )
    vault.open()
    (name,) = list(vault._held.ids())
    wraps = vault._held.get(name)
    vault.close()
    assert wraps is not None
    return {
        "third": stored.custodians[-1].id,
        "needles": {key: file[-32:] for key, file in wraps.custodians.items()},
        "raw": (paths.held_dir(hass) / "held-keys.db").read_bytes(),
    }


async def test_after_a_restore_a_custodian_wraps_the_evidence_for_a_new_one(
    hass: HomeAssistant,
    make_site: MakeSite,
    camera: Camera,
    calendar: str,
    keys: SiteKeys,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """A restored site cannot open held evidence itself: a repair asks a custodian for it."""
    entry = await make_site(camera_subentry(camera), room_subentry())
    first = written(tmp_path, keys.custodian_identity)
    recording = await evidence(hass)
    await hass.config_entries.async_unload(entry.entry_id)
    shutil.rmtree(paths.ephemeral_dir(hass))  # No backup has it.
    assert await hass.config_entries.async_setup(entry.entry_id)
    second, recipient = await hass.async_add_executor_job(age_keygen, tmp_path, "second.txt")
    flow = Flow(hass, entry)
    await flow.start("custodian_own")
    result = await flow.go(recipient=recipient)
    assert result["description_placeholders"]["waiting"] == "1"
    assert await hass.async_add_executor_job(exported, hass, second, capsys) == []
    await until(hass, lambda: "custodian_lacks_keys" in issue_ids(hass))
    flow = Flow(hass, entry)
    await flow.start("custodian_retire")
    result = await flow.go(custodian=entry.runtime_data.witness.keys.custodians[0].id)
    assert result["description_placeholders"]["kept"] == "1"
    await until(hass, lambda: "custodian_still_needed" in issue_ids(hass))
    assert await hass.async_add_executor_job(exported, hass, first, capsys) == [recording]

    vault = hass.config.path("room_witness", "vault")
    words = ["rewrap", "--vault", vault, "--identity", str(first)]
    assert await hass.async_add_executor_job(main, words) == 1
    assert "vault_in_use" in capsys.readouterr().err
    await hass.config_entries.async_unload(entry.entry_id)
    assert await hass.async_add_executor_job(main, words) == 0
    assert "1 wraps made, 1 removed" in capsys.readouterr().out
    assert await hass.async_add_executor_job(exported, hass, second, capsys) == [recording]
    assert await hass.async_add_executor_job(exported, hass, first, capsys) == []
    third, recipient = await hass.async_add_executor_job(age_keygen, tmp_path, "third.txt")
    words = ["rewrap", "--vault", vault, "--identity", str(second), "--add", recipient]
    assert await hass.async_add_executor_job(main, words) == 0
    assert await hass.async_add_executor_job(exported, hass, third, capsys) == [recording]
    assert await hass.config_entries.async_setup(entry.entry_id)
    assert not {"custodian_lacks_keys", "custodian_still_needed"} & issue_ids(hass)
    assert [c["recipient"] for c in entry.data["custodians"]][1:] == [recipient]
    kinds = [e["kind"] for e in await hass.async_add_executor_job(log_of, hass)]
    assert kinds.count("rewrapped") == 2
    assert kinds.count("custodian_added") == 2


async def test_a_site_is_set_up_with_a_key_that_was_made_elsewhere(
    hass: HomeAssistant, tmp_path: Path
) -> None:
    _, recipient = await hass.async_add_executor_job(age_keygen, tmp_path, "own.txt")
    flow = Flow(hass)
    await flow.start()
    await flow.go(vault=paths.default_vault(hass))
    await flow.go(next_step_id="custodian_own")
    in_the_way = paths.keys_file(hass).parent
    in_the_way.parent.mkdir(exist_ok=True, parents=True)
    in_the_way.write_text("")
    assert (await flow.go(recipient=recipient))["errors"] == {"base": "vault_unwritable"}
    in_the_way.unlink()
    result = await flow.go(recipient=recipient, label="The archive")
    assert result["type"] is FlowResultType.CREATE_ENTRY
    await hass.async_block_till_done()
    entry = result["result"]
    assert entry.data["custodians"] == [{"recipient": recipient, "label": "The archive"}]
    await hass.config_entries.async_unload(entry.entry_id)
    for step in ((), ("custodian_retire",)):
        result = await Flow(hass, entry).start()
        assert (result["type"], result["reason"], step) == (
            FlowResultType.ABORT,
            "site_not_loaded",
            step,
        )


async def test_the_site_gets_a_new_key_and_the_old_one_is_gone(
    hass: HomeAssistant,
    make_site: MakeSite,
    camera: Camera,
    calendar: str,
    keys: SiteKeys,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    entry = await make_site(camera_subentry(camera), room_subentry())
    recording = await evidence(hass)
    flow = Flow(hass, entry)
    assert (await flow.start("site_key"))["step_id"] == "site_key"
    with patch.object(CustodyLog, "append", side_effect=LogUnwritable):
        assert (await flow.go())["errors"] == {"base": "log_unwritable"}
    result = await flow.go()
    assert result["reason"] == "site_key_rotated"
    assert result["description_placeholders"] == {"changed": "1"}

    def look() -> tuple[bytes, bytes]:
        witness = entry.runtime_data.witness
        (segment, *_) = witness._vault.segments(recording)
        files = Path(hass.config.config_dir).rglob("*")
        return (
            b"".join(path.read_bytes() for path in files if path.is_file()),
            b"".join(witness._vault.read_segment(segment)),
        )

    raw, media = await hass.async_add_executor_job(look)
    assert keys.site_identity.encode() not in raw
    assert media[4:8] == b"ftyp"
    first = written(tmp_path, keys.custodian_identity)
    assert await hass.async_add_executor_job(exported, hass, first, capsys) == [recording]
    kinds = [e["kind"] for e in await hass.async_add_executor_job(log_of, hass)]
    told = [kind for kind in kinds if kind == "rewrapped" or kind.startswith("site_key_")]
    assert told == ["site_key_rotation_begun", "rewrapped", "site_key_rotated"]


async def test_a_site_that_lost_its_keys_gets_new_ones_by_the_repair(
    hass: HomeAssistant,
    make_site: MakeSite,
    camera: Camera,
    calendar: str,
    keys: SiteKeys,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert await async_setup_component(hass, "repairs", {})
    entry = await make_site(camera_subentry(camera), room_subentry())
    await entry.runtime_data.witness.keys.set_sealed(True)
    entry.runtime_data.async_show_keys()
    recording = await evidence(hass)
    await hass.config_entries.async_unload(entry.entry_id)
    stored = paths.keys_file(hass)
    kept = stored.read_bytes()
    stored.unlink()
    assert not await hass.config_entries.async_setup(entry.entry_id)
    assert issue_ids(hass) == {"site_keys_missing"}

    manager = repairs_flow_manager(hass)
    assert manager is not None

    async def fix(choice: str) -> Any:
        flow: Any = await manager.async_init(DOMAIN, data={"issue_id": "site_keys_missing"})
        await manager.async_configure(flow["flow_id"], {"next_step_id": choice})
        return await manager.async_configure(flow["flow_id"], {})

    assert (await fix("put_back"))["errors"] == {"base": "site_keys_missing"}
    stored.write_bytes(kept)
    assert (await fix("put_back"))["type"] is FlowResultType.CREATE_ENTRY
    await until(hass, lambda: entry.state is ConfigEntryState.LOADED)
    assert issue_ids(hass) == set()

    await hass.config_entries.async_unload(entry.entry_id)
    stored.unlink()
    assert not await hass.config_entries.async_setup(entry.entry_id)
    stored.parent.rmdir()
    stored.parent.write_text("in the way")
    assert (await fix("new_keys"))["errors"] == {"base": "vault_unwritable"}
    stored.parent.unlink()
    assert (await fix("new_keys"))["type"] is FlowResultType.CREATE_ENTRY
    await until(hass, lambda: entry.state is ConfigEntryState.LOADED)
    assert issue_ids(hass) == set()
    made = StoredKeys.load(stored)
    assert made is not None
    assert made.sealed, "the entry remembers the mode"
    assert [c.recipient for c in made.custodians] == [keys.custodian_recipient]
    assert entry.data["origin"] == made.origin != "roomwitness/test"
    first = written(tmp_path, keys.custodian_identity)
    assert await hass.async_add_executor_job(exported, hass, first, capsys) == [recording]
    assert hass.states.get("sensor.room_12_evidence_held").state == "1"  # type: ignore[union-attr]
    other = await evidence(hass)
    found = await hass.async_add_executor_job(exported, hass, first, capsys)
    assert set(found) == {recording, other}


async def test_a_vault_without_its_keys_is_taken_over_when_the_site_is_set_up_anew(
    hass: HomeAssistant, make_site: MakeSite, tmp_path: Path
) -> None:
    entry = await make_site()
    await hass.config_entries.async_remove(entry.entry_id)
    paths.keys_file(hass).unlink()
    _, recipient = await hass.async_add_executor_job(age_keygen, tmp_path, "own.txt")
    flow = Flow(hass)
    await flow.start()
    await flow.go(vault=paths.default_vault(hass))
    await flow.go(next_step_id="custodian_own")
    assert (await flow.go(recipient=recipient))["type"] is FlowResultType.CREATE_ENTRY
    await hass.async_block_till_done()
    assert issue_ids(hass) == set(), "its old log is no tampered one"
    kinds = [e["kind"] for e in await hass.async_add_executor_job(log_of, hass)]
    assert "site_keys_replaced" in kinds
