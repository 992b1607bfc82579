"""Pseudonyms: always the same for one person, until they are forgotten to the last byte."""

import os
import sqlite3
import tempfile
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from roomwitness.policy.words import GapCause, Hold, HoldKind
from roomwitness.vault import Gap, details
from roomwitness.vault.errors import StoreError, VaultUnwritable
from roomwitness.vault.migrations import SCRIPTS
from roomwitness.vault.people import People
from roomwitness.vault.store import Vault

from .conftest import Place, T, begin, erase_meeting, meeting, summary, write

ANNA, BO = "account-of-anna", "account-of-bo"


@pytest.fixture
def table(tmp_path: Path) -> People:
    made = People(tmp_path / "people.db")
    made.open()
    return made


def test_a_person_keeps_a_pseudonym_over_restarts(table: People, tmp_path: Path) -> None:
    assert table.known(ANNA) is None
    anna, bo = table.pseudonym(ANNA), table.pseudonym(BO)
    assert anna != bo
    assert table.unsaved
    table.save()
    assert not table.unsaved
    table.close()
    table.close()
    again = People(tmp_path / "people.db")
    again.open()
    assert (again.pseudonym(ANNA), again.known(BO)) == (anna, bo)
    assert again.account(anna) == ANNA
    assert not again.unsaved
    assert (tmp_path / "people.db").stat().st_mode & 0o077 == 0
    again.close()


def test_nothing_is_left_of_a_forgotten_person(table: People, tmp_path: Path) -> None:
    for number in range(200):
        table.pseudonym(f"somebody-{number}")
    anna = table.pseudonym(ANNA)
    table.save()
    files = b"".join(path.read_bytes() for path in tmp_path.iterdir())
    assert ANNA.encode() in files
    table.forget(anna)
    assert table.account(anna) is None
    files = b"".join(path.read_bytes() for path in tmp_path.iterdir())
    assert ANNA.encode() not in files
    assert anna.encode() not in files
    assert table.pseudonym(ANNA) != anna


def test_what_cannot_be_written_is_tried_again(table: People, tmp_path: Path) -> None:
    anna = table.pseudonym(ANNA)
    other = sqlite3.connect(tmp_path / "people.db", isolation_level=None)
    other.execute("BEGIN EXCLUSIVE")
    table._db.execute("PRAGMA busy_timeout=0")  # type: ignore[union-attr]
    for change in (table.save, lambda: table.forget(anna)):
        with pytest.raises(VaultUnwritable):
            change()
    assert table.known(ANNA) == anna
    assert table.unsaved
    other.close()
    table.save()
    assert not table.unsaved
    table.close()
    with pytest.raises(StoreError):
        table.save()


def test_a_damaged_table_is_set_aside_and_goes_with_whoever_is_forgotten(tmp_path: Path) -> None:
    path = tmp_path / "people.db"
    path.write_bytes(b"no database, but %s is in it" % ANNA.encode() * 100)
    (tmp_path / "people.db-journal").write_bytes(ANNA.encode() * 100)
    table = People(path)
    table.open()
    assert table.damaged
    assert table.known(ANNA) is None
    aside = tmp_path / "people.db.damaged"
    assert ANNA.encode() in aside.read_bytes()
    anna = table.pseudonym(ANNA)
    table.save()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "fsync", lambda _fd: (_ for _ in ()).throw(OSError(5, "EIO")))
        with pytest.raises(VaultUnwritable):
            table.forget(anna)
    table.forget(anna)
    table.close()
    assert not aside.exists()
    assert ANNA.encode() not in b"".join(each.read_bytes() for each in tmp_path.iterdir())
    table.open()
    assert not table.damaged, "told once"
    table.close()


def test_a_table_that_cannot_be_made_is_told(tmp_path: Path) -> None:
    with pytest.raises(VaultUnwritable):
        People(tmp_path / "nowhere" / "people.db").open()


