"""Real backups: what was erased is in none of them, what is held opens from them."""

import io
import json
import tarfile
from contextlib import redirect_stdout
from datetime import timedelta
from pathlib import Path, PurePath
from typing import Any
from unittest.mock import patch

import pyrage
import pytest
import securetar
from homeassistant import backup_restore
from homeassistant.components import backup
from homeassistant.core import HomeAssistant
from homeassistant.exceptions import HomeAssistantError
from homeassistant.setup import async_setup_component

from custom_components.room_witness import backup as ours
from custom_components.room_witness import paths
from roomwitness.cli import main
from roomwitness.custody import verify_log
from roomwitness.vault import age
from roomwitness.vault.errors import VaultUnwritable
from roomwitness.vault.inspect import inspect
from roomwitness.vault.keys import KeyStore, Wraps
from roomwitness.witness import SiteKeys
from tests.camera import Camera

from .conftest import TIMES, MakeSite, camera_subentry, room_subentry, until
from .test_room import STATE, call, state

AGENT = "backup.local"


@pytest.fixture
async def manager(hass: HomeAssistant) -> backup.BackupManager:
    Path(hass.config.path("backups")).mkdir()
    assert await async_setup_component(hass, "backup", {})
    await hass.async_block_till_done()
    return hass.data[backup.DATA_MANAGER]


async def take(manager: backup.BackupManager, name: str) -> Path:
    """A backup by the real manager and its local agent."""
    new = await manager.async_initiate_backup(
        agent_ids=[AGENT],
        include_addons=None,
        include_all_addons=False,
        include_database=True,
        include_folders=None,
        include_homeassistant=True,
        name=name,
        password=None,
    )
    assert new.backup_job_id
    assert manager._backup_finish_task is not None
    await manager._backup_finish_task
    found, _errors = await manager.async_get_backups()
    (backup_id,) = [key for key, value in found.items() if value.name == name]
    return manager.local_backup_agents[AGENT].get_backup_path(backup_id)


def restored(archive: Path, folder: Path) -> Path:
    """What Home Assistant's own restore makes of it, in a new configuration folder."""
    folder.mkdir()
    content = backup_restore.RestoreBackupFileContent(
        backup_file_path=archive,
        password=None,
        remove_after_restore=False,
        restore_database=True,
        restore_homeassistant=True,
    )
    backup_restore._extract_backup(folder, content)
    return folder


def unpacked(archive: Path, folder: Path) -> bytes:
    """Every byte in the archive, decompressed."""
    folder.mkdir()
    with securetar.SecureTarArchive(archive, mode="r") as outer:
        outer.tar.extractall(folder, filter="data")
    (inner,) = folder.glob("homeassistant.tar*")
    with tarfile.open(inner) as tar:
        files = [tar.extractfile(member) for member in tar if member.isfile()]
        return b"".join(file.read() for file in files if file is not None)


def everything(folder: Path) -> bytes:
    return b"".join(path.read_bytes() for path in folder.rglob("*") if path.is_file())


def wraps_of(hass: HomeAssistant) -> dict[str, Wraps]:
    store = KeyStore(paths.ephemeral_dir(hass) / "ephemeral-keys.db")
    store.open()
    try:
        return {recording: store.get(recording) for recording in store.ids()}  # type: ignore[misc]
    finally:
        store.close()


def needles(wraps: Wraps, keys: SiteKeys) -> list[bytes]:
    """The recording's key in every form that it has, and pieces of its wraps."""
    assert wraps.site is not None
    text = age.decrypt(wraps.site, [age.Identity.from_string(keys.site_identity)])
    secret = age.Identity.from_string(text.decode()).secret
    return [text, text.lower(), secret, secret.hex().encode(), *pieces(wraps.site)]


def pieces(wrap: bytes) -> list[bytes]:
    return [wrap[-32:], wrap[60:100]]


async def record(hass: HomeAssistant) -> tuple[str, Wraps]:
    """Begin a meeting; its recording and the recording's wraps."""
    before = await hass.async_add_executor_job(wraps_of, hass)
    await call(hass, "start")
    folder = Path(hass.config.path("room_witness", "vault", "segments"))
    await until(hass, lambda: len(list(folder.glob("*/*.tail"))) == 1)
    after = await hass.async_add_executor_job(wraps_of, hass)
    (recording,) = after.keys() - before.keys()
    return recording, after[recording]


