"""What the log binds is signed once: nobody without its key has the site sign for another thing."""

import base64
import json
import os
import sqlite3
from collections.abc import Callable
from contextlib import closing
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from roomwitness.cli import main
from roomwitness.custody import (
    read_account,
)
from roomwitness.policy import meeting as events
from roomwitness.policy.words import GapCause, Meeting
from roomwitness.vault import ClockEvent, Gap, age
from roomwitness.vault.errors import VaultFull
from roomwitness.vault.intake import Intake
from roomwitness.vault.store import Vault
from roomwitness.witness import recordings
from roomwitness.witness.ledger import Ledger

from .house import House
from .test_bound import POLICY, T, check, custody, ledger_of, media, relist, sql, write

END = T + timedelta(seconds=35)
NAME = "001793610100000-0a1b2c3d"


@pytest.fixture
def made(house: House) -> House:
    """A held meeting with a recording of three segments, gaps and clock events, that has ended."""
    vault = house.vault()
    ledger = ledger_of(house, vault)
    record(vault, ledger)
    ledger.close()
    vault.close()
    return house


def record(vault: Vault, ledger: Ledger) -> str:
    meeting = ledger.create(Meeting(id="m", room_id="r", origin="manual", planned_start=T), T)
    meeting = ledger.apply(meeting, events.Start(), T, POLICY)
    recording = ledger.recordings.begin(meeting, "c", T).recording.id
    for number in range(3):
        write(vault, recording, number, f"{number} ".encode() * 9000)
    for second in (12, 14):
        at = T + timedelta(seconds=second)
        gap = Gap(recording_id=recording, start=at, end=at, cause=GapCause.STALLED, lost_packets=3)
        vault.add_gap(gap)
        vault.add_clock_event(
            ClockEvent(recording_id=recording, at=at, kind="host_step", seconds=second / 7)
        )
    meeting = ledger.apply(meeting, events.ReportThreat("h", "p-1"), T, POLICY)
    ledger.recordings.end(ledger.apply(meeting, events.End(), END, POLICY), END)
    return recording


def folder(house: House) -> Path:
    (found,) = (house.config.root / "segments").iterdir()
    return found


def start(house: House) -> frozenset[str]:
    """As a site's start and its upkeep do; what then does not agree."""
    vault = house.vault()
    ledger = ledger_of(house, vault)
    try:
        ledger.recordings.recovered(vault.recover(), END)
        for name in sorted(ledger.recordings.unended):
            meeting = ledger.get(name)
            assert meeting is not None
            ledger.recordings.end(meeting, END)
        assert vault.open_recordings() == []
        return ledger.disagreements()
    finally:
        ledger.close()
        vault.close()


def forged(house: House) -> bytes:
    with closing(sqlite3.connect(house.config.root / "index.db")) as db:
        ((recipient,),) = db.execute("SELECT recipient FROM recording").fetchall()
    return age.encrypt(b"nothing happened", [age.Recipient.from_string(recipient)])


def _exchanged(house: House) -> None:
    path = media(folder(house))[1]
    path.write_bytes(forged(house))
    relist(house, path)


def _removed(house: House) -> None:
    path = media(folder(house))[1]
    sql(house, "DELETE FROM segment_clock WHERE segment = ?", path.name.partition(".")[0])
    sql(house, "DELETE FROM segment WHERE id = ?", path.name.partition(".")[0])
    path.unlink()


def _reopened(house: House) -> None:
    sql(house, "UPDATE recording SET ended = NULL")


def _dropped(house: House) -> None:
    (folder(house) / f"{NAME}.mp4.age").write_bytes(forged(house))


@pytest.mark.parametrize(
    "ways",
    [
        (_exchanged, _reopened),
        (_removed, _reopened),
        (_exchanged, _dropped),
        (_removed, _dropped),
        (_exchanged, _reopened, _dropped),
        (_reopened, _dropped),
        (_dropped,),
    ],
)
def test_the_site_signs_for_nothing_that_was_put_in_its_place(
    made: House, ways: tuple[Callable[[House], None], ...]
) -> None:
    bound = read_account(custody(made)).ended
    for way in ways:
        way(made)
    if ways != (_reopened, _dropped):  # What lies beside what has not ended may be open.
        assert check(made) == 1, "before the start too"
    assert start(made) == {"recording-as-logged"}
    assert start(made) == {"recording-as-logged"}
    assert read_account(custody(made)).ended == bound
    assert made.log_kinds().count("recording_ended") == 1
    assert "recording_amended" not in made.log_kinds()
    assert check(made) == 1


