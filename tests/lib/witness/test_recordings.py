"""A recording that was begun by half is begun wholly by the next try, or by the next start."""

import json
import os
import signal
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from datetime import timedelta
from pathlib import Path

import pytest

from roomwitness.custody import CustodyLog, LogUnwritable, SiteSigner
from roomwitness.policy import meeting as events
from roomwitness.policy.words import Meeting, RoomPolicy
from roomwitness.vault import age
from roomwitness.vault.errors import VaultFull
from roomwitness.vault.keys import KeyStore
from roomwitness.vault.store import Vault
from roomwitness.witness.ledger import Ledger
from roomwitness.witness.recordings import Place, Recordings, not_begun
from tests.lib.vault.conftest import fork

from . import test_erasures
from .test_erasures import CUSTODIAN, ORIGIN, Desk, T

POLICY = RoomPolicy()
LATER = T + timedelta(seconds=1)


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    """A meeting runs that is held, and nothing is recorded yet."""
    desk = Desk(tmp_path)
    meeting = desk.ledger.create(Meeting(id="m", room_id="r1", origin="manual", planned_start=T), T)
    meeting = desk.ledger.apply(meeting, events.Start(), T, POLICY)
    desk.ledger.apply(meeting, events.ReportThreat("h"), T, POLICY)
    yield desk
    desk.close()


def begin(desk: Desk, *, pre_roll_s: float = 0) -> Place:
    meeting = desk.ledger.get("m")
    assert meeting is not None
    since = T - timedelta(seconds=pre_roll_s) if pre_roll_s else None
    return desk.ledger.recordings.begin(meeting, "c", LATER, since)


def again(desk: Desk) -> Desk:
    """As a start does (conductor.py)."""
    desk.close()
    fresh = Desk(desk.root)
    fresh.ledger.recordings.recovered(fresh.vault.recover(), LATER)
    desk.vault, desk.ledger, desk.erasures = fresh.vault, fresh.ledger, fresh.erasures
    return desk


def entries(desk: Desk) -> list[dict[str, object]]:
    folder = desk.root / "vault" / "custody"
    desk.kinds()  # Verifies it.
    found = [json.loads(line) for line in (folder / "log.jsonl").open()]
    return [entry for entry in found if entry["kind"] == "recording_begun"]


def whole(desk: Desk) -> None:
    """It is listed once, logged once, and a custodian can open it from what backups take."""
    (recording,) = desk.vault.recordings("m")
    (entry,) = entries(desk)
    assert (entry["recording"], entry["meeting"]) == (recording.id, "m")
    assert desk.vault._held.ids() == {recording.id}
    assert desk.vault.export_identities("m", CUSTODIAN)
    assert desk.ledger.disagreements() == frozenset()
    assert desk.vault.check() == []


