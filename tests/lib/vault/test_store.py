"""The vault's promises: readable until erased, then never; held until released."""

import gc
import shutil
import sqlite3
import weakref
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pyrage
import pytest

from roomwitness.cli import main
from roomwitness.policy.words import GapCause, Hold, HoldKind, MeetingState
from roomwitness.vault import ClockEvent, Gap, age, wall_time
from roomwitness.vault.errors import KeyMissing, SegmentCorrupted, StoreError, VaultUnwritable
from roomwitness.vault.inspect import inspect
from roomwitness.vault.keys import Holder, KeyStore, Wraps
from roomwitness.vault.store import METHOD, Vault

from .conftest import CUSTODIAN, SITE, Place, T, begin, erase_meeting, meeting, summary, write

MEDIA = b"what was said and seen " * 9000  # More than three chunks.


def test_a_segment_is_an_ordinary_age_file_and_reads_back(vault: Vault, place: Place) -> None:
    recording = begin(vault)
    segment = write(vault, recording, MEDIA)
    assert b"".join(vault.read_segment(segment)) == MEDIA
    assert vault.segments(recording.id) == [segment]
    assert segment.bytes == segment.path.stat().st_size
    identities = vault.export_identities("m1", CUSTODIAN)
    theirs = pyrage.x25519.Identity.from_str(identities[recording.id])
    assert pyrage.decrypt(segment.path.read_bytes(), [theirs]) == MEDIA
    assert vault.check() == []
    assert vault.free_bytes() > 0
    assert b"what was said" not in place.bytes_everywhere()


def test_nothing_is_in_clear_while_a_segment_is_open(vault: Vault, place: Place) -> None:
    writer = vault.segment_writer(begin(vault).id, T)
    for _ in range(5):
        writer.write(MEDIA[:30_000])
        writer.flush()
        assert b"what was said" not in place.bytes_everywhere()
    writer.close(summary())


@pytest.mark.parametrize("whole", [True, False], ids=["closed", "aborted"])
def test_a_writer_that_is_done_with_goes_at_once_with_its_plaintext(
    vault: Vault, whole: bool
) -> None:
    gc.disable()  # Which would find it some day: an hour of 64 cameras would be 250 MB by then.
    try:
        writer = vault.segment_writer(begin(vault).id, T)
        writer.write(MEDIA[:1000])
        if whole:
            writer.close(summary())
        else:
            writer.abort()
        gone = weakref.ref(writer)
        del writer
        assert gone() is None
    finally:
        gc.enable()


def test_erasure_leaves_a_receipt_and_no_key_anywhere(vault: Vault, place: Place) -> None:
    recording = begin(vault)
    segment = write(vault, recording, MEDIA)
    sealed = segment.path.read_bytes()
    vault.hold_meeting("m1")
    vault.release_meeting("m1")
    store = KeyStore(place.ephemeral / "ephemeral-keys.db")
    store.open()
    wraps = store.get(recording.id)
    store.close()
    assert wraps is not None
    assert wraps.site is not None
    # Pieces of the wrapped keys: what a search of the disk would find if any page were left.
    (custodians,) = wraps.custodians.values()
    needles = [wraps.site[-32:], custodians[-32:], wraps.site[60:100]]
    assert all(needle in place.bytes_everywhere() for needle in needles)

    receipt = erase_meeting(vault, meeting(), T + timedelta(hours=1), "decision 7")

    assert (receipt.recordings, receipt.segments, receipt.bytes) == (1, 1, len(sealed))
    assert (receipt.method, receipt.decision) == (METHOD, "decision 7")
    assert vault.receipts() == [receipt]
    left = place.bytes_everywhere()
    assert not any(needle in left for needle in needles)
    assert sealed[-64:] not in left
    assert vault.recordings("m1") == []
    with pytest.raises(KeyMissing):
        b"".join(vault.read_segment(segment))
    assert erase_meeting(vault, meeting(), T + timedelta(hours=2), "again") == receipt


def test_a_hold_puts_only_the_custodians_wrap_into_backups(vault: Vault, place: Place) -> None:
    recording = begin(vault)
    segment = write(vault, recording, MEDIA)
    vault.hold_meeting("m1")
    store = KeyStore(place.held / "held-keys.db")
    store.open()
    wraps = store.get(recording.id)
    store.close()
    assert wraps is not None
    assert wraps.site is None
    # A backup without the ephemeral store: evidence opens for the custodian, not for the site.
    vault.close()
    shutil.rmtree(place.ephemeral)
    restored = place.open()
    with pytest.raises(KeyMissing):
        b"".join(restored.read_segment(segment))
    identity = age.Identity.from_string(restored.export_identities("m1", CUSTODIAN)[recording.id])
    assert age.decrypt(segment.path.read_bytes(), [identity]) == MEDIA
    assert restored.lost_keys() == []
    with pytest.raises(KeyMissing):
        restored.export_identities("m1", SITE)
    restored.close()


