"""Whoever should open a recording can, after any change and any kill, and nobody else."""

import shutil
import sqlite3
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from roomwitness.vault import age
from roomwitness.vault.errors import (
    CustodiansUnusable,
    IdentityInvalid,
    KeyMissing,
    RecordingSealed,
    VaultUnwritable,
)
from roomwitness.vault.keyfile import Custodian, StoredKeys, destroy_old
from roomwitness.vault.keys import Holder, key_id
from roomwitness.vault.wrapping import KeyRing, Rewrapped

from .conftest import killed_at
from .ringworld import Ring, exchange, killed_at_statement, save
from .test_kill import FullDisk

POOL = [age.generate_identity() for _ in range(5)]
SITES = [age.generate_identity() for _ in range(3)]


class Machine(RuleBasedStateMachine):
    """Any order of recordings, holds, custodians, modes, site keys and lost ephemeral stores."""

    def __init__(self) -> None:
        super().__init__()
        self.folder = Path(tempfile.mkdtemp())
        self.active = {0}
        self.retired: set[int] = set()
        self.site = 0
        self.ring = Ring(self.folder, KeyRing(SITES[0], (POOL[0].recipient,)))
        # Whom each recording opens for, as the rules say.
        self.rights: dict[str, set[int]] = {}
        self.assisted: set[str] = set()
        self.held: set[str] = set()

    def teardown(self) -> None:
        self.ring.close()
        shutil.rmtree(self.folder)

    def change(self, **changes: Any) -> Rewrapped:
        custodians = tuple(POOL[i].recipient for i in sorted(self.active))
        retired = frozenset(key_id(POOL[i].recipient) for i in self.retired)
        wrapping = self.ring.wrapping
        wrapping.ring = replace(wrapping.ring, custodians=custodians, retired=retired, **changes)
        found = self.ring.rewrap(limit=2)
        waiting, kept = 0, 0
        for name, who in self.rights.items():
            if name in self.assisted:
                who |= self.active
            waiting += len(self.active - who)
            if who & self.active or who - self.retired:
                who -= self.retired
            kept += len(who & self.retired)
        assert sum(found.waiting.values()) == waiting
        assert sum(found.kept.values()) == kept
        again = self.ring.rewrap()
        assert (again.added, again.removed) == (0, 0), "it is done at once"
        return found

    @rule(sealed=st.booleans())
    def record(self, sealed: bool) -> None:
        wrapping = self.ring.wrapping
        wrapping.ring = replace(wrapping.ring, sealed=sealed)
        name = self.ring.begin()
        self.rights[name] = set(self.active)
        if not sealed:
            self.assisted.add(name)

    @precondition(lambda self: self.rights)
    @rule(pick=st.integers(0, 99))
    def hold(self, pick: int) -> None:
        name = sorted(self.rights)[pick % len(self.rights)]
        self.ring.wrapping.hold(name)
        self.held.add(name)

    @rule(pick=st.integers(0, len(POOL) - 1))
    def add(self, pick: int) -> None:
        self.active.add(pick)
        self.retired.discard(pick)
        self.change()

    @precondition(lambda self: len(self.active) > 1)
    @rule(pick=st.integers(0, 99))
    def retire(self, pick: int) -> None:
        gone = sorted(self.active)[pick % len(self.active)]
        self.active.discard(gone)
        self.retired.add(gone)
        needles = self.needles(gone)
        self.change()
        raw = self.ring.bytes()
        for name, ends in needles.items():
            left = any(end in raw for end in ends)
            assert left == (gone in self.rights[name])

    def needles(self, of: int) -> dict[str, list[bytes]]:
        found: dict[str, list[bytes]] = {}
        for store in (self.ring.held, self.ring.ephemeral):
            for name in store.ids():
                wraps = store.get(name)
                assert wraps is not None
                file = wraps.custodians.get(key_id(POOL[of].recipient))
                if file is not None:
                    found.setdefault(name, []).append(file[-32:])
        return found

    @rule()
    def rotate(self) -> None:
        old = SITES[self.site]
        self.site = (self.site + 1) % len(SITES)
        self.change(site=SITES[self.site], previous=old)
        for name in self.assisted:
            wraps = self.ring.ephemeral.get(name)
            assert wraps is not None
            assert Holder.site(old.recipient) not in wraps.files
        self.change(previous=None)

    @rule()
    def restore(self) -> None:
        """Only the held store comes back: what is not held is gone, the site opens nothing."""
        self.ring.ephemeral.destroy(self.ring.ephemeral.ids())
        self.rights = {name: who for name, who in self.rights.items() if name in self.held}
        self.assisted = set()

    @invariant()
    def who_should_can_and_nobody_else(self) -> None:
        for name, who in self.rights.items():
            assert who, "nobody could open it"
            for number, identity in enumerate(POOL):
                assert self.ring.opens(name, identity) == (number in who)
            try:
                found = self.ring.wrapping.identity(name)
            except RecordingSealed:
                assert name not in self.assisted
            else:
                assert name in self.assisted
                assert str(found.recipient) == self.ring.secrets[name]


TestMachine = Machine.TestCase
TestMachine.settings = settings(
    max_examples=25,
    stateful_step_count=12,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
)


