"""The log is copied file by file while it grows, as a backup does, and holds when restored."""

import shutil
from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path
from types import SimpleNamespace

import pytest

from roomwitness.custody import encode_entry, verify_log
from roomwitness.vault.store import Vault
from roomwitness.witness.backups import Backups
from roomwitness.witness.erasures import Erasures
from roomwitness.witness.ledger import Ledger

from .house import ORIGIN, House
from .test_bound import T, ledger_of

FILES = ("log.jsonl", "checkpoint", "log.vkey", "log.state", "log.tree", "checkpoints")


def copy(source: Path, to: Path, name: str) -> None:
    path = source / name
    if path.is_dir():
        shutil.copytree(path, to / name)
    elif path.exists():
        shutil.copyfile(path, to / name)


def backups_of(vault: Vault, ledger: Ledger) -> Backups:
    """What a backup asks for at ``T``, done at once."""

    async def at_once(work: Callable[[datetime], None], now: datetime) -> None:
        work(now)

    upkeep = SimpleNamespace(run=at_once, erasures=Erasures(vault, ledger, ORIGIN))
    return Backups(vault, ledger, upkeep, lambda: T, lambda: None)  # type: ignore[arg-type]


@pytest.mark.parametrize("first", FILES)
async def test_whichever_file_is_copied_first(house: House, tmp_path: Path, first: str) -> None:
    vault = house.vault()
    ledger = ledger_of(house, vault)
    backups = backups_of(vault, ledger)
    custody, to = house.config.root / "custody", tmp_path / "copy"
    many = [encode_entry("start", T, {"meeting": f"{number}"}) for number in range(600)]
    ledger.note_all(many)  # So many that the log's state is kept more than once.
    ledger.keep_hourly(T)
    await backups.begin()
    to.mkdir()
    copy(custody, to, first)
    for hour in range(1, 6):
        ledger.note_all(many)
        ledger.note("place_hold", T)
        ledger.keep_hourly(T + timedelta(hours=hour))
    for name in FILES:
        if name != first:
            copy(custody, to, name)
    assert verify_log(to).size > 600
    await backups.end()
    now = verify_log(custody)
    assert now.unsigned == 0
    assert now.kept == 1 + 1 + 2 * 5
    ledger.close()
    shutil.rmtree(custody)
    to.rename(custody)
    restored = ledger_of(house, vault)
    assert (restored.tampered, restored.rolled_back) == ((), False)
    restored.close()
    vault.close()


async def test_a_copy_that_never_ends_is_given_up(house: House) -> None:
    vault = house.vault()
    ledger: Ledger = ledger_of(house, vault)
    custody = house.config.root / "custody"
    await backups_of(vault, ledger).begin()
    ledger.keep_hourly(T + timedelta(hours=1))
    assert verify_log(custody).kept == 1
    ledger.keep_hourly(T + timedelta(hours=12))
    assert verify_log(custody).kept == 3
    ledger.close()
    vault.close()
