"""Keys at work: a sealed site, kills, and what the conductor answers."""

import asyncio
import shutil
import signal
import sqlite3
from collections.abc import AsyncIterator
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from unittest.mock import patch

import pytest

from roomwitness.cli import main
from roomwitness.custody import disagreements, read_account, verify_files, verify_log
from roomwitness.policy.words import MeetingState, RoomPolicy
from roomwitness.vault.age import Identity, decrypt, generate_identity
from roomwitness.vault.check import Places, check
from roomwitness.vault.errors import IdentityInvalid, KeyMissing, RecordingSealed, VaultUnwritable
from roomwitness.vault.listed import listed_in
from roomwitness.witness import Witness
from roomwitness.witness.errors import CustodianKnown, CustodianNotFound, LastCustodian
from roomwitness.witness.newkeys import replace_lost
from tests.camera import Camera
from tests.lib.capture.memory import decode

from .house import ORIGIN, House, until
from .test_faults import running

LONG = RoomPolicy(review_window=timedelta(hours=1))


@pytest.fixture
async def idle(house: House) -> AsyncIterator[Witness]:
    witness = await house.started()
    yield witness
    await witness.stop()


def identity_file(folder: Path, identity: str) -> str:
    path = folder / "identity.txt"
    path.write_text(f"{identity}\n")
    return str(path)


async def test_what_cannot_be_is_refused_and_changes_nothing(house: House, idle: Witness) -> None:
    keys = idle.keys
    (first,) = keys.custodians
    before = keys.stored
    with pytest.raises(IdentityInvalid):
        await keys.add_custodian("age1nobody")
    with pytest.raises(CustodianKnown):
        await keys.add_custodian(first.recipient)
    with pytest.raises(CustodianNotFound):
        await keys.retire_custodian("00000000")
    with pytest.raises(LastCustodian):
        await keys.retire_custodian(first.id)
    house.keys_file.parent.write_text("in the way")
    with pytest.raises(VaultUnwritable):
        await keys.add_custodian(str(generate_identity().recipient))
    assert keys.stored == before
    assert "custodian_retired" not in house.log_kinds()


async def test_the_mode_is_logged_once_and_for_new_recordings(house: House, idle: Witness) -> None:
    await idle.keys.set_sealed(True)
    await idle.keys.set_sealed(True)
    assert house.stored.sealed
    await idle.keys.set_sealed(False)
    modes = [e["mode"] for e in house.entries() if e["kind"] == "mode_changed"]
    assert modes == ["sealed", "assisted"]


