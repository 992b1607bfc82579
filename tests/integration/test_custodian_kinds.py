"""Custodians with post-quantum keys, tokens and plugins, set up in the page, opened by age 1.3."""

import os
from pathlib import Path
from typing import Any

import pytest
from homeassistant.core import HomeAssistant
from homeassistant.data_entry_flow import FlowResultType
from pytest_homeassistant_custom_component.common import MockConfigEntry

from custom_components.room_witness import paths
from roomwitness.cli import main
from roomwitness.vault import age as ours
from roomwitness.vault.keys import KeyStore
from roomwitness.witness import SiteKeys, StoredKeys
from tests.camera import Camera
from tests.peers import age

from .conftest import MakeSite, camera_subentry, room_subentry, until
from .test_keys import Flow, evidence, exported, written
from .test_site import issue_ids


@pytest.fixture
async def entry(
    hass: HomeAssistant, make_site: MakeSite, camera: Camera, calendar: str
) -> MockConfigEntry:
    return await make_site(camera_subentry(camera), room_subentry())


def stanza(hass: HomeAssistant, recording: str) -> str:
    """The type of the recording's key, as its segment's header names it."""
    folder = Path(hass.config.path("room_witness", "vault", "segments", recording))
    header = next(folder.glob("*.mp4.age")).read_bytes()[:100]
    return header.splitlines()[1].split()[1].decode()


def wraps(hass: HomeAssistant, recording: str) -> list[bytes]:
    """The custodians' wraps in the store that backups take."""
    store = KeyStore(paths.held_dir(hass) / "held-keys.db")
    store.open()
    found = store.get(recording)
    store.close()
    return list(found.custodians.values()) if found else []


def opened_by_token(hass: HomeAssistant, recording: str, folder: Path) -> bool:
    """Open a recording as a custodian with a token does: wrap, then segment, by ``age``."""
    for wrap in wraps(hass, recording):
        try:
            secret = age.run("-d", "-j", "tagtest", data=wrap)
        except AssertionError:
            continue
        key = folder / "recording.txt"
        key.write_bytes(secret)
        segments = Path(hass.config.path("room_witness", "vault", "segments", recording))
        return all(
            age.run("-d", "-i", key, segment)[4:8] == b"ftyp"
            for segment in segments.glob("*.mp4.age")
        )
    return False


async def retire_first(hass: HomeAssistant, entry: MockConfigEntry) -> None:
    flow = Flow(hass, entry)
    await flow.start("custodian_retire")
    result = await flow.go(custodian=entry.runtime_data.witness.keys.custodians[0].id)
    assert result["reason"] == "custodian_retired"


