"""What was recorded is bound by the custody log: no file can be exchanged, nor with its row."""

import base64
import json
import shutil
import sqlite3
from collections.abc import Callable
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from roomwitness.cli import main
from roomwitness.custody import (
    LogTampered,
    SealedFile,
    SiteSigner,
    files_root,
    verify_files,
)
from roomwitness.custody.merkle import inclusion_proof, leaf_hash, subtrees, verify_inclusion
from roomwitness.files import sha256 as digest_of
from roomwitness.policy import meeting as events
from roomwitness.policy.words import Meeting, RoomPolicy
from roomwitness.vault import SegmentSummary, age
from roomwitness.vault.errors import VaultFull
from roomwitness.vault.store import Vault
from roomwitness.witness import Witness
from roomwitness.witness.ledger import Ledger
from tests.camera import Camera

from .house import ORIGIN, House, until

T = datetime(2026, 11, 2, 9, 0, tzinfo=UTC)
POLICY = RoomPolicy()


@pytest.fixture
def made(house: House) -> House:
    """Two meetings with a recording each, of three segments and a file of metadata, all ended."""
    vault = house.vault()
    ledger = ledger_of(house, vault)
    for name in ("m1", "m2"):
        meeting = ledger.create(Meeting(id=name, room_id=name, origin="manual", planned_start=T), T)
        meeting = ledger.apply(meeting, events.Start(), T, POLICY)
        recording = ledger.recordings.begin(meeting, "c", T).recording
        for number in range(3):
            write(vault, recording.id, number, f"{name} {number} ".encode() * 9000)
        write(vault, recording.id, 0, b"{}\n", metadata=True)
        ledger.recordings.end(ledger.apply(meeting, events.End(), T, POLICY), T)
    ledger.close()
    vault.close()
    return house


def ledger_of(house: House, vault: Vault) -> Ledger:
    signer = SiteSigner.generate(ORIGIN)
    key = house.root / "signer"
    if key.exists():
        signer = SiteSigner.from_private_bytes(ORIGIN, key.read_bytes())
    key.write_bytes(signer.private_bytes)
    ledger = Ledger(vault, custody(house), signer, ORIGIN)
    ledger.open(T)
    return ledger


def write(
    vault: Vault, recording: str, number: int, data: bytes, *, metadata: bool = False
) -> None:
    start = T + timedelta(seconds=10 * number)
    writer = vault.segment_writer(recording, start, metadata=metadata)
    writer.write(data)
    end = start + timedelta(seconds=10)
    writer.close(SegmentSummary(start=start, end=end, media_seconds=10, frames=1, lost_packets=0))


def custody(house: House) -> Path:
    return house.config.root / "custody"


def folders(house: House) -> list[Path]:
    vault = house.vault()
    found = [vault.recordings(name)[0].id for name in ("m1", "m2")]
    vault.close()
    return [house.config.root / "segments" / name for name in found]


def check(house: House, *words: str) -> int:
    root = house.config.root
    stores = "--ephemeral", str(house.root / "cache"), "--held", str(house.root / "held")
    return main(["check", str(root), *stores, *words])


def sql(house: House, statement: str, *values: object) -> None:
    with closing(sqlite3.connect(house.config.root / "index.db")) as db:
        db.execute("PRAGMA foreign_keys = ON")
        db.execute(statement, values)
        db.commit()


def relist(house: House, path: Path, name: str | None = None) -> None:
    """The index says what the file now is: whoever can write the vault can do that too."""
    data = path.read_bytes()
    identifier = (name or path.name).partition(".")[0]
    sql(
        house,
        "UPDATE segment SET bytes = ?, sha256 = ? WHERE id = ?",
        *(len(data), sha256(data).hexdigest(), identifier),
    )


def media(folder: Path) -> list[Path]:
    return sorted(folder.glob("*.mp4.age"))


def _another(house: House) -> None:
    """A segment of the other recording in its place."""
    first, second = folders(house)
    shutil.copyfile(media(second)[1], media(first)[1])
    relist(house, media(first)[1])