async def test_no_erased_key_is_in_any_backup_and_held_evidence_opens(
    hass: HomeAssistant,
    make_site: MakeSite,
    camera: Camera,
    calendar: str,
    keys: SiteKeys,
    manager: backup.BackupManager,
    tmp_path: Path,
) -> None:
    review = {**TIMES, "review_window": {"seconds": 3600}}
    entry = await make_site(camera_subentry(camera), room_subentry(times=review))

    calm, calm_wraps = await record(hass)
    archives = {"mid-meeting": await take(manager, "mid-meeting")}
    await call(hass, "stop")
    assert state(hass, STATE) == "review"
    archives["review"] = await take(manager, "review")

    evidence, evidence_wraps = await record(hass)
    await call(hass, "report_threat")
    await call(hass, "stop")
    archives["held"] = await take(manager, "held")

    # The clock goes past the calm meeting's deadline: it is erased.
    witness = entry.runtime_data.witness
    clock = witness._clock
    witness._clock = lambda: clock() + timedelta(hours=2)
    await witness.tick()
    await witness.changes.told()
    assert state(hass, "sensor.room_12_last_erasure") != "unknown"
    archives["erased"] = await take(manager, "erased")
    assert state(hass, "sensor.room_12_evidence_held") == "1"

    def check() -> None:
        needle = [*needles(calm_wraps, keys), *pieces(*calm_wraps.custodians.values())]
        needle += needles(evidence_wraps, keys)  # The site's wrap is in no backup either.
        own = needles(evidence_wraps, keys) + needles(calm_wraps, keys)
        live = everything(paths.ephemeral_dir(hass))
        assert any(n in live for n in own), "the search would find a key that is there"
        for name, archive in archives.items():
            data = unpacked(archive, tmp_path / f"unpacked {name}")
            folder = restored(archive, tmp_path / f"restored {name}")
            for haystack in (data, everything(folder)):
                assert not any(n in haystack for n in needle), name
                there = all(n in haystack for n in pieces(*evidence_wraps.custodians.values()))
                assert there is (name in ("held", "erased")), name
            assert not (folder / paths.EPHEMERAL).exists()
            assert inspect(folder / "room_witness" / "vault")["meeting"]
            assert verify_log(folder / "room_witness" / "vault" / "custody").size > 3

        folder = tmp_path / "restored held"
        custodian = tmp_path / "custodian.txt"
        custodian.write_text(f"{keys.custodian_identity}\n")
        told = io.StringIO()
        with redirect_stdout(told):
            assert (
                main(["export", str(folder / "room_witness/held"), "--identity", str(custodian)])
                == 0
            )
        assert calm not in told.getvalue()
        found = told.getvalue().split(f"# recording {evidence}\n")[1].splitlines()[0]
        segments = list((folder / "room_witness/vault/segments" / evidence).glob("*.age"))
        assert segments
        identity = pyrage.x25519.Identity.from_str(found)
        assert pyrage.decrypt(segments[0].read_bytes(), [identity])[4:8] == b"ftyp"

    await hass.async_add_executor_job(check)
    kinds = [entry["kind"] for entry in await hass.async_add_executor_job(log_entries, hass)]
    assert kinds.count("backup_begun") == kinds.count("backup_ended") == 4


def log_entries(hass: HomeAssistant) -> list[dict[str, Any]]:
    log = Path(hass.config.path("room_witness", "vault", "custody", "log.jsonl"))
    return [json.loads(line) for line in log.open()]


async def test_a_newer_core_that_would_take_the_keys_is_refused(
    hass: HomeAssistant, make_site: MakeSite, manager: backup.BackupManager
) -> None:
    await make_site()
    assert not ours.core_takes(paths.EPHEMERAL)
    assert ours.core_takes("room_witness")
    with (
        patch("homeassistant.components.backup.const.EXCLUDE_FROM_BACKUP", ["*.log"]),
        pytest.raises(HomeAssistantError, match="unheld"),
    ):
        await ours.async_pre_backup(hass)
    await ours.async_post_backup(hass)


async def test_a_backup_is_made_even_if_the_vault_is_in_trouble(
    hass: HomeAssistant,
    make_site: MakeSite,
    manager: backup.BackupManager,
    caplog: pytest.LogCaptureFixture,
) -> None:
    entry = await make_site()
    vault = entry.runtime_data.witness._vault
    with patch.object(vault, "freeze", side_effect=VaultUnwritable):
        assert (await take(manager, "trouble")).stat().st_size
    assert "could not be held still" in caplog.text


# What the Supervisor leaves out (supervisor/homeassistant/module.py), old and new.
@pytest.mark.parametrize("way", ["full_match", "match"])
def test_the_supervisors_rule_leaves_the_folder_out(way: str) -> None:
    path = PurePath("data", paths.EPHEMERAL)
    assert path.full_match("data/*.log.*") if way == "full_match" else path.match("*.log.*")