def recover(house: House) -> list[str]:
    """A custodian's words."""
    key = base64.b64encode((house.root / "signer").read_bytes()).decode()
    house.keys_file.parent.mkdir()
    replace(house.stored, log_private_key=key).save(house.keys_file)
    identity = house.root / "identity"
    identity.write_text(house.keys.custodian_identity)
    words = ["recover", "--vault", str(house.config.root), "--identity", str(identity)]
    return [*words, "--ephemeral", str(house.root / "cache")]


def test_a_custodian_is_told_what_is_not_signed(
    made: House, capsys: pytest.CaptureFixture[str]
) -> None:
    words = recover(made)
    assert main(words) == 0
    _dropped(made)
    capsys.readouterr()
    assert main(words) == 1
    assert "nothing is signed" in capsys.readouterr().err
    assert start(made) == {"recording-as-logged"}


def test_an_end_that_the_log_has_is_only_listed(made: House) -> None:
    before = made.log_kinds()
    _reopened(made)
    assert start(made) == frozenset()
    assert made.log_kinds() == before
    vault = made.vault()
    (recording,) = vault.recordings("m")
    assert recording.ended == END, "as it was logged"
    vault.close()
    assert check(made, "--deep") == 0


def test_what_the_log_says_ended_is_not_recorded_into(made: House) -> None:
    _reopened(made)
    sql(made, "UPDATE meeting SET state = 'recording', ended = NULL")
    vault = made.vault()
    ledger = ledger_of(made, vault)
    meeting = ledger.get("m")
    assert meeting is not None
    place = ledger.recordings.begin(meeting, "c", END + timedelta(seconds=9))
    assert place.recording.id != folder_of_first(made)
    assert ledger.recordings.begin(meeting, "c", END).recording.id == place.recording.id
    assert ledger.disagreements() == frozenset()
    ledger.close()
    vault.close()


def folder_of_first(house: House) -> str:
    return next(str(e["recording"]) for e in house.entries() if e["kind"] == "recording_begun")


def left_open(house: House, monkeypatch: pytest.MonkeyPatch) -> tuple[str, Callable[[], None]]:
    """A recording that ended while a full disk kept its last segment from being sealed."""

    def full(*_: object) -> None:
        raise VaultFull

    vault = house.vault()
    ledger = ledger_of(house, vault)
    meeting = ledger.create(Meeting(id="m", room_id="r", origin="manual", planned_start=T), T)
    meeting = ledger.apply(meeting, events.Start(), T, POLICY)
    recording = ledger.recordings.begin(meeting, "c", T).recording.id
    write(vault, recording, 0, b"words " * 9000)
    writer = vault.segment_writer(recording, T + timedelta(seconds=10))
    writer.write(b"the last words")
    writer.flush()
    meeting = ledger.apply(meeting, events.ReportThreat("h", "p-1"), T, POLICY)
    with monkeypatch.context() as patch:
        patch.setattr("roomwitness.vault.recovery.reseal", full)
        ledger.recordings.end(ledger.apply(meeting, events.End(), END, POLICY), END)
    assert ledger.disagreements() == frozenset()
    ledger.close()
    vault.close()
    (ended,) = [e for e in house.entries() if e["kind"] == "recording_ended"]
    (part,) = folder(house).glob("*.part")
    assert ended["open"] == part.name.partition(".")[0]

    def once_more() -> None:
        assert start(house) == frozenset()

    return recording, once_more


