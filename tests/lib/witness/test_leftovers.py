"""A lost or older index costs no evidence, and brings back nothing that was erased."""

import json
import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from datetime import timedelta
from pathlib import Path

import pytest

from roomwitness.cli import main
from roomwitness.policy import meeting as events
from roomwitness.policy.words import Meeting, RoomPolicy
from roomwitness.vault import Recording, SegmentSummary, age
from roomwitness.vault.alone import Alone
from roomwitness.vault.errors import VaultElsewhere
from roomwitness.vault.keyfile import Custodian
from roomwitness.vault.keys import KeyStore
from roomwitness.witness.config import RoomConfig, generate_site_keys, signer
from roomwitness.witness.erasures import Due
from roomwitness.witness.leftovers import Told
from tests.camera import Camera

from . import test_erasures
from .house import House, until
from .test_erasures import CUSTODIAN, ORIGIN, Desk, T

POLICY = RoomPolicy(hold_period=timedelta(days=90))
MEDIA = b"what was said and seen " * 4000


class Site:
    """A site in a folder as Home Assistant keeps it, so that the command finds all by itself."""

    def __init__(self, root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.root = root
        keys = generate_site_keys(ORIGIN).stored(ORIGIN, (Custodian(str(CUSTODIAN.recipient)),))
        self.keys_file = root / "keys" / "site.json"
        self.keys_file.parent.mkdir()
        keys.save(self.keys_file)
        monkeypatch.setattr(test_erasures, "SIGNER", signer(keys))
        monkeypatch.setattr(test_erasures, "SITE", keys.ring.site)
        self.custodian = root / "custodian.txt"
        self.custodian.write_text(f"{CUSTODIAN}\n")

    def start(self) -> Desk:
        """As the conductor does."""
        desk = Desk(self.root)
        ledger = desk.ledger
        desk.vault.recover(Told(ledger.log, ledger.folder, ledger.signer.vkey, T))
        return desk

    def meeting(self, desk: Desk, name: str, *, threat: bool = False) -> Recording:
        new = Meeting(id=name, room_id="r1", origin="manual", planned_start=T)
        meeting = desk.ledger.create(new, T)
        meeting = desk.ledger.apply(meeting, events.Start(), T, POLICY)
        recording = desk.ledger.recordings.begin(meeting, "c1", T).recording
        writer = desk.vault.segment_writer(recording.id, T)
        writer.write(MEDIA)
        writer.close(SegmentSummary(start=T, end=T, media_seconds=1.0, frames=1, lost_packets=0))
        if threat:
            meeting = desk.ledger.apply(meeting, events.ReportThreat(f"h-{name}"), T, POLICY)
        meeting = desk.ledger.apply(meeting, events.End(), T, POLICY)
        desk.ledger.recordings.end(meeting, T)
        return recording

    def erase(self, desk: Desk, name: str) -> None:
        meeting = desk.ledger.get(name)
        assert meeting is not None
        if meeting.held:
            meeting = desk.ledger.apply(meeting, events.ReleaseHold(f"h-{name}", ""), T, POLICY)
        assert desk.erasures.run([Due(meeting, "G-7", POLICY)], T + timedelta(days=300))

    def copy(self, name: str) -> Path:
        """A backup of a file or folder; with what SQLite has beside it folded in."""
        copy = self.root / f"copy-of-{Path(name).name}"
        if (self.root / name).is_dir():
            shutil.copytree(self.root / name, copy)
        else:
            with closing(sqlite3.connect(self.root / name)) as db:
                db.execute("VACUUM INTO ?", (str(copy),))
        return copy

    def put_back(self, name: str, copy: Path | None) -> None:
        """Instead of what is there; None: it is lost."""
        there = self.root / name
        if there.is_dir():
            shutil.rmtree(there)
        for path in there.parent.glob(f"{there.name}*"):
            path.unlink()
        if copy is not None:
            (shutil.copytree if copy.is_dir() else shutil.copy)(copy, there)

    def keys(self, name: str) -> frozenset[str]:
        store = KeyStore(self.root / name)
        store.open()
        try:
            return store.ids()
        finally:
            store.close()

    def opens(self, recording: Recording, capsys: pytest.CaptureFixture[str]) -> bool:
        """Whether a custodian opens all of it with the command and any age."""
        words = ["export", str(self.root / "held"), "--ephemeral", str(self.root / "cache")]
        capsys.readouterr()
        main([*words, "--identity", str(self.custodian)])
        lines = capsys.readouterr().out.splitlines()
        if f"# recording {recording.id}" not in lines:
            return False
        key = age.parse_identity(lines[lines.index(f"# recording {recording.id}") + 1])
        (file,) = (self.root / "vault" / "segments" / recording.id).glob("*.age")
        return age.decrypt(file.read_bytes(), [key]) == MEDIA

    def check(self, *more: str) -> int:
        words = ["check", str(self.root / "vault"), "--ephemeral", str(self.root / "cache")]
        words += ["--held", str(self.root / "held"), "--keys", str(self.keys_file), *more]
        return main(words)


EPHEMERAL, HELD = "cache/ephemeral-keys.db", "held/held-keys.db"
INDEX, LOG, LOG_FOLDER = "vault/index.db", "vault/custody/log.jsonl", "vault/custody"


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Site]:
    return Site(tmp_path, monkeypatch)


