"""Every invariant is seen when it breaks, and what is repaired was safe to repair."""

import json
import sqlite3
from collections.abc import Callable
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest

from roomwitness.cli import main
from roomwitness.custody import CustodyLog, SealedFile, files_root
from roomwitness.policy.words import Hold, HoldKind, MeetingState
from roomwitness.vault.check import REPAIRABLE, Finding, Places, check, repair
from roomwitness.vault.errors import StoreError
from roomwitness.vault.leftovers import Fate, NoAccount
from roomwitness.vault.store import Vault
from roomwitness.witness.config import generate_site_keys, signer

from .conftest import CUSTODIAN, Place, T, begin, erase_meeting, meeting, write

HOLD = Hold(id="h", kind=HoldKind.THREAT, reason="", created=T, review_date=T)


class Log(NoAccount):
    """Says that ``stray`` was erased, and that nothing is held."""

    def __init__(self, place: Place) -> None:
        self._place = place

    def fates(self) -> dict[str, Fate]:
        calm = recording_of(self._place, "calm")
        return {"stray": Fate("x", erased=True), calm: Fate("calm")}


def mended(place: Place, found: list[Finding]) -> tuple[list[Finding], list[Finding]]:
    """What ``repair`` says of them, and what it noted."""
    with closing(sqlite3.connect(place.root / INDEX)) as db:
        known = {row[0] for row in db.execute("SELECT id FROM recording")}
    noted: list[Finding] = []
    return repair(places(place), found, known, Log(place), noted.append), noted


def places(place: Place) -> Places:
    return Places(place.folder, place.ephemeral, place.held)


@pytest.fixture
def filled(place: Place) -> Place:
    """A held meeting, one in review, an erased one; all closed."""
    vault = place.open()
    for name in ("held", "calm", "gone"):
        recording = begin(vault, name)
        write(vault, recording, b"seen " * 9000)
        vault.end_recording(recording.id, T)
    vault.save_meeting(replace(meeting("held", MeetingState.HELD), holds=(HOLD,)))
    vault.hold_meeting("held")
    erase_meeting(vault, meeting("gone"), T, "G-7")
    vault.close()
    return place


def recording_of(place: Place, name: str) -> str:
    vault = place.open()
    (recording,) = vault.recordings(name)
    vault.close()
    return recording.id


def sql(place: Place, name: str, *statements: str) -> None:
    with closing(sqlite3.connect(place.root / name)) as db:
        for statement in statements:
            db.execute(statement)
        db.commit()


def segment(place: Place, name: str) -> Path:
    (path,) = (place.folder / "segments" / recording_of(place, name)).glob("*.age")
    return path


type Break = Callable[[Place], object]
INDEX, EPHEMERAL, HELD = "vault/index.db", "cache/ephemeral-keys.db", "held/held-keys.db"
BROKEN: dict[str, Break] = {
    "index-references": lambda p: sql(p, INDEX, "UPDATE gap SET recording = 'x'", _GAP),
    "erased-meeting-has-recordings": lambda p: sql(
        p, INDEX, "UPDATE meeting SET state = 'erased' WHERE id = 'calm'"
    ),
    "erased-meeting-has-receipt": lambda p: sql(p, INDEX, "DELETE FROM receipt"),
    "receipt-of-erased-meeting": lambda p: sql(
        p, INDEX, "UPDATE meeting SET state = 'review' WHERE id = 'gone'"
    ),
    "recording-has-key": lambda p: sql(p, EPHEMERAL, "DELETE FROM wrap"),
    "ephemeral-key-has-recording": lambda p: sql(p, EPHEMERAL, _STRAY),
    "held-key-has-recording": lambda p: sql(p, HELD, _STRAY),
    "held-key-has-hold": lambda p: sql(
        p, HELD, _STRAY.replace("'stray'", f"'{recording_of(p, 'calm')}'")
    ),
    "hold-has-held-key": lambda p: sql(p, HELD, "DELETE FROM wrap"),
    "folder-has-recording": lambda p: (p.folder / "segments" / "stray").mkdir(),
    "segment-has-file": lambda p: segment(p, "calm").unlink(),
    "segment-has-its-size": lambda p: segment(p, "calm").write_bytes(b"short"),
    "segment-has-its-digest": lambda p: flip(segment(p, "calm")),
    "no-stale-file": lambda p: segment(p, "calm").with_suffix(".age.tail").write_bytes(b""),
    "file-has-row": lambda p: segment(p, "calm").with_name("1-2.mp4.age").write_bytes(b""),
}
_GAP = "INSERT INTO gap VALUES ('x', 0, 1, 'stalled', 0, NULL)"
_STRAY = "INSERT INTO wrap VALUES ('stray', 'custodian', '0a', x'00')"