async def test_a_post_quantum_custodian_opens_evidence_that_has_no_weaker_link(
    hass: HomeAssistant,
    entry: MockConfigEntry,
    keys: SiteKeys,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    flow = Flow(hass, entry)
    result = await flow.start("custodian_pq")
    shown = result["description_placeholders"]
    assert shown["identity"].startswith("AGE-SECRET-KEY-PQ-1")
    assert len(shown["recipient"]) < 60
    assert (await flow.go(confirm="AAAAAA"))["errors"] == {"confirm": "identity_not_confirmed"}
    assert (await flow.go(confirm=shown["identity"][-6:]))["reason"] == "custodian_added"
    result = await Flow(hass, entry).start()
    assert len(result["description_placeholders"]["custodians"]) < 300
    recipient = entry.runtime_data.witness.keys.custodians[1].recipient
    assert recipient.startswith("age1pq1")

    mixed = await evidence(hass)
    assert await hass.async_add_executor_job(stanza, hass, mixed) == "X25519"
    await retire_first(hass, entry)
    lasting = await evidence(hass)
    assert await hass.async_add_executor_job(stanza, hass, lasting) == "mlkem768x25519"
    custodian = written(tmp_path, shown["identity"])
    found = await hass.async_add_executor_job(exported, hass, custodian, capsys)
    assert set(found) == {mixed, lasting}
    gone = written(tmp_path, keys.custodian_identity)
    assert await hass.async_add_executor_job(exported, hass, gone, capsys) == []
    for wrap in await hass.async_add_executor_job(wraps, hass, lasting):
        assert wrap.split(b"\n", 2)[1].startswith(b"-> mlkem768x25519 ")
    assert await entry.runtime_data.witness.preflight("room1") == ()
    assert await hass.config_entries.async_unload(entry.entry_id)
    stored = StoredKeys.load(paths.keys_file(hass))
    assert stored is not None
    assert [c.recipient for c in stored.custodians] == [recipient]


async def test_a_site_begins_with_a_post_quantum_custodian(
    hass: HomeAssistant, tmp_path: Path
) -> None:
    flow = Flow(hass)
    await flow.start()
    await flow.go(vault=str(tmp_path / "vault"))
    result = await flow.go(next_step_id="custodian_pq")
    identity = ours.parse_identity(result["description_placeholders"]["identity"])
    result = await flow.go(confirm=str(identity)[-6:])
    assert result["type"] is FlowResultType.CREATE_ENTRY
    assert [c["recipient"] for c in result["data"]["custodians"]] == [str(identity.recipient)]


async def test_a_token_needs_nothing_on_the_server(
    hass: HomeAssistant,
    entry: MockConfigEntry,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    flow = Flow(hass, entry)
    await flow.start("custodian_own")
    result = await flow.go(recipient=age.TAGTEST, label="Token 1")
    assert result["reason"] == "custodian_added"
    await retire_first(hass, entry)
    recording = await evidence(hass)
    assert await hass.async_add_executor_job(opened_by_token, hass, recording, tmp_path)
    assert issue_ids(hass) == set()

    # The command is a client of the token's plugin too.
    token = tmp_path / "token.txt"
    token.write_text(f"# made by the token's plugin\n{age.TAGTEST_IDENTITY}\n")
    monkeypatch.setenv("PATH", f"{age.folder()}{os.pathsep}{os.environ['PATH']}")
    assert await hass.async_add_executor_job(exported, hass, token, capsys) == [recording]
    other = ours.generate_identity()
    assert await hass.config_entries.async_unload(entry.entry_id)
    vault = hass.config.path("room_witness", "vault")
    words = ["rewrap", "--vault", vault, "--ephemeral", str(paths.ephemeral_dir(hass))]
    words += ["--held", str(paths.held_dir(hass)), "--identity", str(token)]
    words += ["--add", str(other.recipient)]
    assert await hass.async_add_executor_job(main, words) == 0
    found = await hass.async_add_executor_job(exported, hass, written(tmp_path, str(other)), capsys)
    assert found == [recording]


async def test_a_plugin_that_goes_is_told_and_its_wraps_are_made_up_for(
    hass: HomeAssistant,
    entry: MockConfigEntry,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    recipient = age.tagtest_post_quantum()
    without = os.environ["PATH"]
    flow = Flow(hass, entry)
    await flow.start("custodian_own")
    result = await flow.go(recipient=recipient)
    assert result["errors"] == {"recipient": "plugin_missing"}
    assert result["description_placeholders"] == {"plugin": "tagpq"}
    broken = tmp_path / "age-plugin-tagpq"
    broken.write_text("#!/bin/sh\nexit 1\n")
    broken.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{without}")
    assert (await flow.go(recipient=recipient))["errors"] == {"recipient": "plugin_failed"}
    monkeypatch.setenv("PATH", f"{age.folder()}{os.pathsep}{without}")
    assert (await flow.go(recipient=recipient))["reason"] == "custodian_added"
    first = await evidence(hass)
    assert await hass.async_add_executor_job(opened_by_token, hass, first, tmp_path)

    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{without}")
    second = await evidence(hass)
    assert not await hass.async_add_executor_job(opened_by_token, hass, second, tmp_path)
    await later(entry)
    await until(hass, lambda: "custodian_plugin" in issue_ids(hass))
    assert "custodian_lacks_keys" not in issue_ids(hass)
    broken.unlink()
    await later(entry)
    assert "custodian_plugin" in issue_ids(hass)

    monkeypatch.setenv("PATH", f"{age.folder()}{os.pathsep}{without}")
    await later(entry)
    await until(hass, lambda: "custodian_plugin" not in issue_ids(hass))
    assert await hass.async_add_executor_job(opened_by_token, hass, second, tmp_path)


async def later(entry: MockConfigEntry) -> None:
    """A minute goes by for what is tried again, and everything is told."""
    site: Any = entry.runtime_data
    site.witness.keys._looked = None
    await site.witness.tick()
    site._async_refresh()
    await site.witness.changes.told()