def test_what_was_left_open_at_the_end_is_bound_when_it_comes_to_light(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    recording, once_more = left_open(house, monkeypatch)
    once_more()
    assert house.log_kinds()[-2:] == ["segment_recovered", "recording_amended"]
    bound = read_account(custody(house)).ended[recording]
    assert (bound.files, bound.open) == (2, frozenset())
    once_more()
    assert house.log_kinds().count("recording_amended") == 1
    assert check(house, "--deep") == 0
    _dropped(house)
    assert start(house) == {"recording-as-logged"}, "that one was never left open"
    assert house.log_kinds().count("recording_amended") == 1


@pytest.mark.parametrize("way", [_dropped, "exchanged", "gap"])
def test_with_what_was_left_open_comes_nothing_else(
    house: House, monkeypatch: pytest.MonkeyPatch, way: Callable[[House], None] | str
) -> None:
    left_open(house, monkeypatch)
    if way == "exchanged":
        (path,) = media(folder(house))
        path.write_bytes(forged(house))
        relist(house, path)
    elif way == "gap":
        sql(house, "DELETE FROM gap")
    elif callable(way):
        way(house)
    assert start(house) == {"recording-as-logged"}
    assert "recording_amended" not in house.log_kinds()


def test_entries_that_say_less_are_taken_as_before(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = recordings.bound_fields

    def older(*args: object) -> dict[str, str | int]:
        fields = real(*args)  # type: ignore[arg-type]
        return {name: fields[name] for name in ("files", "files_root")}

    with monkeypatch.context() as patch:
        patch.setattr(recordings, "bound_fields", older)
        vault = house.vault()
        ledger = ledger_of(house, vault)
        recording = record(vault, ledger)
        ledger.close()
        vault.close()
    sql(house, "DELETE FROM gap")
    assert start(house) == frozenset(), "nothing says what gaps there were"
    _dropped(house)
    assert start(house) == frozenset()
    assert read_account(custody(house)).ended[recording].files == 4
    sql(house, "DELETE FROM clock_event")
    assert start(house) == {"recording-as-logged"}, "from then on it is bound"


ROWS = {
    "a gap removed": "DELETE FROM gap WHERE rowid = (SELECT min(rowid) FROM gap)",
    "a gap added": 'INSERT INTO gap SELECT recording, start, "end" + 1, cause, 0, NULL FROM gap',
    "a gap moved": 'UPDATE gap SET start = start + 0.001, "end" = "end" + 0.001',
    "a gap's cause": "UPDATE gap SET cause = 'connecting'",
    "a gap's loss": "UPDATE gap SET lost_packets = 0 WHERE cause = 'stalled'",
    "a segment's start": "UPDATE segment SET start = start - 0.5 WHERE rowid = 2",
    "a segment's end": 'UPDATE segment SET "end" = "end" + 0.5 WHERE rowid = 2',
    "a segment's length": "UPDATE segment SET media_seconds = 9 WHERE rowid = 2",
    "a segment's loss": "UPDATE segment SET lost_packets = 7 WHERE rowid = 2",
    "what a kill cut short": "UPDATE segment SET recovered = 1",
    "the order of segments": "UPDATE segment SET rowid = 9 WHERE rowid = 1",
    "a clock's offset": "UPDATE segment SET clock_offset = 3600.0",
    "a clock's drift": "UPDATE segment_clock SET drift_ppm = 1.0",
    "no clock": "DELETE FROM segment_clock",
    "a clock event removed": "DELETE FROM clock_event WHERE rowid = 1",
    "a clock event moved": "UPDATE clock_event SET at = at + 1",
    "a clock event's size": "UPDATE clock_event SET seconds = -seconds",
    "a recording's camera": "UPDATE recording SET camera = 'another'",
    "a recording's start": "UPDATE recording SET started = started + 60",
}


@pytest.mark.parametrize("what", ROWS)
def test_no_row_of_what_ended_can_be_edited_unseen(
    made: House, what: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert check(made, "--deep") == 0
    sql(made, ROWS[what])
    capsys.readouterr()
    assert check(made, "--json") == 1
    (finding,) = json.loads(capsys.readouterr().out)
    assert finding == {
        "invariant": "recording-as-logged",
        "of": folder(made).name,
        "repaired": False,
    }
    assert start(made) == {"recording-as-logged"}


def test_rows_are_synced_before_the_log_tells_of_them(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Gaps are put there without a sync of their own: a loss of power may not take one then."""
    order: list[str] = []
    sync, note = Intake.sync, Ledger.note
    fsync = os.fdatasync
    monkeypatch.setattr(Intake, "sync", lambda vault: (order.append("sync"), sync(vault))[1])
    monkeypatch.setattr(os, "fdatasync", lambda file: (order.append("disk"), fsync(file))[1])
    monkeypatch.setattr(
        Ledger,
        "note",
        lambda ledger, kind, *a, **k: (order.append(kind), note(ledger, kind, *a, **k))[1],
    )
    vault = house.vault()
    ledger = ledger_of(house, vault)
    record(vault, ledger)
    ended = order.index("recording_ended")
    assert order[ended - 2 : ended] == ["sync", "disk"]
    ledger.close()
    vault.close()