@pytest.mark.parametrize("log", ["whole", "older", "lost"])
@pytest.mark.parametrize("index", ["older", "lost", "empty"])
def test_evidence_outlives_any_index_and_any_log(
    site: Site, index: str, log: str, capsys: pytest.CaptureFixture[str]
) -> None:
    desk = site.start()
    first = site.meeting(desk, "first")
    desk.close()
    older = site.copy(INDEX), site.copy(LOG_FOLDER)
    desk = site.start()
    held, calm = site.meeting(desk, "held", threat=True), site.meeting(desk, "calm")
    desk.close()
    site.put_back(INDEX, older[0] if index == "older" else None)
    if index == "empty":
        (site.root / INDEX).touch()
    if log != "whole":
        site.put_back(LOG_FOLDER, older[1] if log == "older" else None)
    expected = {held.id, calm.id} | (set() if index == "older" else {first.id})
    for _ in range(3):
        desk = site.start()
        assert desk.vault.unlisted == expected
        desk.close()
        assert site.check("--repair") == 1
        assert all(site.opens(each, capsys) for each in (first, held, calm))
    assert held.id in site.keys(HELD)
    kinds = [json.loads(line)["kind"] for line in (site.root / LOG).open()]
    assert "leftover_destroyed" not in kinds


def test_what_was_told_is_logged_and_the_right_index_mends_it(site: Site) -> None:
    desk = site.start()
    site.meeting(desk, "held", threat=True)
    desk.close()
    newest = site.copy(INDEX)
    site.put_back(INDEX, None)
    site.start().close()
    site.put_back(INDEX, newest)
    desk = site.start()
    assert desk.vault.unlisted == frozenset()
    assert desk.vault.check() == []
    meeting = desk.ledger.get("held")
    assert meeting is not None
    assert meeting.held
    desk.close()


def test_evidence_that_only_the_log_has_held_goes_into_the_backups(
    site: Site, capsys: pytest.CaptureFixture[str]
) -> None:
    desk = site.start()
    held, calm = site.meeting(desk, "held", threat=True), site.meeting(desk, "calm")
    desk.vault.release_meeting("held")  # As if a kill had come before the keys were copied.
    desk.close()
    site.put_back(INDEX, None)
    site.start().close()
    assert site.keys(HELD) == {held.id}
    assert site.opens(calm, capsys)


@pytest.mark.parametrize("by", ["start", "repair"])
def test_what_was_erased_does_not_come_back_with_an_old_held_store(
    site: Site, by: str, capsys: pytest.CaptureFixture[str]
) -> None:
    desk = site.start()
    gone, kept = site.meeting(desk, "gone", threat=True), site.meeting(desk, "kept", threat=True)
    desk.close()
    old = site.copy(HELD)
    files = site.copy(f"vault/segments/{gone.id}")
    desk = site.start()
    site.erase(desk, "gone")
    desk.close()
    site.put_back(HELD, old)
    shutil.copytree(files, site.root / "vault" / "segments" / gone.id)
    assert site.keys(HELD) == {gone.id, kept.id}
    if by == "start":
        site.start().close()
    else:
        assert site.check("--repair") == 0
        assert "repaired: held-key-has-recording" in capsys.readouterr().out
    assert site.keys(HELD) == {kept.id}
    assert not (site.root / "vault" / "segments" / gone.id).exists()
    (entry,) = [
        entry
        for entry in map(json.loads, (site.root / LOG).open())
        if entry["kind"] == "leftover_destroyed"
    ]
    told = {k: entry[k] for k in ("recording", "meeting", "ephemeral_key", "held_key", "files")}
    assert told == {
        "recording": gone.id,
        "meeting": "gone",
        "ephemeral_key": False,
        "held_key": True,
        "files": True,
    }
    assert entry.get("offline", False) is (by == "repair")
    assert site.check() == 0