class Persons(RuleBasedStateMachine):
    """One person, one pseudonym, whatever is saved, forgotten and opened anew in between."""

    accounts = st.sampled_from([ANNA, BO, "account-of-cia"])

    def __init__(self) -> None:
        super().__init__()
        self.folder = tempfile.TemporaryDirectory()
        self.path = Path(self.folder.name) / "people.db"
        self.known: dict[str, str] = {}
        self.ever: set[str] = set()
        self.table = People(self.path)
        self.table.open()

    @rule(account=accounts)
    def acts(self, account: str) -> None:
        person = self.table.pseudonym(account)
        if account not in self.known:
            assert person not in self.ever
        assert self.known.setdefault(account, person) == person
        self.ever.add(person)

    @rule()
    def saves(self) -> None:
        self.table.save()

    @precondition(lambda self: self.known)
    @rule(data=st.data())
    def forgets(self, data: st.DataObject) -> None:
        account = data.draw(st.sampled_from(sorted(self.known)))
        self.table.forget(self.known.pop(account))

    @rule()
    def restarts(self) -> None:
        self.table.save()
        self.table.close()
        self.table = People(self.path)
        self.table.open()

    @invariant()
    def who_is_known_is_found(self) -> None:
        for account, person in self.known.items():
            assert self.table.account(person) == account
        for person in self.ever - set(self.known.values()):
            assert self.table.account(person) is None

    def teardown(self) -> None:
        self.table.close()
        self.folder.cleanup()


TestPersons = Persons.TestCase


def test_an_index_with_accounts_in_it_has_pseudonyms_afterwards(tmp_path: Path) -> None:
    place = Place(tmp_path)
    place.folder.mkdir()
    db = sqlite3.connect(place.folder / "index.db", isolation_level=None)
    for script in SCRIPTS[:6]:
        db.executescript(script)
    db.execute("PRAGMA user_version = 6")
    db.execute("INSERT INTO meeting VALUES ('m1','r1','held','manual',NULL,0,NULL,0,0,NULL,NULL)")
    for hold, placed, asked in (("h1", ANNA, BO), ("h2", BO, None), ("h3", None, ANNA)):
        db.execute(
            "INSERT INTO hold (id, meeting, place, kind, reason, created, review_date, placed_by,"
            " release_asked_by) VALUES (?, 'm1', 0, 'legal', 'x', 0, 0, ?, ?)",
            (hold, placed, asked),
        )
    db.close()
    vault = place.open()
    (found,) = vault.meetings()
    who = {h.id: (h.placed_by, h.release_asked_by) for h in found.holds}
    anna, bo = who["h1"]
    assert anna is not None
    assert bo is not None
    assert anna != bo
    assert who == {"h1": (anna, bo), "h2": (bo, None), "h3": (None, anna)}
    assert {anna[:2], bo[:2]} == {"p-"}
    vault.close()


# What a list tells of each meeting


def test_a_list_tells_what_there_is_of_each_meeting(vault: Vault) -> None:
    first, second = begin(vault), vault.begin_recording("m1", "c2", T)
    sizes = [write(vault, first, b"x" * 1000).bytes, write(vault, second, b"y" * 500, 6).bytes]
    writer = vault.segment_writer(first.id, T, metadata=True)
    writer.write(b"{}\n")
    sizes.append(writer.close(summary()).bytes)
    for cause, end in ((GapCause.STALLED, 2), (GapCause.RESTART, 3), (GapCause.STALLED, 1)):
        vault.add_gap(
            Gap(recording_id=first.id, start=T, end=T + timedelta(seconds=end), cause=cause)
        )
    vault.save_meeting(meeting("m2"))
    gone = meeting("m3")
    vault.save_meeting(gone)
    vault.begin_recording("m3", "c1", T)
    erase_meeting(vault, gone, T, "G-7")

    found = details.of_meetings(vault.index, ["m3", "m1", "m2", "m0"])
    assert found == {
        "m1": details.Details(2, 2, sum(sizes), 12.0, 3, 6.0, ("restart", "stalled")),
    }
    rows = details.meetings(vault.index, ["m3", "m1", "m0", "m2"])
    assert [row.id for row in rows] == ["m3", "m1", "m2"]
    held = Hold(id="h", kind=HoldKind.LEGAL, reason="x", created=T, review_date=T, placed_by="p-1")
    vault.save_meeting(replace(meeting("m2"), holds=(held,)))
    assert details.meetings(vault.index, ["m2"])[0].holds == (held,)
    assert details.of_meetings(vault.index, []) == {}
