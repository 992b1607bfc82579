"""A copy of the index that is made while others write to it is whole."""

import shutil
import sqlite3
from datetime import timedelta

import pytest

from roomwitness.policy.words import GapCause
from roomwitness.vault import Gap
from roomwitness.vault.errors import VaultUnwritable
from roomwitness.vault.freeze import Freeze
from roomwitness.vault.store import Vault

from .conftest import Place, T, begin


def busy(vault: Vault, recording_id: str) -> None:
    """Far more than the write-ahead log takes before SQLite folds it in and begins anew."""
    for second in range(1500):
        moment = T + timedelta(seconds=second)
        vault.add_gap(
            Gap(
                recording_id=recording_id,
                start=moment,
                end=moment + timedelta(seconds=0.5),
                cause=GapCause.STALLED,
            )
        )


@pytest.mark.parametrize("order", [("index.db", "index.db-wal"), ("index.db-wal", "index.db")])
def test_files_copied_one_after_the_other_make_a_whole_index(
    vault: Vault, place: Place, order: tuple[str, str]
) -> None:
    recording = begin(vault)
    vault.freeze()
    copy = place.root / "copy"
    copy.mkdir()
    for name in order:
        shutil.copy(place.folder / name, copy / name)
        busy(vault, recording.id)
    vault.thaw()
    vault.thaw()
    db = sqlite3.connect(copy / "index.db")
    assert db.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    assert db.execute("SELECT count(*) FROM recording").fetchone() == (1,)
    db.close()
    # What was written meanwhile is in the original, and its log is folded in again afterwards.
    assert len(vault.gaps(recording.id)) == 3000


def test_an_index_that_cannot_be_read_is_named(place: Place) -> None:
    freeze = Freeze(place.root / "nowhere" / "index.db")
    with pytest.raises(VaultUnwritable):
        freeze.begin()
    freeze.end()