def test_what_an_older_index_erased_in_spite_of_a_hold_is_kept(
    site: Site, capsys: pytest.CaptureFixture[str]
) -> None:
    desk = site.start()
    held = site.meeting(desk, "held", threat=True)
    desk.ledger.note("erased", T, meeting="held")
    desk.close()
    site.put_back(INDEX, None)
    desk = site.start()
    assert desk.vault.unlisted == {held.id}
    desk.close()
    assert site.opens(held, capsys)


def test_a_repair_is_alone_and_logs(site: Site, capsys: pytest.CaptureFixture[str]) -> None:
    desk = site.start()
    held = site.meeting(desk, "held", threat=True)
    (stray := site.root / "vault" / "segments" / "stray").mkdir()
    assert site.check("--repair") == 1
    assert "vault_in_use" in capsys.readouterr().err
    assert stray.exists(), "somebody has the index open"
    desk.close()
    with Alone(site.root / "vault" / "recording.lock").held(0):
        assert site.check("--repair") == 1
    assert "vault_in_use" in capsys.readouterr().err
    assert stray.exists(), "somebody records"
    site.put_back(HELD, None)
    KeyStore(site.root / HELD).open()
    assert site.check("--repair") == 0
    assert site.keys(HELD) == {held.id}
    assert not stray.exists()
    last = [json.loads(line) for line in (site.root / LOG).open()][-2:]
    assert {e["kind"]: e.get("of", e.get("recording")) for e in last} == {
        "leftover_destroyed": "stray",
        "repaired": held.id,
    }
    assert site.check("--repair") == 0, "nothing is left to do"
    assert capsys.readouterr().out.endswith("OK: every invariant holds\n")


def test_a_repair_needs_the_log(site: Site, capsys: pytest.CaptureFixture[str]) -> None:
    desk = site.start()
    site.meeting(desk, "held", threat=True)
    desk.close()
    (site.root / "vault" / "segments" / "stray").mkdir()
    log = (site.root / LOG).read_bytes()
    (site.root / LOG).write_bytes(log.replace(b'"start"', b'"stort"'))
    assert site.check("--repair") == 1
    site.put_back(LOG_FOLDER, None)
    assert site.check("--repair") == 1
    assert capsys.readouterr().err.count("log_tampered") == 2
    assert not (site.root / LOG_FOLDER).exists()
    assert (site.root / "vault" / "segments" / "stray").exists()


def test_what_nobody_needs_is_discarded_but_no_evidence(
    site: Site, capsys: pytest.CaptureFixture[str]
) -> None:
    desk = site.start()
    calm, held = site.meeting(desk, "calm"), site.meeting(desk, "held", threat=True)
    words = ["discard", "--vault", str(site.root / "vault"), "--keys", str(site.keys_file)]
    words += ["--ephemeral", str(site.root / "cache"), "--held", str(site.root / "held")]
    assert main([*words, calm.id]) == 1
    assert "vault_in_use" in capsys.readouterr().err
    desk.close()
    assert main([*words, calm.id]) == 1
    assert "recording_kept" in capsys.readouterr().err, "the index lists it"
    site.put_back(INDEX, None)
    site.start().close()
    for names in ([held.id], [calm.id, held.id], [calm.id, "nobody"]):
        assert main([*words, *names]) == 1
        assert "recording_kept" in capsys.readouterr().err
    assert site.keys(EPHEMERAL) == {calm.id, held.id}
    assert main([*words, calm.id]) == 0
    assert capsys.readouterr().out == f"destroyed: {calm.id}\n"
    assert site.keys(EPHEMERAL) == site.keys(HELD) == {held.id}
    assert [p.name for p in (site.root / "vault" / "segments").iterdir()] == [held.id]
    last = json.loads((site.root / LOG).read_text().splitlines()[-1])
    assert (last["kind"], last["meeting"]) == ("leftover_destroyed", "calm")
    assert last["offline"] is True


