"""A log that was cut back, or an older one that was put back, is told by who knows of more."""

import shutil
from datetime import timedelta
from pathlib import Path

import aiohttp
import pytest

from roomwitness.custody import SiteSigner
from roomwitness.policy import meeting as events
from roomwitness.policy.words import Meeting, RoomPolicy
from roomwitness.vault.check import Places
from roomwitness.vault.store import Vault
from roomwitness.witness import WitnessConfig
from roomwitness.witness.ledger import Ledger
from roomwitness.witness.newkeys import replace_lost
from tests.witness_server import WitnessServer

from .house import ORIGIN, House
from .test_bound import T, custody, ledger_of
from .test_copied_log import FILES, backups_of, copy
from .test_outside import Site, session, site, vkey

__all__ = ["session", "site"]
POLICY = RoomPolicy()


def planned(ledger: Ledger, name: str) -> Meeting:
    return ledger.create(Meeting(id=name, room_id=name, origin="manual", planned_start=T), T)


def put_back(house: House, older: Path) -> None:
    shutil.rmtree(custody(house))
    shutil.copytree(older, custody(house))


def opened(house: House) -> tuple[bool, tuple[str, ...]]:
    """Whether the start tells that the log was cut back, and which were set aside."""
    vault = house.vault()
    ledger = ledger_of(house, vault)
    ledger.close()
    vault.close()
    return ledger.rolled_back, ledger.tampered


@pytest.mark.parametrize("gone", [False, True])
def test_the_index_knows_that_the_log_had_more(house: House, tmp_path: Path, gone: bool) -> None:
    vault = house.vault()
    ledger = ledger_of(house, vault)
    planned(ledger, "m1")
    ledger.close()
    shutil.copytree(custody(house), tmp_path / "older")
    ledger = ledger_of(house, vault)
    meeting = ledger.apply(planned(ledger, "m2"), events.Start(), T, POLICY)
    ledger.apply(meeting, events.ReportThreat("h", "p-1"), T, POLICY)
    ledger.close()
    vault.close()
    assert opened(house) == (False, ())
    if gone:
        shutil.rmtree(custody(house))
    else:
        put_back(house, tmp_path / "older")
    assert opened(house) == (True, ())
    assert house.log_kinds()[-1] == "log_rolled_back"
    assert opened(house) == (False, ()), "once"


def test_a_log_in_place_of_a_tampered_one_is_no_older_one(house: House) -> None:
    vault = house.vault()
    ledger = ledger_of(house, vault)
    planned(ledger, "m1")
    ledger.close()
    vault.close()
    path = custody(house) / "log.jsonl"
    path.write_bytes(path.read_bytes().replace(b"m1", b"m9"))
    rolled_back, tampered = opened(house)
    assert (rolled_back, len(tampered)) == (False, 1)
    assert opened(house)[0] is False


def test_a_log_in_place_of_one_whose_key_is_lost_is_no_older_one(house: House) -> None:
    vault = house.vault()
    ledger = ledger_of(house, vault)
    planned(ledger, "m1")
    ledger.close()
    vault.close()
    config = house.config
    places = Places(config.root, config.ephemeral_dir, config.held_dir)
    replace_lost(places, house.keys_file, ORIGIN, (), T)
    assert "log_rolled_back" not in house.log_kinds()


@pytest.mark.parametrize("first", ["log.jsonl", "index.db"])
async def test_a_backup_that_has_the_log_before_the_index_is_no_older_log(
    house: House, tmp_path: Path, first: str
) -> None:
    vault = house.vault()
    ledger = ledger_of(house, vault)
    meeting = ledger.apply(planned(ledger, "m1"), events.Start(), T, POLICY)
    backups, root = backups_of(vault, ledger), house.config.root
    index = ("index.db", "index.db-wal")
    kept, kept_custody = tmp_path / "copy", tmp_path / "copy" / "custody"
    kept_custody.mkdir(parents=True)

    def copy_log() -> None:
        for name in FILES:
            copy(custody(house), kept_custody, name)

    def copy_index() -> None:
        for name in index:
            copy(root, kept, name)

    await backups.begin()
    both = (copy_log, copy_index) if first == "log.jsonl" else (copy_index, copy_log)
    both[0]()
    ledger.apply(meeting, events.ReportThreat("h", "p-1"), T, POLICY)
    planned(ledger, "m2")
    both[1]()
    await backups.end()
    ledger.close()
    vault.close()
    put_back(house, kept_custody)
    for path in root.glob("index.db*"):
        path.unlink()
    for name in index:
        copy(kept, root, name)
    assert opened(house) == (False, ())
    planned_later = house.vault()
    ledger = ledger_of(house, planned_later)
    planned(ledger, "m3")
    assert planned_later.index.reached() == ledger.log.length
    ledger.close()
    planned_later.close()


async def test_a_witness_is_told_of_a_log_that_was_cut_together_with_its_heads(
    site: Site, session: aiohttp.ClientSession, tmp_path: Path
) -> None:
    async with WitnessServer(vkey(site)) as server:
        config = WitnessConfig(url=server.url, vkey=server.vkey)
        site.outside.configure(session, [config])
        await site.hour()
        await site.witness.stop()
        shutil.copytree(site.custody, tmp_path / "older")
        await site.open()
        site.outside.configure(session, [config])
        for _ in range(9):
            await site.hour()
        assert site.problems() == {}
        await site.witness.stop()
        shutil.copyfile(site.custody / "outside.json", tmp_path / "older" / "outside.json")
        put_back(site.house, tmp_path / "older")
        await site.open()
        site.outside.configure(session, [config])
        await site.outside.look(site.clock.now + timedelta(seconds=5))
        assert "witness_disagrees" in {p.key for p in site.witness.problems()}


def test_a_signer_and_a_vault_are_all_that_it_takes(house: House, tmp_path: Path) -> None:
    """An index of an older version knows nothing yet, and tells nothing."""
    vault: Vault = house.vault()
    assert vault.index.reached() == 0
    ledger = Ledger(vault, tmp_path / "log", SiteSigner.generate(ORIGIN), ORIGIN)
    ledger.open(T)
    assert not ledger.rolled_back
    ledger.close()
    vault.close()
