"""Erasures together: receipts that verify, failures that are told, kills that change nothing."""

import json
import subprocess
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path

import pytest

from roomwitness.custody import SiteSigner, verify_log, verify_receipt
from roomwitness.policy.words import Hold, HoldKind, Meeting, MeetingState, RoomPolicy
from roomwitness.vault import SegmentSummary, erasure
from roomwitness.vault.age import generate_identity
from roomwitness.vault.errors import VaultUnwritable
from roomwitness.vault.keys import KeyStore
from roomwitness.vault.store import Vault
from roomwitness.witness.erasures import Due, Erasures
from roomwitness.witness.ledger import Ledger
from tests.lib.conftest import mounted
from tests.lib.vault.conftest import erase_meeting

T = datetime(2026, 11, 2, 9, 0, tzinfo=UTC)
ORIGIN = "roomwitness/test"
SIGNER = SiteSigner.generate(ORIGIN)
SITE, CUSTODIAN = generate_identity(), generate_identity()


class Desk:
    """Vault, ledger and erasures in a folder."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.vault = Vault(
            root / "vault", root / "cache", root / "held", SITE, (CUSTODIAN.recipient,), 0
        )
        self.vault.open()
        self.ledger = Ledger(self.vault, root / "vault" / "custody", SIGNER, ORIGIN)
        self.ledger.open(T)
        self.erasures = Erasures(self.vault, self.ledger, ORIGIN)

    def meeting(self, name: str, room: str = "r1", *, cameras: int = 2) -> Due:
        hold = Hold(
            id=f"h{name}",
            kind=HoldKind.THREAT,
            reason="Anna A",
            created=T,
            review_date=T,
            released=T,
            release_reason="Anna A",
        )
        meeting = Meeting(
            id=name,
            room_id=room,
            state=MeetingState.REVIEW,
            origin="manual",
            planned_start=T,
            started=T,
            ended=T,
            deadline=T,
            holds=(hold,),
        )
        self.ledger.create(meeting, T)
        for number in range(cameras):
            recording = self.vault.begin_recording(name, f"c{number}", T)
            writer = self.vault.segment_writer(recording.id, T)
            writer.write(b"seen " * 4000)
            writer.close(
                SegmentSummary(start=T, end=T, media_seconds=1.0, frames=1, lost_packets=0)
            )
        self.vault.hold_meeting(name)
        return Due(meeting, "G-7", RoomPolicy())

    def kinds(self) -> list[str]:
        folder = self.root / "vault" / "custody"
        assert verify_log(folder, SIGNER.vkey).unsigned == 0
        return [json.loads(line)["kind"] for line in (folder / "log.jsonl").open()]

    def close(self) -> None:
        self.ledger.close()
        self.vault.close()


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    return Desk(tmp_path)


def wraps_on_disk(root: Path, store: str) -> list[bytes]:
    keys = KeyStore(root / store)
    keys.open()
    found = [keys.get(name) for name in keys.ids()]
    keys.close()
    return [w[-32:] for wraps in found if wraps for w in wraps.files.values()]


def test_many_are_erased_together_and_each_has_a_receipt_that_verifies(desk: Desk) -> None:
    wanted = [desk.meeting(f"m{n}", f"r{n % 3}") for n in range(12)]
    needles = wraps_on_disk(desk.root, "cache/ephemeral-keys.db")
    needles += wraps_on_disk(desk.root, "held/held-keys.db")
    assert len(needles) == 72
    receipts = desk.erasures.run(wanted, T)
    assert sorted(r.meeting_id for r in receipts) == sorted(f"m{n}" for n in range(12))
    everything = b"".join(p.read_bytes() for p in desk.root.rglob("*") if p.is_file())
    assert not any(needle in everything for needle in needles)
    assert not list((desk.root / "vault" / "segments").iterdir())
    for receipt in receipts:
        file = desk.vault.receipt_file(receipt.id)
        assert file is not None
        assert file == desk.vault.receipt_file(receipt.meeting_id)
        facts, proven = verify_receipt(file, SIGNER.vkey)
        assert facts["receipt"] == receipt.id
        assert facts["meeting"] == receipt.meeting_id == proven.entry["meeting"]
        assert facts["decision"] == "G-7"
        assert (len(facts["recordings"]), facts["segments"]) == (2, 2)
        assert facts["verification"] == [
            erasure.KEYS_ABSENT,
            erasure.BYTES_SEARCHED,
            erasure.FILES_ABSENT,
        ]
        assert facts["holds"][0]["kind"] == "threat"
        assert "Anna" not in file
    assert desk.vault.receipt_file("m99") is None
    assert desk.ledger.meetings == ()
    assert {m.state for m in desk.vault.meetings()} == {MeetingState.ERASED}
    assert set(desk.ledger.last_receipt) == {"r0", "r1", "r2"}
    kinds = desk.kinds()
    assert kinds.count("erasure_begun") == kinds.count("erased") == 12
    desk.close()
    again = Desk(desk.root)
    assert set(again.ledger.last_receipt) == {"r0", "r1", "r2"}
    assert again.vault.check() == []
    again.close()


def test_keys_are_gone_from_the_bytes_after_many_rounds(desk: Desk) -> None:
    """Pages are freed and used again hundreds of times, never vacuumed."""
    needles = []
    for round_ in range(15):
        kept = desk.meeting(f"kept{round_}", cameras=1)
        wanted = [desk.meeting(f"m{round_}-{n}", cameras=1) for n in range(4)]
        before = wraps_on_disk(desk.root, "cache/ephemeral-keys.db")
        desk.erasures.run(wanted, T)
        after = wraps_on_disk(desk.root, "cache/ephemeral-keys.db")
        needles += [needle for needle in before if needle not in after]
        assert kept.meeting.id in {m.id for m in desk.ledger.meetings}
    assert len(needles) == 15 * 4 * 2
    desk.close()
    everything = b"".join(p.read_bytes() for p in desk.root.rglob("*") if p.is_file())
    assert not any(needle in everything for needle in needles)


def test_what_cannot_be_unlinked_is_told_retried_and_gets_no_receipt(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    wanted = [desk.meeting("m1"), desk.meeting("m2", "r2")]
    stuck = desk.vault.recordings("m2")[0].id
    real = erasure.shutil.rmtree
    tries = []

    def rmtree(path: Path) -> None:
        if path.name == stuck:
            tries.append(path)
            raise PermissionError(13, "no")
        real(path)

    monkeypatch.setattr(erasure.shutil, "rmtree", rmtree)
    (receipt,) = desk.erasures.run(wanted, T)
    assert receipt.meeting_id == "m1"
    (problem,) = desk.erasures.problems()
    assert (problem.key, problem.room_id) == ("erasure_failed", "r2")
    assert problem.placeholders == {"count": "1"}
    assert [m.id for m in desk.ledger.meetings] == ["m2"]
    assert desk.vault.receipt_file("m2") is None
    assert wraps_on_disk(desk.root, "cache/ephemeral-keys.db") == [], "the key went first"
    now, waits = T, []
    while len(tries) < 9:
        now += timedelta(seconds=1)
        before = len(tries)
        assert desk.erasures.run(wanted[1:], now) == []
        if len(tries) > before:
            waits.append((now - T).total_seconds())
    assert [b - a for a, b in pairwise(waits)][-2:] == [60, 60]
    tries.clear()
    desk.erasures.run(wanted[1:], now - timedelta(hours=3))
    assert tries, "a clock that was set back does not make it wait"
    monkeypatch.undo()
    (receipt,) = desk.erasures.run(wanted[1:], now + timedelta(minutes=2))
    assert receipt.meeting_id == "m2"
    assert list(desk.erasures.problems()) == []
    kinds = desk.kinds()
    assert (kinds.count("erasure_begun"), kinds.count("erasure_failed")) == (2, 1)
    desk.close()


def test_keys_that_cannot_be_destroyed_leave_no_receipt(desk: Desk) -> None:
    due = desk.meeting("m1")
    store = desk.vault._ephemeral._connection()
    store.execute("PRAGMA query_only=ON")
    assert desk.erasures.run([due], T) == []
    assert not list((desk.root / "vault" / "segments").iterdir())
    store.execute("PRAGMA query_only=OFF")
    assert len(desk.erasures.run([due], T + timedelta(seconds=2))) == 1
    desk.close()


@pytest.mark.parametrize("how", ["a key that stays", "bytes that stay", "no sync"])
def test_the_verification_is_real(desk: Desk, monkeypatch: pytest.MonkeyPatch, how: str) -> None:
    due = desk.meeting("m1")
    if how == "a key that stays":
        monkeypatch.setattr(KeyStore, "destroy", lambda *_: None)
    elif how == "bytes that stay":
        left = (desk.root / "cache" / "ephemeral-keys.db").read_bytes()
        monkeypatch.setattr(KeyStore, "raw", lambda *_: left)
    else:
        monkeypatch.setattr(erasure.files, "sync_folder", _fail)
    assert desk.erasures.run([due], T) == []
    assert [p.key for p in desk.erasures.problems()] == ["erasure_failed"]
    desk.close()


def _fail(_path: Path) -> None:
    raise OSError(5, "EIO")


def test_a_store_too_large_to_search_is_not_said_to_be_searched(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(erasure, "_SEARCHED_BYTES", 10)
    (receipt,) = desk.erasures.run([desk.meeting("m1")], T)
    facts, _ = verify_receipt(desk.vault.receipt_file(receipt.id) or "", SIGNER.vkey)
    assert facts["verification"] == [erasure.KEYS_ABSENT, erasure.FILES_ABSENT]
    desk.close()


@pytest.mark.parametrize("step", ["note_all", "prove_all", "receive", "forget"])
def test_a_kill_between_two_steps_is_finished_later(
    desk: Desk, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    due = desk.meeting("m1")
    place = Vault if step == "receive" else Ledger
    with monkeypatch.context() as patch:
        if step == "note_all":  # Once the keys are gone.
            real = Ledger.note_all
            patch.setattr(
                place,
                step,
                lambda ledger, leaves: (
                    _killed() if b'"erased"' in b"".join(leaves) else real(ledger, leaves)
                ),
            )
        else:
            patch.setattr(place, step, _killed)
        with pytest.raises(KeyboardInterrupt):
            desk.erasures.run([due], T)
    assert not desk.vault._ephemeral.ids()
    desk.close()
    again = Desk(desk.root)
    left = [Due(m, "G-7", RoomPolicy()) for m in again.ledger.meetings]
    again.erasures.run(left, T)
    assert again.vault.receipt_of("m1") is not None
    assert verify_receipt(again.vault.receipt_file("m1") or "", SIGNER.vkey)
    assert "erased" in again.kinds()
    assert again.ledger.meetings == ()
    again.close()


def _killed(*_: object) -> None:
    raise KeyboardInterrupt


def test_a_receipt_without_its_meetings_state_is_taken_up(desk: Desk) -> None:
    """As an older version's kill left it."""
    due = desk.meeting("m1")
    receipt = erase_meeting(desk.vault, due.meeting, T, "G-7")
    desk.vault.save_meeting(due.meeting)
    assert desk.erasures.run([due], T) == [receipt]
    assert desk.vault.meetings()[0].state is MeetingState.ERASED
    other = desk.meeting("m2")
    desk.vault._ephemeral._connection().execute("PRAGMA query_only=ON")
    with pytest.raises(VaultUnwritable):
        erase_meeting(desk.vault, other.meeting, T, "")
    desk.close()