def test_what_neither_index_nor_log_knows_goes_by_a_custodian_who_opens_it(
    site: Site, capsys: pytest.CaptureFixture[str]
) -> None:
    desk = site.start()
    held = site.meeting(desk, "held", threat=True)
    desk.close()
    words = ["discard", "--vault", str(site.root / "vault"), "--keys", str(site.keys_file)]
    words += ["--ephemeral", str(site.root / "cache"), "--held", str(site.root / "held"), held.id]
    site.put_back(INDEX, None)
    site.start().close()
    assert main([*words, "--identity", str(site.custodian)]) == 1, "the log has it held"
    site.put_back(INDEX, None)
    site.put_back(LOG_FOLDER, None)
    site.start().close()
    stranger = site.root / "stranger.txt"
    stranger.write_text(f"{age.generate_identity()}\n")
    for more in ([], ["--identity", str(stranger)]):
        assert main([*words, *more]) == 1
        assert "recording_kept" in capsys.readouterr().err
        assert site.keys(HELD) == {held.id}
    assert main([*words, "--identity", str(site.custodian)]) == 0
    assert site.keys(EPHEMERAL) == site.keys(HELD) == frozenset()
    assert not any((site.root / "vault" / "segments").iterdir())
    last = json.loads((site.root / LOG).read_text().splitlines()[-1])
    assert (last["kind"], last["held_key"]) == ("leftover_destroyed", True)


async def with_evidence(house: House, camera: Camera) -> RoomConfig:
    """The room of a site that is stopped, and holds a meeting."""
    room = house.room(camera.source(), bound=False)
    witness = await house.started(room)
    await witness.start_meeting("r1")
    await until(lambda: witness.status("r1").segments)
    await witness.report_threat("r1")
    await witness.stop_meeting("r1")
    await witness.stop()
    return room


async def test_a_lost_index_is_told(camera: Camera, house: House) -> None:
    room = await with_evidence(house, camera)
    for path in house.config.root.glob("index.db*"):
        path.unlink()
    again = await house.started(room)
    told = {p.key: dict(p.placeholders) for p in again.problems()}
    assert told["recordings_unlisted"] == {"count": "1"}
    assert "folder-has-recording" in told["check_failed"]["invariants"]
    await again.start_meeting("r1")  # Staff are protected all the same.
    await until(lambda: again.status("r1").segments)
    await again.stop()
    assert "recordings_unlisted" in house.log()


async def test_a_vault_that_is_not_there_is_not_begun(camera: Camera, house: House) -> None:
    witness = await house.started(house.room(camera.source(), bound=False))
    await witness.start_meeting("r1")
    await witness.stop()
    house.config.root.rename(house.root / "away")
    with pytest.raises(VaultElsewhere):
        await house.witness().start()
    assert not house.config.root.exists()
    (house.root / "away").rename(house.config.root)
    await (witness := house.witness()).start()
    await witness.stop()


async def test_lost_keys_of_evidence_are_told_as_what_they_are(
    camera: Camera, house: House
) -> None:
    """The configuration folder was restored from before the hold, the vault is elsewhere."""
    room = await with_evidence(house, camera)
    shutil.copytree(house.root / "held", house.root / "newest")
    for store in ("cache", "held"):
        shutil.rmtree(house.root / store)
    again = await house.started(room)
    told = {p.key: dict(p.placeholders) for p in again.problems()}
    assert told == {"held_keys_lost": {"count": "1"}}
    assert again.status("r1").evidence_held == 1
    await again.stop()
    assert house.log().count("held_keys_lost") == 1
    shutil.rmtree(house.root / "held")
    (house.root / "newest").rename(house.root / "held")
    again = await house.started(room)
    assert not {"held_keys_lost", "ephemeral_keys_lost"} & {p.key for p in again.problems()}
    await again.stop()