def _own(house: House) -> None:
    """A file of one's own, encrypted to the recording's public key, which anyone can read."""
    first, _ = folders(house)
    with closing(sqlite3.connect(house.config.root / "index.db")) as db:
        query = "SELECT recipient FROM recording WHERE id = ?"
        ((recipient,),) = db.execute(query, (first.name,)).fetchall()
    fake = age.encrypt(b"nothing happened", [age.Recipient.from_string(recipient)])
    media(first)[2].write_bytes(fake)
    relist(house, media(first)[2])


def _last_removed(house: House) -> None:
    first, _ = folders(house)
    sql(house, "DELETE FROM segment WHERE id = ?", media(first)[-1].name.partition(".")[0])
    media(first)[-1].unlink()


def _metadata_removed(house: House) -> None:
    first, _ = folders(house)
    (path,) = first.glob("*.ndjson.age")
    sql(house, "DELETE FROM segment WHERE id = ?", path.name.partition(".")[0])
    path.unlink()


def _swapped(house: House) -> None:
    one, two, _ = media(folders(house)[0])
    first = one.read_bytes()
    one.write_bytes(two.read_bytes())
    two.write_bytes(first)
    relist(house, one)
    relist(house, two)


def _added(house: House) -> None:
    vault = house.vault()
    write(vault, vault.recordings("m1")[0].id, 7, b"more")
    vault.close()


def _hidden(house: House) -> None:
    """A whole recording gone, rows, keys and files."""
    first, _ = folders(house)
    for table, column in (("segment", "recording"), ("gap", "recording"), ("recording", "id")):
        sql(house, f"DELETE FROM {table} WHERE {column} = ?", first.name)
    with closing(sqlite3.connect(house.root / "cache" / "ephemeral-keys.db")) as db:
        db.execute("DELETE FROM wrap WHERE recording = ?", (first.name,))
        db.commit()
    shutil.rmtree(first)


def _invented(house: House) -> None:
    vault = house.vault()
    recording = vault.begin_recording("m1", "c", T)
    write(vault, recording.id, 0, b"invented")
    vault.end_recording(recording.id, T)
    vault.close()


def _moved(house: House) -> None:
    """A recording said to be of another meeting."""
    sql(house, "UPDATE recording SET meeting = 'm2' WHERE id = ?", folders(house)[0].name)


TAMPERED: dict[str, tuple[Callable[[House], None], str]] = {
    "another's": (_another, "recording-as-logged"),
    "one's own": (_own, "recording-as-logged"),
    "the last removed": (_last_removed, "recording-as-logged"),
    "metadata removed": (_metadata_removed, "recording-as-logged"),
    "two swapped": (_swapped, "recording-as-logged"),
    "one added": (_added, "recording-as-logged"),
    "a recording hidden": (_hidden, "logged-recording-listed"),
    "a recording invented": (_invented, "recording-in-log"),
    "a recording moved": (_moved, "recording-in-log"),
}