async def test_a_sealed_meeting_that_a_kill_broke_off_is_made_whole_by_a_custodian(
    camera: Camera, house: House, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    house.keys.stored(ORIGIN, sealed=True).save(house.keys_file)
    process = running(house, camera)
    assert process.stdout is not None
    while int((await asyncio.to_thread(process.stdout.readline)).strip()) < 1:
        pass
    await until(lambda: [*(house.config.root / "segments").glob("*/*.tail")])
    process.send_signal(signal.SIGKILL)
    process.wait()
    process.stdout.close()

    witness = await house.started(house.room(camera.source()))
    assert witness.status("r1").state is MeetingState.RECORDING
    assert [p.key for p in witness.problems()] == ["sealed_left_open"]
    await until(lambda: witness.status("r1").segments >= 1)
    meeting = await witness.report_threat("r1")
    await witness.stop_meeting("r1")
    await witness.stop()
    vault = house.vault()
    (recording,) = vault.recordings(meeting)
    before = vault.segments(recording.id)
    with pytest.raises(RecordingSealed):
        b"".join(vault.read_segment(before[0]))
    assert vault.has_key(recording.id)
    vault.close()
    config = house.config
    places = Places(config.root, config.ephemeral_dir, config.held_dir)
    assert {f.invariant for f in check(places)} == {"sealed-segment-is-whole"}

    words = ["recover", "--vault", str(config.root), "--ephemeral", str(config.ephemeral_dir)]
    words += ["--identity"]
    assert main([*words, identity_file(tmp_path, str(generate_identity()))]) == 1
    assert "0 segments made whole, 1 recordings not opened" in capsys.readouterr().out
    file = identity_file(tmp_path, house.keys.custodian_identity)
    elsewhere = tmp_path / "elsewhere.json"
    assert main([*words, file, "--keys", str(elsewhere)]) == 1
    assert "key_missing" in capsys.readouterr().err
    assert main([*words, file]) == 0
    assert "1 segments made whole, 0 recordings" in capsys.readouterr().out
    assert check(places) == []
    assert house.log().count("segment_recovered") == 1
    vault = house.vault()
    custodian = Identity.from_string(house.keys.custodian_identity)
    key = Identity.from_string(vault.export_identities(meeting, custodian)[recording.id])
    after = vault.segments(recording.id)
    assert len(after) == len(before) + 1
    (mended,) = [s for s in after if s.recovered]
    for segment in after:
        assert decode(decrypt(segment.path.read_bytes(), [key])).first_is_key
    assert mended.bytes > 0
    vault.close()
    again = await house.started(house.room(camera.source()))
    assert again.problems() == ()
    await again.stop()


async def test_what_was_left_open_and_is_erased_is_told_no_more(
    camera: Camera, house: House, tmp_path: Path
) -> None:
    """Nobody has to come for a calm meeting: it goes at its deadline, open segment and all."""
    house.keys.stored(ORIGIN, sealed=True).save(house.keys_file)
    process = running(house, camera)
    assert process.stdout is not None
    while int((await asyncio.to_thread(process.stdout.readline)).strip()) < 1:
        pass
    await until(lambda: [*(house.config.root / "segments").glob("*/*.tail")])
    process.send_signal(signal.SIGKILL)
    process.wait()
    process.stdout.close()
    witness = await house.started(house.room(camera.source()))
    meeting = witness.status("r1").meeting_id or ""
    await witness.stop_meeting("r1")
    assert [p.key for p in witness.problems()] == ["sealed_left_open"]
    await until(lambda: witness.meetings("r1") == ())
    witness.keys._looked = None  # A minute later.
    await witness.tick()
    assert witness.problems() == ()
    await witness.stop()
    assert not list((house.root / "vault" / "segments").iterdir())
    vault = house.vault()
    assert vault.receipt_of(meeting) is not None
    vault.close()


async def test_the_site_opens_what_it_made_before_it_was_sealed(
    camera: Camera, house: House
) -> None:
    witness = await house.started(house.room(camera.source(), bound=False))
    meetings = []
    for sealed in (False, True):
        await witness.keys.set_sealed(sealed)
        meetings.append(await witness.start_meeting("r1"))
        await until(lambda: witness.status("r1").segments >= 1)
        await witness.report_threat("r1")
        await witness.stop_meeting("r1")
    await witness.keys.add_custodian(str(generate_identity().recipient), "Second")
    (problem,) = [p for p in witness.problems() if p.key == "custodian_lacks_keys"]
    assert problem.placeholders["custodians"].startswith("Second (")
    assert problem.placeholders["custodians"].endswith("): 1")
    vault = house.vault()
    for meeting, opens in zip(meetings, (True, False), strict=True):
        (recording,) = vault.recordings(meeting)
        (segment, *_) = vault.segments(recording.id)
        if opens:
            assert b"".join(vault.read_segment(segment))
        else:
            with pytest.raises(RecordingSealed):
                b"".join(vault.read_segment(segment))
    vault.close()
    await witness.stop()


async def test_rewrap_without_the_sites_keys(
    camera: Camera, house: House, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Only the vault and the held store are there: wraps are changed, nothing is logged."""
    witness = await house.started(house.room(camera.source(), bound=False))
    meeting = await witness.start_meeting("r1")
    await until(lambda: witness.status("r1").segments >= 1)
    await witness.report_threat("r1")
    await witness.stop_meeting("r1")
    await witness.stop()
    shutil.rmtree(house.root / "keys", ignore_errors=True)
    shutil.rmtree(house.root / "cache")
    entries = len(house.entries())
    new = generate_identity()
    (first,) = house.stored.custodians
    words = ["rewrap", "--vault", str(house.root / "vault"), "--ephemeral"]
    words += [str(house.root / "cache"), "--identity"]
    words += [identity_file(tmp_path, house.keys.custodian_identity)]
    words += ["--add", str(new.recipient), "--retire", first.id]
    assert main(words) == 0
    assert "1 wraps made, 1 removed" in capsys.readouterr().out
    vault = house.vault()
    assert vault.export_identities(meeting, new)
    with pytest.raises(KeyMissing):
        vault.export_identities(meeting, Identity.from_string(house.keys.custodian_identity))
    vault.close()
    assert len(house.entries()) == entries
    shutil.rmtree(house.root / "held")
    assert main(words) == 1
    assert "store_error" in capsys.readouterr().err


async def evidence_and_calm(witness: Witness) -> list[str]:
    """One meeting that is held, and one in its review window."""
    meetings = []
    for threat in (True, False):
        meetings.append(await witness.start_meeting("r1"))
        await until(lambda: witness.status("r1").segments >= 1)
        if threat:
            await witness.report_threat("r1")
        await witness.stop_meeting("r1")
    return meetings


def everything(root: Path) -> bytes:
    return b"".join(p.read_bytes() for p in sorted(root.rglob("*")) if p.is_file())


@pytest.mark.parametrize("killed", [False, True])
async def test_a_new_site_key_opens_and_the_old_one_is_nowhere(
    camera: Camera, house: House, *, killed: bool
) -> None:
    room = house.room(camera.source(), bound=False, policy=LONG)
    witness = await house.started(room)
    meetings = await evidence_and_calm(witness)
    old = house.stored.site_identity
    if killed:  # After the key file was written: the wraps are still the old key's.
        await witness.stop()
        house.stored.rotating(generate_identity()).save(house.keys_file)
        witness = await house.started(room)
    else:
        assert (await witness.keys.rotate_site_key()).added == 2
    assert house.stored.previous_site_identity is None
    assert old not in (house.stored.site_identity, "")
    raw = everything(house.root)
    assert old.encode() not in raw
    assert house.stored.site_identity.encode() in raw
    vault = house.vault()
    for meeting in meetings:
        (recording,) = vault.recordings(meeting)
        wraps = vault._ephemeral.get(recording.id)
        assert wraps is not None
        assert wraps.site is not None
        with pytest.raises(KeyMissing):
            decrypt(wraps.site, [Identity.from_string(old)])
        assert b"".join(vault.read_segment(vault.segments(recording.id)[0]))
    assert vault.keys_work()
    vault.close()
    assert house.log_kinds().count("site_key_rotated") == 1
    assert house.log_kinds().count("rewrapped") == 1
    await witness.stop()


async def test_a_new_site_key_ends_the_trouble_after_a_wrong_key_file(
    camera: Camera, house: House
) -> None:
    """What the wrong key does not open stays with the custodians, and preflight is content."""
    room = house.room(camera.source(), bound=False, policy=LONG)
    witness = await house.started(room)
    meeting, _ = await evidence_and_calm(witness)
    await witness.stop()
    wrong = replace(house.stored, site_identity=str(generate_identity()))
    wrong.save(house.keys_file)
    witness = await house.started(room)
    assert [p.key for p in await witness.preflight("r1")] == ["key_store_unusable"]
    await witness.keys.rotate_site_key()
    assert await witness.preflight("r1") == ()
    custodian = Identity.from_string(house.keys.custodian_identity)
    vault = house.vault()
    assert vault.export_identities(meeting, custodian)
    vault.close()
    await witness.stop()


async def test_a_rotation_that_could_not_be_finished_is(house: House, idle: Witness) -> None:
    house.stored.save(house.keys_file)
    wrapped = idle._vault.keys.rewrap
    broken = patch.object(idle._vault.keys, "rewrap", side_effect=VaultUnwritable)
    with broken, pytest.raises(VaultUnwritable):
        await idle.keys.rotate_site_key()
    first = house.stored
    assert first.previous_site_identity is not None
    idle.keys._looked = None  # A minute later.
    await idle.tick()
    assert house.stored == replace(first, previous_site_identity=None)
    assert idle._vault.keys.rewrap == wrapped
    await idle.keys.rotate_site_key()
    assert house.stored.site_identity != first.site_identity


async def test_a_site_whose_keys_are_lost_goes_on_with_new_ones(
    camera: Camera, house: House
) -> None:
    room = house.room(camera.source(), bound=False, policy=LONG)
    house.keys.stored(ORIGIN).save(house.keys_file)
    witness = await house.started(room)
    held, calm = await evidence_and_calm(witness)
    await witness.stop()
    size = len(house.log())
    config = house.config
    places = Places(config.root, config.ephemeral_dir, config.held_dir)
    custodians = house.stored.custodians
    house.keys_file.unlink()
    at = datetime(2026, 11, 25, tzinfo=UTC)
    fresh = replace_lost(places, house.keys_file, "roomwitness/new", custodians, at, sealed=True)
    assert replace_lost(places, house.keys_file, "roomwitness/other", (), at) == fresh
    again = await house.started(room)
    await until(lambda: again._scrub._reading is not None and again._scrub._reading.done())
    assert again.problems() == ()
    replaced, *rest = [e for e in house.entries() if e["kind"] == "site_keys_replaced"]
    assert rest == []
    assert (replaced["old"], replaced["old_size"], replaced["doubtful"]) == (ORIGIN, size, 0)
    aside = config.root / replaced["kept_as"]
    assert verify_log(aside).root == replaced["old_root"]
    vault = house.vault()
    custodian = Identity.from_string(house.keys.custodian_identity)
    for meeting in (held, calm):
        (recording,) = vault.recordings(meeting)
        (segment, *_) = vault.segments(recording.id)
        with pytest.raises(RecordingSealed):
            b"".join(vault.read_segment(segment))
        key = vault.keys.by_custodian(recording.id, custodian)
        assert decode(decrypt(segment.path.read_bytes(), [key])).first_is_key
        assert verify_files(segment.path.parent, recording.id, config.root / "custody") >= 1
    vault.close()
    assert (await evidence_and_calm(again))[0]
    await again.stop()
    assert house.log()


async def test_what_the_old_log_did_not_know_the_new_one_does_not_vouch_for(
    camera: Camera, house: House
) -> None:
    house.keys.stored(ORIGIN).save(house.keys_file)
    witness = await house.started(house.room(camera.source(), bound=False, policy=LONG))
    await evidence_and_calm(witness)
    await witness.stop()
    config = house.config
    with closing(sqlite3.connect(config.root / "index.db")) as db, db:
        db.execute("UPDATE segment SET sha256 = 'x' WHERE rowid = 1")
    places = Places(config.root, config.ephemeral_dir, config.held_dir)
    custodians = house.stored.custodians
    house.keys_file.unlink()
    at = datetime(2026, 11, 25, tzinfo=UTC)
    replace_lost(places, house.keys_file, "roomwitness/new", custodians, at)
    (replaced,) = [e for e in house.entries() if e["kind"] == "site_keys_replaced"]
    assert replaced["doubtful"] == 1
    (carried,) = [e for e in house.entries() if e["kind"] == "recording_carried"]
    account = read_account(config.root / "custody")
    assert len(list(disagreements(listed_in(config.root), account, account))) == 1
    house.keys_file.unlink()
    shutil.rmtree(config.root / "custody")  # And without any log nothing is vouched for.
    replace_lost(places, house.keys_file, "roomwitness/new", custodians, at)
    assert "recording_carried" not in house.log_kinds()
    assert carried["files"] >= 1
