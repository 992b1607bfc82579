"""What people wrote as reasons of holds is gone with the meeting, from every byte of the index."""

import random
import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from roomwitness.policy.words import Hold, HoldKind, Meeting, MeetingState
from roomwitness.vault import index as index_module
from roomwitness.vault.index import Index
from roomwitness.vault.migrations import SCRIPTS

from .conftest import Place, T, begin, erase_meeting, meeting

ERASED = MeetingState.ERASED
TEXTS = ("Anna placed", "Anna released", "Anna asked", "Anna extended")


def held(name: str, *texts: str) -> Meeting:
    """A meeting whose hold is released; texts of it in the order of ``TEXTS``."""
    reason, released, asked, extended = texts
    hold = Hold(
        id=f"hold-{name}",
        kind=HoldKind.THREAT,
        reason=reason,
        created=T,
        review_date=T,
        released=T,
        release_reason=released,
        release_ask_reason=asked,
        review_reason=extended,
    )
    return replace(meeting(name), holds=(hold,))


def of(name: str) -> Meeting:
    return held(name, *(f"{text} {name}." for text in TEXTS))


def everything(folder: Path) -> bytes:
    found = sorted(folder.glob("index.db*"))
    assert found
    return b"".join(path.read_bytes() for path in found)


def told(folder: Path, name: str) -> int:
    """How many of the meeting's texts are anywhere in the index's files."""
    data = everything(folder)
    return sum(f"{text} {name}.".encode() in data for text in TEXTS)


def test_they_go_by_the_erasure_and_the_times_stay(place: Place) -> None:
    vault = place.open()
    for name in ("gone", "kept"):
        begin(vault, name)
        vault.save_meeting(of(name))
    assert told(place.folder, "gone") == 4
    erase_meeting(vault, of("gone"), T, "G-7")
    assert told(place.folder, "gone") == 0
    assert told(place.folder, "kept") == 4
    (erased,) = [m for m in vault.meetings() if m.id == "gone"]
    assert erased.holds == (
        replace(
            of("gone").holds[0],
            reason="",
            release_reason=None,
            release_ask_reason=None,
            review_reason=None,
        ),
    )
    (kept,) = [m for m in vault.meetings() if m.id == "kept"]
    assert kept == of("kept")
    vault.close()
    assert told(place.folder, "gone") == 0


def test_an_erased_meeting_that_is_saved_again_brings_none_back(place: Place) -> None:
    vault = place.open()
    vault.save_meeting(of("gone"))
    vault.save_meeting(replace(of("gone"), state=ERASED))
    assert told(place.folder, "gone") == 0
    vault.save_meeting(replace(of("gone"), state=ERASED))
    assert told(place.folder, "gone") == 0
    vault.close()


def test_while_a_backup_is_made_they_wait_for_its_end(place: Place) -> None:
    vault = place.open()
    begin(vault, "gone")
    vault.save_meeting(of("gone"))
    vault.freeze()
    erase_meeting(vault, of("gone"), T, "G-7")
    assert told(place.folder, "gone") == 4, "the copy that is being made must be whole"
    vault.thaw()
    assert told(place.folder, "gone") == 0
    vault.close()


