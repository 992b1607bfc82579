"""Gaps in the index: at once, and moved with the segment that they are in."""

import sqlite3
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

from roomwitness.policy.words import GapCause
from roomwitness.vault import Gap
from roomwitness.vault.migrations import SCRIPTS
from roomwitness.vault.store import Vault

from .conftest import Place, T, begin, killed_at, summary

LATE = timedelta(seconds=2)


def gap(recording_id: str, second: float, gap_id: str | None = "g") -> Gap:
    start = T + timedelta(seconds=second)
    end = start + timedelta(seconds=1)
    return Gap(
        recording_id=recording_id, start=start, end=end, cause=GapCause.PACKET_LOSS, id=gap_id
    )


def test_a_gap_is_moved_lengthened_and_taken_away(vault: Vault) -> None:
    recording, other = begin(vault), vault.begin_recording("m1", "c2", T)
    first, second = gap(recording.id, 1), gap(recording.id, 4, "h")
    nobodys = [gap(recording.id, 9, None), gap(recording.id, 9, None)]
    for each in (first, second, gap(other.id, 1), *nobodys):
        vault.add_gap(each)
    longer = replace(first, start=T, lost_packets=3)
    vault.add_gap(longer)
    assert vault.gaps(recording.id) == [longer, second, *nobodys]
    vault.add_gap(replace(second, end=second.start))
    vault.add_gap(replace(longer, end=longer.start))  # Packets are missing all the same.
    assert vault.gaps(recording.id) == [replace(longer, end=T), *nobodys]
    assert vault.gaps(other.id) == [gap(other.id, 1)]


def record(place: Place, recording_id: str) -> None:
    """A segment that proves to have begun two seconds before it was opened."""
    vault = place.open()
    writer = vault.segment_writer(recording_id, T + LATE)
    writer.write(b"media")
    writer.flush()
    found = gap(recording_id, 4)
    vault.add_gap(found)
    moved = replace(found, start=found.start - LATE, end=found.end - LATE)
    writer.close(replace(summary(), gaps=(moved,)))
    vault.close()


def test_killed_anywhere_gap_and_segment_tell_the_same_time(place: Place) -> None:
    step, died, kinds = 0, True, set()
    while died:
        vault = place.open()
        recording = begin(vault, f"m{step}")
        vault.close()
        died = killed_at(step, record, place, recording.id)
        vault = place.open()
        vault.recover()
        gaps = vault.gaps(recording.id)
        for segment in vault.segments(recording.id):
            assert segment.start in (T, T + LATE)
            assert [g.start - segment.start for g in gaps] in ([], [timedelta(seconds=2)])
            kinds.add((segment.start, len(gaps)))
        vault.close()
        step += 1
    assert {(T, 1), (T + LATE, 1)} <= kinds


def test_an_index_of_before_takes_gaps_that_move(tmp_path: Path) -> None:
    place = Place(tmp_path)
    place.folder.mkdir()
    db = sqlite3.connect(place.folder / "index.db", isolation_level=None)
    for script in SCRIPTS[:7]:
        db.executescript(script)
    db.execute("PRAGMA user_version = 7")
    db.execute("INSERT INTO meeting VALUES ('m1','r1','review','manual',NULL,0,NULL,0,0,NULL,NULL)")
    db.execute("INSERT INTO recording VALUES ('r', 'm1', 'c1', 'age1', 0, NULL)")
    for start in (1, 1, 5):
        db.execute("INSERT INTO gap VALUES ('r', ?, 7, 'stalled', 2)", (start,))
    db.close()
    vault = place.open()
    assert [g.id for g in vault.gaps("r")] == [None, None, None]
    vault.add_gap(gap("r", 2))
    vault.add_gap(gap("r", 3))
    assert len(vault.gaps("r")) == 4
    vault.close()