def flip(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.write_bytes(data)


def test_a_sound_store_has_no_findings(filled: Place) -> None:
    assert check(places(filled), deep=True) == []


@pytest.mark.parametrize("name", BROKEN)
def test_each_invariant_is_seen_when_it_breaks(filled: Place, name: str) -> None:
    BROKEN[name](filled)
    found = check(places(filled), deep=name == "segment-has-its-digest")
    assert name in {finding.invariant for finding in found}
    before = _all_bytes(filled)
    assert check(places(filled), deep=True)
    assert _all_bytes(filled) == before, "a check changes nothing"
    repaired, noted = mended(filled, found)
    unlisted = {"ephemeral-key-has-recording", "held-key-has-recording", "folder-has-recording"}
    assert noted == [f for f in found if f.invariant in REPAIRABLE - unlisted]
    assert {f.invariant for f in repaired if f.repaired} == {
        f.invariant for f in found if f.invariant in REPAIRABLE
    }
    left = check(places(filled), deep=True)
    assert {f.invariant for f in left} == {
        f.invariant for f in found if f.invariant not in REPAIRABLE
    }
    vault = filled.open()
    assert vault.export_identities("held", CUSTODIAN), "evidence is never touched"
    vault.close()


def _all_bytes(place: Place) -> dict[str, bytes]:
    return {
        str(p): p.read_bytes()
        for p in place.root.rglob("*")
        if p.is_file() and not p.name.endswith(("-wal", "-shm"))
    }


def test_a_key_that_went_meanwhile_is_not_said_to_be_repaired(filled: Place) -> None:
    asked = [Finding("hold-has-held-key", "nobody")]
    assert mended(filled, asked) == (asked, [])


def test_no_repair_destroys_the_only_key_or_what_the_log_has_held(filled: Place) -> None:
    """An index that was put back may not know of a hold; nor whose a folder is."""
    calm, held = recording_of(filled, "calm"), recording_of(filled, "held")
    sql(filled, INDEX, "DELETE FROM hold")
    BROKEN["held-key-has-hold"](filled)
    (filled.folder / "segments" / "unheard").mkdir()
    (filled.folder / "segments" / "unheard" / "1-2.mp4.age").write_bytes(b"x")
    found = check(places(filled))
    assert {f.of for f in found if f.invariant == "held-key-has-hold"} == {calm, held}
    repaired, _ = mended(filled, found)
    assert {f.of for f in repaired if f.repaired} == {calm}, "the log says nothing of the other"
    sql(filled, EPHEMERAL, "DELETE FROM wrap")
    BROKEN["held-key-has-hold"](filled)
    assert not any(f.repaired for f in mended(filled, check(places(filled)))[0])
    assert (filled.folder / "segments" / "unheard" / "1-2.mp4.age").exists()


def test_the_quick_check_looks_at_no_file(filled: Place) -> None:
    segment(filled, "calm").unlink()
    assert check(places(filled), sizes=False) == []


def test_a_running_recording_is_not_a_finding(place: Place, vault: Vault) -> None:
    writer = vault.segment_writer(begin(vault).id, T)
    writer.write(b"x" * 100_000)
    writer.flush()
    assert check(places(place)) == []
    writer.abort()


def log_of(place: Place) -> Path:
    """The custody log as it would be, had the vault's meetings been real; the site's key file."""
    keys = generate_site_keys("o").stored("o")
    keys.save(place.root / "site.json")
    log = CustodyLog(place.folder / "custody", signer(keys), "o").open()
    vault = place.open()
    for name in ("held", "calm"):
        (recording,) = vault.recordings(name)
        (one,) = vault.segments(recording.id)
        log.append("recording_begun", T, recording=recording.id, meeting=name)
        root = files_root([SealedFile(one.path.name, one.bytes, one.sha256)])
        log.append("recording_ended", T, recording=recording.id, files=1, files_root=root)
    vault.close()
    log.checkpoint()
    log.close()
    return place.root / "site.json"


def test_the_command_tells_by_its_exit_code(
    filled: Place, capsys: pytest.CaptureFixture[str]
) -> None:
    keys = log_of(filled)
    words = [
        *("check", str(filled.folder)),
        *("--ephemeral", str(filled.ephemeral), "--held", str(filled.held)),
    ]
    assert main(words) == 0
    assert capsys.readouterr().out == "OK: every invariant holds\n"
    (filled.folder / "segments" / "stray").mkdir()
    assert main([*words, "--json"]) == 1
    (finding,) = json.loads(capsys.readouterr().out)
    assert finding == {"invariant": "folder-has-recording", "of": "stray", "repaired": False}
    assert main(words) == 1
    assert "BROKEN: folder-has-recording stray" in capsys.readouterr().out
    assert main([*words, "--repair"]) == 1
    assert "key_missing" in capsys.readouterr().err
    assert main([*words, "--repair", "--keys", str(keys)]) == 0
    assert "repaired: folder-has-recording stray" in capsys.readouterr().out
    assert main([*words, "--deep"]) == 0
    (filled.folder / "index.db").write_bytes(b"not a database" * 100)
    assert main(words) == 1
    assert "store_error" in capsys.readouterr().err
    with pytest.raises(StoreError):
        check(Places(filled.root, filled.ephemeral, filled.held))