def test_a_lost_ephemeral_store_is_an_early_erasure_and_is_named(
    vault: Vault, place: Place
) -> None:
    recording = begin(vault)
    segment = write(vault, recording, MEDIA)
    vault.close()
    shutil.rmtree(place.ephemeral)
    again = place.open()
    assert again.lost_keys() == ["m1"]
    assert again.check() == [f"recording-has-key {recording.id}"]
    with pytest.raises(KeyMissing):
        b"".join(again.read_segment(segment))
    with pytest.raises(KeyMissing):
        again.export_identities("m1", CUSTODIAN)
    assert erase_meeting(again, meeting(), T, "").segments == 1
    assert again.lost_keys() == []
    again.close()


@pytest.mark.parametrize("how", ["changed", "cut", "longer", "gone"])
def test_a_damaged_segment_is_named_and_never_gives_wrong_bytes(vault: Vault, how: str) -> None:
    recording = begin(vault)
    segment = write(vault, recording, MEDIA)
    data = bytearray(segment.path.read_bytes())
    if how == "changed":
        data[len(data) // 2] ^= 1
    elif how == "cut":
        del data[-10:]
    else:
        data += b"x"
    if how == "gone":
        segment.path.unlink()
    else:
        segment.path.write_bytes(data)
    with pytest.raises(SegmentCorrupted) as caught:
        b"".join(vault.read_segment(segment))
    assert caught.value.placeholders == {"segment": segment.id}
    assert vault.damaged() == ["m1"]
    assert bool(vault.check()) == (how != "changed")


def test_gaps_and_segments_say_up_to_when_all_is_accounted_for(vault: Vault) -> None:
    recording = begin(vault)
    assert vault.covered_until(recording.id) == T
    write(vault, recording, MEDIA)
    assert vault.covered_until(recording.id) == T + timedelta(seconds=6)
    gap = Gap(
        recording_id=recording.id,
        start=T + timedelta(seconds=6),
        end=T + timedelta(seconds=9),
        cause=GapCause.STALLED,
        lost_packets=3,
    )
    vault.add_gap(gap)
    assert vault.gaps(recording.id) == [gap]
    assert vault.covered_until(recording.id) == T + timedelta(seconds=9)
    with pytest.raises(KeyMissing):
        vault.covered_until("nobody")
    with pytest.raises(KeyMissing):
        vault.segment_writer("nobody", T)
    vault.end_recording("nobody", T)


def test_meetings_and_holds_come_back_as_they_were(vault: Vault, place: Place) -> None:
    hold = Hold(id="h", kind=HoldKind.LEGAL, reason="dnr 4", created=T, review_date=T)
    done = Hold(
        id="g",
        kind=HoldKind.THREAT,
        reason="",
        created=T,
        review_date=T,
        released=T,
        release_reason="mistake",
    )

    one = replace(meeting("m9", MeetingState.HELD), holds=(done, hold), booking_key="u\n")
    vault.save_meeting(one)
    vault.close()
    again = place.open()
    assert again.meetings() == [one]
    again.close()


def test_the_command_looks_in_and_opens_held_keys(
    vault: Vault, place: Place, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    recording = begin(vault)
    write(vault, recording, MEDIA)
    vault.hold_meeting("m1")
    assert main(["inspect", str(place.folder)]) == 0
    assert recording.id in capsys.readouterr().out
    key = tmp_path / "custodian.txt"
    key.write_text(f"# created today\n{CUSTODIAN}\n")
    assert main(["export", str(place.held), "--identity", str(key)]) == 0
    assert "AGE-SECRET-KEY-1" in capsys.readouterr().out
    key.write_text(f"{SITE}\n")
    assert main(["export", str(place.held), "--identity", str(key)]) == 1
    key.write_text("nothing\n")
    assert main(["export", str(place.held), "--identity", str(key)]) == 1
    assert "identity_invalid" in capsys.readouterr().err
    assert main(["inspect", str(tmp_path / "nowhere")]) == 1
    (tmp_path / "index.db").write_bytes(b"not a database" * 100)
    assert main(["inspect", str(tmp_path)]) == 1
    assert main(["export", str(place.held), "--identity", str(tmp_path / "no")]) == 1


def test_a_folder_that_cannot_be_used_says_so(tmp_path: Path) -> None:
    (tmp_path / "vault").write_text("a file in the way")
    with pytest.raises(VaultUnwritable):
        Place(tmp_path).open()
    (tmp_path / "vault").unlink()
    (tmp_path / "cache").write_text("")
    with pytest.raises(VaultUnwritable):
        Place(tmp_path).open()


@pytest.mark.parametrize("name", ["vault/index.db", "cache/ephemeral-keys.db"])
def test_a_damaged_store_is_named_and_left_alone(place: Place, name: str) -> None:
    place.open().close()
    rubbish = b"not a database, " * 1000
    (place.root / name).write_bytes(rubbish)
    with pytest.raises(StoreError):
        place.open()
    assert (place.root / name).read_bytes() == rubbish


def test_a_newer_versions_index_is_not_touched(place: Place) -> None:
    place.open().close()
    db = sqlite3.connect(place.folder / "index.db")
    db.execute("PRAGMA user_version = 99")
    db.close()
    with pytest.raises(StoreError):
        place.open()


def test_a_closed_vault_refuses(place: Place) -> None:
    vault = place.open()
    vault.close()
    vault.close()
    for work in (vault.meetings, vault.lost_keys):
        with pytest.raises(StoreError):
            work()
    with pytest.raises(StoreError):
        vault.save_meeting(meeting())
    with pytest.raises(StoreError):
        vault.has_key("r")


def test_files_are_for_their_owner_only(vault: Vault, place: Place) -> None:
    segment = write(vault, begin(vault), MEDIA)
    for path in (segment.path, place.ephemeral / "ephemeral-keys.db", place.held / "held-keys.db"):
        assert path.stat().st_mode & 0o077 == 0


def test_secrets_have_no_repr() -> None:
    assert "abc" not in repr(Wraps({Holder("site", "1"): b"abc"}))


def test_what_clocks_did_is_kept_counted_and_goes_with_its_recording(
    vault: Vault, place: Place
) -> None:
    recording = begin(vault)
    first = write(vault, recording, b"a")
    for kind, seconds in (("camera_offset", -3600.5), ("host_step", 7.0), ("host_step", -2.0)):
        event = ClockEvent(recording_id=recording.id, at=T, kind=kind, seconds=seconds)
        vault.add_clock_event(event)
    writer = vault.segment_writer(recording.id, T + timedelta(seconds=6))
    writer.write(b"b")
    known = replace(
        summary(6),
        clock_offset_s=-3600.4,
        clock_offset_start_s=-3600.5,
        drift_ppm=12.0,
        clock_uncertainty_s=0.01,
        clock_source="rtcp",
    )
    writer.close(known)
    events = vault.clock_events(recording.id)
    assert (events[0].kind, events[0].seconds) == ("camera_offset", -3600.5)
    before, after = vault.segments(recording.id)
    assert before == first
    assert (before.host_steps, after.host_steps) == (0, 2)
    assert (after.drift_ppm, after.clock_source) == (12.0, "rtcp")
    assert after.clock_offset_start_s == -3600.5
    assert wall_time(before, 2.0, events) == T + timedelta(seconds=7)
    assert wall_time(after, 3.0, events) == T + timedelta(seconds=9)
    assert len(inspect(place.root / "vault")["segment_clock"]) == 2
    erase_meeting(vault, meeting(), T, "G-7")
    found = inspect(place.root / "vault")
    assert found["segment_clock"] == found["clock_event"] == []


def test_segments_stay_in_the_order_of_recording_when_our_clock_is_set_back(vault: Vault) -> None:
    recording = begin(vault)
    for start in (T, T + timedelta(minutes=1), T - timedelta(minutes=5)):
        writer = vault.segment_writer(recording.id, start)
        writer.write(MEDIA)
        writer.close(replace(summary(), start=start, end=start + timedelta(minutes=1)))
    starts = [segment.start for segment in vault.segments(recording.id)]
    assert starts == [T, T + timedelta(minutes=1), T - timedelta(minutes=5)]


def test_a_hold_or_release_that_was_broken_off_is_settled_at_the_next_start(
    vault: Vault, place: Place
) -> None:
    recording = begin(vault)
    vault.hold_meeting("m1")  # The index never heard of it.
    vault.recover()
    held = KeyStore(place.held / "held-keys.db")
    held.open()
    assert held.ids() == frozenset()
    hold = Hold(
        id="h1", kind=HoldKind.THREAT, reason="", created=T, review_date=T + timedelta(days=1)
    )
    vault.save_meeting(replace(meeting(), holds=(hold,)))  # Its keys were never copied.
    vault.recover()
    assert held.ids() == {recording.id}
    vault.recover()
    assert held.ids() == {recording.id}
    held.close()
    assert recording.id in vault.export_identities("m1", CUSTODIAN)
