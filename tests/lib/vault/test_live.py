"""The recording process' intake: no gap waits for the disk, and no camera for another process."""

import sqlite3
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from roomwitness.policy.words import GapCause, Meeting
from roomwitness.vault import ClockEvent, Gap, LiveIntake, Recording, SegmentSummary
from roomwitness.vault.errors import IndexBusy, StoreError
from roomwitness.vault.index import put_gaps, put_segment
from roomwitness.vault.store import Vault
from tests.lib.witness.house import House

NOW = datetime(2026, 11, 2, 9, 0, tzinfo=UTC)


@pytest.fixture
def vault(tmp_path: Path) -> Iterator[Vault]:
    house = House(tmp_path)
    house.config.root.mkdir()
    found = house.vault()
    found.save_meeting(Meeting(id="m", room_id="r", origin="manual", planned_start=NOW))
    yield found
    found.close()


@pytest.fixture
def recording(vault: Vault) -> Recording:
    return vault.begin_recording("m", "c", NOW)


@pytest.fixture
def live(vault: Vault, tmp_path: Path) -> Iterator[LiveIntake]:
    found = LiveIntake(House(tmp_path).config.root)
    found.open()
    yield found
    found.close()


@pytest.fixture
def other(tmp_path: Path, vault: Vault) -> Iterator[sqlite3.Connection]:
    """Another process that writes."""
    path = House(tmp_path).config.root / "index.db"
    with closing(sqlite3.connect(path, isolation_level=None)) as found:
        yield found


def gap(recording: Recording, seconds: float = 1.0, name: str = "g") -> Gap:
    return Gap(
        recording_id=recording.id,
        start=NOW,
        end=NOW + timedelta(seconds=seconds),
        cause=GapCause.DAMAGED,
        id=name,
    )


def seal(live: LiveIntake, recording: Recording, gaps: tuple[Gap, ...] = ()) -> None:
    writer = live.segment_writer(recording.id, NOW)
    writer.write(b"media")
    end = NOW + timedelta(seconds=9)
    writer.close(
        SegmentSummary(
            start=NOW,
            end=end,
            media_seconds=9.0,
            frames=9,
            lost_packets=0,
            clock_offset_s=None,
            gaps=gaps,
        )
    )


def test_a_gap_is_there_at_once_for_everybody_and_synced_later(
    live: LiveIntake, vault: Vault, recording: Recording, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Who is killed after it leaves it: it is in the system's hands."""
    live.add_gap(gap(recording))
    assert vault.gaps(recording.id) == [gap(recording)]
    assert (live.waiting, live.unsynced) == (False, True)
    synced: list[int] = []
    monkeypatch.setattr("roomwitness.vault.intake.os.fdatasync", synced.append)
    live.sync()
    assert len(synced) == 1
    assert not live.unsynced


def test_only_a_segment_waits_for_the_disk(
    live: LiveIntake, recording: Recording, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[tuple[str, int]] = []

    def noting[**P](name: str, put: Callable[P, None]) -> Callable[P, None]:
        def noted(*given: P.args, **more: P.kwargs) -> None:
            db = live._index._db
            assert db is not None
            asked.append((name, db.execute("PRAGMA synchronous").fetchone()[0]))
            put(*given, **more)

        return noted

    for name, put in (("gaps", put_gaps), ("segment", put_segment)):
        monkeypatch.setattr(f"roomwitness.vault.live.put_{name}", noting(name, put))
    live.add_gap(gap(recording))
    seal(live, recording)
    live.add_gap(gap(recording, 2.0))
    normal, full = 1, 2  # As SQLite numbers them.
    assert asked == [("gaps", normal), ("segment", full), ("gaps", normal)]


def test_a_listed_segment_is_synced_and_what_came_before_with_it(
    live: LiveIntake, recording: Recording
) -> None:
    live.add_gap(gap(recording))
    seal(live, recording)
    assert not live.unsynced


def test_an_index_that_is_locked_is_not_waited_for(
    live: LiveIntake, vault: Vault, recording: Recording, other: sqlite3.Connection
) -> None:
    other.execute("BEGIN IMMEDIATE")
    began = time.monotonic()
    live.add_gap(gap(recording))
    live.add_gap(gap(recording, 2.0))
    live.add_gap(gap(recording, name="none"))
    live.add_gap(gap(recording, 0.0, name="none"))
    event = ClockEvent(recording_id=recording.id, at=NOW, kind="host_step", seconds=1.0)
    live.add_clock_event(event)
    seal(live, recording, (gap(recording, 3.0),))
    assert not live.settle()
    assert time.monotonic() - began < 1.0
    assert live.waiting
    assert vault.gaps(recording.id) == vault.segments(recording.id) == []
    other.execute("ROLLBACK")
    assert live.settle()
    assert (live.waiting, live.unsynced) == (False, False)
    assert vault.gaps(recording.id) == [gap(recording, 3.0)]
    (segment,) = vault.segments(recording.id)
    assert segment.host_steps == 1
    assert vault.clock_events(recording.id) == [event]
    assert vault.check() == []


def test_what_waits_goes_with_the_next_that_is_written(
    live: LiveIntake, vault: Vault, recording: Recording, other: sqlite3.Connection
) -> None:
    other.execute("BEGIN IMMEDIATE")
    live.add_gap(gap(recording))
    other.execute("ROLLBACK")
    live.add_gap(gap(recording, name="h"))
    assert {g.id for g in vault.gaps(recording.id)} == {"g", "h"}
    assert not live.waiting


def test_what_waits_is_written_before_the_index_is_closed(
    live: LiveIntake, vault: Vault, recording: Recording, other: sqlite3.Connection
) -> None:
    other.execute("BEGIN IMMEDIATE")
    live.add_gap(gap(recording))
    other.execute("ROLLBACK")
    live.close()
    assert vault.gaps(recording.id) == [gap(recording)]


def test_an_index_that_stays_locked_is_told(
    live: LiveIntake, recording: Recording, other: sqlite3.Connection,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    other.execute("BEGIN IMMEDIATE")
    live.add_gap(gap(recording))
    monkeypatch.setattr("roomwitness.vault.live._GIVEN_UP_S", -1.0)
    with pytest.raises(IndexBusy):
        live.add_gap(gap(recording, name="h"))
    other.execute("ROLLBACK")
    assert live.settle()


def test_a_row_of_a_recording_that_is_gone_keeps_no_other_from_the_index(
    live: LiveIntake, vault: Vault, recording: Recording, other: sqlite3.Connection
) -> None:
    with pytest.raises(StoreError):
        live.add_gap(gap(replace(recording, id="gone")))
    assert not live.waiting
    other.execute("BEGIN IMMEDIATE")
    live.add_gap(gap(replace(recording, id="gone")))
    live.add_gap(gap(recording))
    other.execute("ROLLBACK")
    assert live.settle()
    assert vault.gaps(recording.id) == [gap(recording)]
    assert not live.waiting