def test_an_older_log_put_back_is_noted_and_told(desk: Desk) -> None:
    desk.meeting("m1")
    custody = desk.root / "vault" / "custody"
    older = {name: (custody / name).read_bytes() for name in ("log.jsonl", "checkpoint")}
    desk.ledger.note("hold", T)
    desk.close()
    for name, data in older.items():
        (custody / name).write_bytes(data)
    again = Desk(desk.root)
    assert again.ledger.rolled_back
    assert again.kinds()[-1] == "log_rolled_back"
    again.close()
    assert not Desk(desk.root).ledger.rolled_back


def test_what_contradicts_itself_at_start_is_named(desk: Desk) -> None:
    desk.meeting("m1")
    assert desk.vault.broken() == ["held-key-has-hold"], "the hold of this desk is a released one"
    desk.vault.release_meeting("m1")
    assert desk.vault.broken() == []
    desk.close()


def test_a_disk_that_turned_read_only(tmp_path: Path) -> None:
    """The real thing: the key goes at once, the files when the disk can be written again."""
    disk = tmp_path / "vault" / "segments"
    disk.mkdir(parents=True)
    with mounted(disk, "8m"):
        desk = Desk(tmp_path)
        due = desk.meeting("m1")
        subprocess.run(["mount", "-o", "remount,ro", disk], check=True)
        assert desk.erasures.run([due], T) == []
        assert [p.key for p in desk.erasures.problems()] == ["erasure_failed"]
        assert list(disk.iterdir())
        assert not desk.vault.has_key(desk.vault.recordings("m1")[0].id)
        subprocess.run(["mount", "-o", "remount,rw", disk], check=True)
        assert len(desk.erasures.run([due], T + timedelta(seconds=2))) == 1
        assert not list(disk.iterdir())
        desk.close()
