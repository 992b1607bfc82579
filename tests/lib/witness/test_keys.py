"""Keys at work: a sealed site, kills, and what the conductor answers."""

import asyncio
import shutil
import signal
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from roomwitness.cli import main
from roomwitness.policy.words import MeetingState
from roomwitness.vault.age import Identity, decrypt, generate_identity
from roomwitness.vault.check import Places, check
from roomwitness.vault.errors import IdentityInvalid, KeyMissing, RecordingSealed, VaultUnwritable
from roomwitness.witness import Witness
from roomwitness.witness.errors import CustodianKnown, CustodianNotFound, LastCustodian
from tests.camera import Camera
from tests.lib.capture.memory import decode

from .house import ORIGIN, House, until
from .test_faults import running


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
    await asyncio.sleep(0.7)
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
    await asyncio.sleep(0.7)
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