def test_a_backup_begins_without_what_could_not_be_overwritten_at_once(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    vault = place.open()
    begin(vault, "gone")
    vault.save_meeting(of("gone"))
    with monkeypatch.context() as patch:
        patch.setattr(index_module, "fold", lambda _db: False)
        erase_meeting(vault, of("gone"), T, "G-7")
    assert told(place.folder, "gone") == 4
    vault.freeze()
    assert told(place.folder, "gone") == 0
    vault.close()


def test_what_somebody_who_reads_kept_waiting_goes_by_the_next_change(place: Place) -> None:
    vault = place.open()
    begin(vault, "gone")
    vault.save_meeting(of("gone"))
    with closing(sqlite3.connect(place.folder / "index.db", isolation_level=None)) as reader:
        reader.execute("BEGIN")
        reader.execute("SELECT count(*) FROM meeting").fetchone()
        erase_meeting(vault, of("gone"), T, "G-7")
        assert told(place.folder, "gone") == 4
    vault.save_meeting(meeting("other"))
    assert told(place.folder, "gone") == 0
    vault.close()


def test_a_kill_before_it_is_made_up_for_by_the_next_start(
    place: Place, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    vault = place.open()
    begin(vault, "gone")
    vault.save_meeting(of("gone"))
    with monkeypatch.context() as patch:
        patch.setattr(index_module, "fold", lambda _db: False)
        erase_meeting(vault, of("gone"), T, "G-7")
    killed = tmp_path / "killed"
    shutil.copytree(place.folder, killed)  # As the files lie there after a kill.
    vault.close()
    assert told(killed, "gone") == 4
    index = Index(killed / "index.db", lambda *_: killed)
    index.open()
    assert told(killed, "gone") == 0
    index.close()


@pytest.fixture
def index(tmp_path: Path) -> Iterator[Index]:
    opened = Index(tmp_path / "index.db", lambda *_: tmp_path)
    opened.open()
    yield opened
    opened.close()


@pytest.mark.parametrize("seed", [1, 9, 17])
def test_none_is_left_between_the_rows_after_many_rounds(
    index: Index, tmp_path: Path, seed: int
) -> None:
    """With ``DELETE`` and ``secure_delete`` alone SQLite leaves one, by the second of these seeds:
    a copy where a row had been before its page was split.
    """
    dice = random.Random(seed)
    live: dict[str, Meeting] = {}
    gone: list[str] = []
    for number in range(600):
        choice = dice.random()
        if choice < 0.5 or not live:
            text = f"<{number:08x}>" + "x" * dice.randrange(400) + f"[{number:08x}]"
            one = held(f"m{number}", text, "", "", "")
            hold = replace(one.holds[0], id=f"h{dice.randrange(1 << 60):x}")
            live[one.id] = replace(one, holds=(hold,))
            index.save_meeting(live[one.id])
        elif choice < 0.75:
            one = live[dice.choice(list(live))]
            hold = replace(one.holds[0], review_reason=f"[[{number:08x}", review_date=T + _DAY)
            live[one.id] = replace(one, holds=(hold,))
            index.save_meeting(live[one.id])
        else:
            one = live.pop(dice.choice(list(live)))
            index.save_meeting(replace(one, state=ERASED))
            reason, later = one.holds[0].reason, one.holds[0].review_reason
            gone += [reason[:10], reason[-10:], *([later] if later else [])]
    data = everything(tmp_path)
    assert [text for text in gone if text.encode() in data] == []
    assert {m.id: m for m in index.meetings("WHERE state <> 'erased'")} == live


_DAY = timedelta(days=1)


def test_an_older_index_loses_those_of_what_is_erased(tmp_path: Path) -> None:
    place = Place(tmp_path)
    place.folder.mkdir()
    path = place.folder / "index.db"
    with closing(sqlite3.connect(path, isolation_level=None)) as db:
        db.execute("PRAGMA secure_delete=OFF")  # Some builds of SQLite have it on.
        for script in SCRIPTS[:11]:
            db.executescript(script)
        db.execute("PRAGMA user_version = 11")
        time = T.timestamp()
        for name, state in (("gone", "erased"), ("kept", "review")):
            db.execute(
                "INSERT INTO meeting (id, room, state, origin, planned_start, started)"
                " VALUES (?, 'r1', ?, 'manual', ?, ?)",
                (name, state, time, time),
            )
            texts = [f"{text} {name}." for text in TEXTS]
            db.execute(
                "INSERT INTO hold (id, meeting, place, kind, created, review_date, released,"
                " reason, release_reason, release_ask_reason, review_reason)"
                " VALUES (?, ?, 0, 'threat', ?, ?, ?, ?, ?, ?, ?)",
                (f"hold-{name}", name, time, time, time, *texts),
            )
        # Pages that were free before anything was overwritten.
        db.execute("CREATE TABLE old (text TEXT)")
        db.executemany("INSERT INTO old VALUES (?)", [("Anna long ago " * 99,)] * 99)
        db.execute("DROP TABLE old")
    assert told(place.folder, "gone") == 4
    assert b"Anna long ago" in everything(place.folder)
    vault = place.open()
    assert told(place.folder, "gone") == 0
    assert b"Anna long ago" not in everything(place.folder)
    (kept,) = [m for m in vault.meetings() if m.id == "kept"]
    assert kept == of("kept")
    assert vault.check() == ["erased-meeting-has-receipt gone"]
    vault.close()