def test_killed_anywhere_while_rewrapping(tmp_path: Path) -> None:
    step, died = 0, True
    old, new = POOL[:2]
    while died:
        root = tmp_path / f"{step}"
        ring = Ring(root, KeyRing(SITES[0], (old.recipient,)))
        for _ in range(2):
            ring.wrapping.hold(ring.begin())
        ring.close()
        stored = StoredKeys(
            origin="o",
            custodians=(Custodian(str(new.recipient)),),
            site_identity=str(SITES[1]),
            previous_site_identity=str(SITES[0]),
            log_private_key="",
            retired=(key_id(old.recipient),),
        )
        stored.save(root / "site.json")
        died = killed_at_statement(step, exchange, root)
        after = Ring(root, stored.ring)
        after.secrets = ring.secrets
        for name in ring.secrets:
            assert after.opens(name, old) or after.opens(name, new)
            assert str(after.wrapping.identity(name).recipient) == ring.secrets[name]
        found = after.rewrap()
        assert (found.waiting, found.kept) == ({}, {})
        assert all(after.opens(name, new) for name in ring.secrets)
        assert not any(after.opens(name, old) for name in ring.secrets)
        after.close()
        step += 1
    assert step > 10, "the exchange takes more statements than that"


def test_killed_anywhere_while_the_key_file_is_written(tmp_path: Path) -> None:
    """It is the old one or the new one, whole, and the next start leaves nothing of the old."""
    before, after = (
        StoredKeys(
            origin="o",
            custodians=(Custodian(str(POOL[0].recipient)),),
            site_identity=str(site),
            log_private_key="",
        )
        for site in SITES[:2]
    )
    step, died = 0, True
    while died:
        root = tmp_path / f"{step}"
        before.save(root / "site.json")
        died = killed_at(step, save, root, after)
        found = StoredKeys.load(root / "site.json")
        assert found in (before, after)
        destroy_old(root / "site.json")
        assert [path.name for path in root.iterdir()] == ["site.json"]
        assert StoredKeys.load(root / "site.json") == found
        after.save(root / "site.json")
        assert [path.name for path in root.iterdir()] == ["site.json"]
        step += 1
    assert step > 3


@pytest.mark.parametrize("room", [0, 100])
def test_a_full_disk_leaves_the_key_file_as_it_was(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, room: int
) -> None:
    path = tmp_path / "site.json"
    before = StoredKeys(
        origin="o",
        custodians=(Custodian(str(POOL[0].recipient)),),
        site_identity=str(SITES[0]),
        log_private_key="",
    )
    before.save(path)
    after = before.rotating(SITES[1])
    with monkeypatch.context() as patch:
        FullDisk(patch, room)
        with pytest.raises(OSError, match="No space left"):
            after.save(path)
    assert StoredKeys.load(path) == before
    after.save(path)
    assert StoredKeys.load(path) == after
    assert [found.name for found in tmp_path.iterdir()] == ["site.json"]


def test_the_old_key_files_bytes_are_overwritten(tmp_path: Path) -> None:
    path = tmp_path / "site.json"
    stored = StoredKeys(
        origin="o",
        custodians=(Custodian(str(POOL[0].recipient), "The archive"),),
        site_identity=str(SITES[0]),
        log_private_key="",
    )
    stored.save(path)
    with path.open("rb") as old:
        replace(stored, site_identity=str(SITES[1])).save(path)
        assert old.read() == bytes(old.tell())
    assert path.stat().st_mode & 0o077 == 0
    assert "AGE-SECRET" not in repr(stored)
    assert stored.custodians[0].shown == f"The archive ({stored.custodians[0].id})"
    for rubbish in ("", "{}", '{"custodians": [], "retired": []}', "[]"):
        path.write_text(rubbish)
        assert StoredKeys.load(path) is None
    path.write_text("{}")
    broken = replace(stored, custodians=(Custodian("age1nobody"),))
    broken.save(path)
    assert StoredKeys.load(path) is None


class Broken:
    """A recipient whose plugin is gone."""

    def wrap(self, file_key: bytes) -> Any:
        raise IdentityInvalid("no such plugin")

    def __str__(self) -> str:
        return "age1broken"


def test_a_custodian_who_cannot_be_encrypted_to_is_waited_for(tmp_path: Path) -> None:
    broken: Any = Broken()
    ring = Ring(tmp_path, KeyRing(SITES[0], (broken, POOL[0].recipient)))
    names = [ring.begin(), ring.begin()]
    assert all(ring.opens(name, POOL[0]) for name in names)
    assert ring.rewrap().waiting == {key_id(broken): 2}
    ring.wrapping.ring = KeyRing(SITES[0], (broken,), sealed=True)
    with pytest.raises(CustodiansUnusable):
        ring.begin()
    ring.close()


def test_a_store_that_cannot_be_changed_says_so_and_stays_as_it_was(tmp_path: Path) -> None:
    ring = Ring(tmp_path, KeyRing(SITES[0], (POOL[0].recipient,)))
    name = ring.begin()
    ring.wrapping.ring = replace(ring.wrapping.ring, custodians=(POOL[1].recipient,))
    other = sqlite3.connect(tmp_path / "cache" / "ephemeral-keys.db", timeout=0)
    other.execute("BEGIN IMMEDIATE")
    ring.ephemeral._connection().execute("PRAGMA busy_timeout=0")
    with pytest.raises(VaultUnwritable):
        ring.rewrap()
    other.rollback()
    other.close()
    assert ring.opens(name, POOL[0])
    assert ring.rewrap().added == 1
    ring.close()


def test_a_wrap_for_another_sites_key_is_not_ours_to_open(tmp_path: Path) -> None:
    ring = Ring(tmp_path, KeyRing(SITES[0], (POOL[0].recipient,)))
    name = ring.begin()
    ring.wrapping.ring = replace(ring.wrapping.ring, site=SITES[1])
    with pytest.raises(KeyMissing):
        ring.wrapping.identity(name)
    assert ring.rewrap() == Rewrapped()
    with pytest.raises(KeyMissing):
        ring.wrapping.identity("nobody")
    ring.close()