def refuse_log(patch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise LogUnwritable

    patch.setattr(CustodyLog, "append_all", refuse)


def refuse_signature(patch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise OSError(28, "full")

    patch.setattr("roomwitness.custody.log.replace", refuse)


def refuse_row(patch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise VaultFull

    patch.setattr("roomwitness.vault.index.Index.save_recording", refuse)


@pytest.mark.parametrize("how", [refuse_log, refuse_signature, refuse_row])
@pytest.mark.parametrize("then", ["a try", "a start", "the end"])
def test_what_a_disk_broke_off_is_made_up_for(
    desk: Desk, monkeypatch: pytest.MonkeyPatch, how: object, then: str
) -> None:
    with monkeypatch.context() as patch:
        how(patch)  # type: ignore[operator]
        with pytest.raises((LogUnwritable, VaultFull)):
            begin(desk)
    if then == "a start":
        again(desk)
    if then == "the end" and desk.vault.recordings("m"):
        meeting = desk.ledger.get("m")
        assert meeting is not None
        ended = desk.ledger.apply(meeting, events.End(), LATER, POLICY)
        desk.ledger.recordings.end(ended, LATER)
    else:
        begin(desk)
        assert len(entries(desk)) == 1, "before anything is recorded"
    again(desk)  # An orphaned key is destroyed there.
    whole(desk)
    again(desk)
    whole(desk)


@pytest.mark.parametrize("end", ["the upkeep", "a start"])
def test_a_key_that_could_not_be_held_keeps_nothing_from_being_recorded(
    desk: Desk, monkeypatch: pytest.MonkeyPatch, end: str
) -> None:
    real = KeyStore.put

    def put(store: KeyStore, *args: object) -> None:
        if store is desk.vault._held:
            raise VaultFull
        real(store, *args)  # type: ignore[arg-type]

    with monkeypatch.context() as patch:
        patch.setattr(KeyStore, "put", put)
        place = begin(desk)
        assert begin(desk).recording == place.recording
        assert desk.ledger.behind
    if end == "the upkeep":
        desk.ledger.catch_up()
    else:
        again(desk)
    whole(desk)


def test_what_the_upkeep_logs_is_held_too(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patch:
        refuse_log(patch)
        with pytest.raises(LogUnwritable):
            begin(desk, pre_roll_s=9)
        assert desk.ledger.recordings.unlogged
    desk.ledger.recordings.catch_up(LATER)
    whole(desk)
    (entry,) = entries(desk)
    assert (entry["late"], entry["pre_roll_s"]) == (True, 10.0)
    begin(desk)
    whole(desk)


def test_what_was_begun_wholly_is_logged_once_and_not_as_late(desk: Desk) -> None:
    begin(desk)
    again(desk)
    begin(desk)
    whole(desk)
    assert "late" not in entries(desk)[0]


def _begin_and_die(root: Path, keys: tuple[str, str, bytes], step: str) -> None:
    site, custodian, log = keys
    test_erasures.SITE = age.Identity.from_string(site)
    test_erasures.CUSTODIAN = age.Identity.from_string(custodian)
    test_erasures.SIGNER = SiteSigner.from_private_bytes(ORIGIN, log)
    desk = Desk(root)

    def die(*_: object, **__: object) -> None:
        os.kill(os.getpid(), signal.SIGKILL)

    places: dict[str, tuple[type, str]] = {
        "entry": (Recordings, "_log_begun"),
        "signature": (Ledger, "_sign"),
        "hold": (Vault, "hold_meeting"),
    }
    setattr(*places[step], die)
    begin(desk)


@pytest.mark.parametrize("step", ["entry", "signature", "hold"])
def test_a_kill_in_the_middle_is_made_up_for_by_the_next_start(desk: Desk, step: str) -> None:
    desk.close()
    keys = str(test_erasures.SITE), str(CUSTODIAN), test_erasures.SIGNER.private_bytes
    child = fork.Process(target=_begin_and_die, args=(desk.root, keys, step))
    child.start()
    child.join()
    assert child.exitcode == -signal.SIGKILL
    again(desk)
    whole(desk)
    assert entries(desk)[0].get("late", False) is (step == "entry")


def test_what_was_put_into_the_index_alone_is_not_made_genuine(desk: Desk) -> None:
    """Whoever can write the vault's disk has neither the log's key nor the key stores."""
    begin(desk)
    desk.close()
    with closing(sqlite3.connect(desk.root / "vault" / "index.db")) as db:
        columns = [row[1] for row in db.execute("PRAGMA table_info(recording)") if row[1] != "id"]
        names = ", ".join(columns)
        db.execute(f"INSERT INTO recording (id, {names}) SELECT 'forged', {names} FROM recording")
        db.commit()
    again(desk)
    assert desk.ledger.disagreements() == {"recording-in-log"}
    assert len(entries(desk)) == 1


def test_what_a_log_that_was_set_aside_told_is_not_told_anew(desk: Desk) -> None:
    begin(desk)
    desk.close()
    log = desk.root / "vault" / "custody" / "log.jsonl"
    log.write_bytes(log.read_bytes().replace(b'"start"', b'"stort"'))
    again(desk)
    assert desk.ledger.tampered
    begin(desk)
    assert desk.ledger.disagreements() >= {"recording-in-log"}
    assert entries(desk) == []


def test_it_is_found_however_far_back(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    first = begin(desk).recording.id
    for number in range(200):
        desk.ledger.note("meeting_refused", LATER, meeting=str(number))
    monkeypatch.setattr("roomwitness.witness.recordings._PIECE", 64)
    assert not_begun(desk.ledger.log, {first, "unheard of"}) == {"unheard of"}
    read = []
    since = CustodyLog.since
    monkeypatch.setattr(CustodyLog, "since", lambda log, at: (read.append(at), since(log, at))[1])
    assert not_begun(desk.ledger.log, {first}) == set()
    assert read == sorted(read, reverse=True)
    assert len(read) > 1
    assert not_begun(desk.ledger.log, set()) == set()