@pytest.mark.parametrize("name", TAMPERED)
def test_what_no_digest_in_the_index_shows_the_log_shows(
    made: House, name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert check(made, "--deep") == 0
    how, invariant = TAMPERED[name]
    how(made)
    capsys.readouterr()
    assert check(made, "--deep", "--json") == 1
    (finding,) = json.loads(capsys.readouterr().out)
    assert finding["invariant"] == invariant
    vault = made.vault()
    ledger = ledger_of(made, vault)
    assert vault.damaged() == [], "the index alone would see nothing"
    assert ledger.disagreements() == {invariant}
    ledger.close()
    vault.close()


def test_a_recordings_files_are_checked_without_index_or_key(
    made: House, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    first, second = folders(made)
    vkey = custody(made) / "log.vkey"
    words = ["verify-recording", str(first), str(custody(made)), "--vkey", str(vkey)]
    assert main(words) == 0
    assert capsys.readouterr().out.startswith("OK: the 4 files are those of recording ")
    copied = shutil.copytree(first, tmp_path / "handed over")
    elsewhere = ["verify-recording", str(copied), str(custody(made))]
    assert main(elsewhere) == 1
    assert main([*elsewhere, "--recording", first.name]) == 0
    shutil.copyfile(media(second)[2], media(first)[2])
    assert main(words) == 1
    assert "not the files that the log was told of" in capsys.readouterr().err
    shutil.copyfile(media(copied)[2], media(first)[2])
    assert main(words) == 0
    media(first)[2].unlink()
    assert main(words) == 1
    shutil.rmtree(first)
    with pytest.raises(LogTampered):
        verify_files(first, first.name, custody(made))


def test_a_log_that_does_not_hold_binds_nothing(
    made: House, capsys: pytest.CaptureFixture[str]
) -> None:
    path = custody(made) / "log.jsonl"
    path.write_bytes(path.read_bytes().replace(b'"files":4', b'"files":3'))
    assert check(made) == 1
    assert "BROKEN: log-whole" in capsys.readouterr().out


def test_an_end_that_could_not_be_logged_is_logged_later(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    vault = house.vault()
    ledger = ledger_of(house, vault)
    meeting = ledger.create(Meeting(id="m", room_id="r", origin="manual", planned_start=T), T)
    meeting = ledger.apply(meeting, events.Start(), T, POLICY)
    recording = ledger.recordings.begin(meeting, "c", T).recording
    write(vault, recording.id, 0, b"words")
    meeting = ledger.apply(meeting, events.End(), T, POLICY)
    with monkeypatch.context() as patch:
        patch.setattr(vault, "make_whole", _full)
        with pytest.raises(VaultFull):
            ledger.recordings.end(meeting, T)
    assert ledger.recordings.unended == {"m"}
    ledger.close()
    ledger = ledger_of(house, vault)  # As after a kill.
    assert ledger.recordings.unended == {"m"}
    ledger.recordings.end(meeting, T)
    assert (ledger.recordings.unended, ledger.disagreements()) == (set(), frozenset())
    ledger.close()
    assert ledger_of(house, vault).recordings.unended == set()
    vault.close()


def _full(_recording: str) -> None:
    raise VaultFull


async def test_a_meeting_left_open_by_a_kill_is_ended_at_the_next_start(
    camera: Camera, house: House
) -> None:
    room = house.room(camera.source(), bound=False)
    witness = await house.started(room)
    await witness.start_meeting("r1")
    await until(lambda: witness.status("r1").segments)
    await witness.stop_meeting("r1")
    await witness.stop()
    (entry,) = [e for e in house.entries() if e["kind"] == "recording_ended"]
    assert entry["files"] >= 1
    sealed = {p.name: digest_of(p) for p in house.config.root.glob("segments/*/*.age")}
    files = [
        SealedFile(p.name, p.stat().st_size, sealed[p.name] or "")
        for p in house.config.root.glob("segments/*/*.age")
    ]
    assert entry["files_root"] == files_root(files)
    sql(house, "UPDATE recording SET ended = NULL")  # Killed before the row was written.
    witness = await house.started(room)
    await witness.tick()
    assert house.log_kinds().count("recording_ended") == 1, "it is there, and signed once"
    await witness.stop()
    vault = house.vault()
    assert vault.open_recordings() == []
    vault.close()


async def test_the_running_site_tells_what_the_log_does_not_know(made: House) -> None:
    key = base64.b64encode((made.root / "signer").read_bytes()).decode()
    _own(made)
    # At that time: nothing is due for erasure yet.
    witness = Witness(
        replace(made.config, keys=replace(made.stored, log_private_key=key)), clock=lambda: T
    )
    await witness.start()
    await until(lambda: "check_failed" in made.log_kinds())
    (problem,) = witness.problems()
    assert (problem.key, dict(problem.placeholders)) == (
        "check_failed",
        {"invariants": "recording-as-logged"},
    )
    await witness.stop()
    log = custody(made) / "log.jsonl"
    log.write_bytes(log.read_bytes().replace(b"m1", b"m9"))
    assert witness._ledger.disagreements() == {"log-whole"}


@given(st.lists(st.binary(max_size=8), min_size=1, max_size=20), st.data())
def test_one_file_is_proved_by_its_path(contents: list[bytes], data: st.DataObject) -> None:
    files = sorted(
        SealedFile(f"{n:03d}.mp4.age", len(c), sha256(c).hexdigest())
        for n, c in enumerate(contents)
    )
    hashes = [leaf_hash(file.leaf) for file in files]
    index = data.draw(st.integers(0, len(files) - 1))
    path = inclusion_proof(subtrees(hashes), index, len(files))
    root = bytes.fromhex(files_root(data.draw(st.permutations(files))))
    assert verify_inclusion(hashes[index], index, len(files), path, root)
