"""A kill at any instant loses nothing that was flushed, and never brings back what was erased."""

import errno
import os
import signal
import subprocess
import sys
from datetime import timedelta
from pathlib import Path

import pytest

from roomwitness import files
from roomwitness.vault import Recording, age
from roomwitness.vault.errors import KeyMissing, VaultFull
from roomwitness.vault.store import Vault

from .conftest import CUSTODIAN, SITE, Place, T, begin, erase_meeting, killed_at, meeting, summary

LIB = Path(__file__).parents[3] / "lib"
LATE = timedelta(seconds=2)  # The first pictures came so late, which is known only afterwards.
PIECE = bytes(range(256)) * 120  # 30 KiB: two flushes to a chunk.


def all_media(vault: Vault, recording: Recording) -> bytes:
    return b"".join(b"".join(vault.read_segment(s)) for s in vault.segments(recording.id))


def write_two(place: Place, recording_id: str, progress: Path) -> None:
    vault = place.open()
    with progress.open("wb", buffering=0) as told:
        for second in (0, 10):
            began = T + timedelta(seconds=second)
            writer = vault.segment_writer(recording_id, began + LATE)
            for _ in range(3):
                writer.write(PIECE)
                writer.flush(began)
                told.write(b".")
            writer.close(summary(second))


def test_killed_anywhere_while_writing(place: Place) -> None:
    """Each touch of a file in turn is where the writer dies."""
    progress = place.root / "progress"
    step, died = 0, True
    while died:
        vault = place.open()
        recording = begin(vault, f"m{step}")
        vault.close()
        progress.write_bytes(b"")
        died = killed_at(step, write_two, place, recording.id, progress)
        promised = progress.stat().st_size * len(PIECE)
        vault = place.open()
        vault.recover()
        found = all_media(vault, recording)
        assert len(found) >= promised
        assert found == PIECE * (len(found) // len(PIECE))
        starts = [segment.start for segment in vault.segments(recording.id)]
        assert starts == [T, T + timedelta(seconds=10)][: len(starts)], "as was known by then"
        assert vault.recover() == []
        vault.end_recording(recording.id, T + timedelta(minutes=1))
        assert vault.check() == []
        vault.close()
        step += 1
    assert step > 20, "the writer touches more files than that"


def erase(place: Place, meeting_id: str) -> None:
    vault = place.open()
    erase_meeting(vault, meeting(meeting_id), T, "d")
    vault.close()


def test_killed_anywhere_while_erasing(place: Place) -> None:
    step, died = 0, True
    while died:
        meeting_id = f"m{step}"
        vault = place.open()
        recording = begin(vault, meeting_id)
        writer = vault.segment_writer(recording.id, T)
        writer.write(PIECE)
        segment = writer.close(summary())
        vault.hold_meeting(meeting_id)
        vault.close()
        died = killed_at(step, erase, place, meeting_id)
        vault = place.open()
        vault.recover()
        receipt = erase_meeting(vault, meeting(meeting_id), T, "d")
        assert not segment.path.exists()
        with pytest.raises(KeyMissing):
            b"".join(vault.read_segment(segment))
        assert [r for r in vault.receipts() if r.meeting_id == meeting_id] == [receipt]
        assert vault.export_identities(meeting_id, CUSTODIAN) == {}
        vault.close()
        step += 1
    assert step > 5


def test_sigkill_from_outside_in_full_flow(tmp_path: Path) -> None:
    """The real signal at an arbitrary moment of a real process that writes as fast as it can."""
    script = """
import sys
from datetime import UTC, datetime
from pathlib import Path
from roomwitness.vault import age
from roomwitness.vault.store import Vault
root, site, recipient, recording = Path(sys.argv[1]), *sys.argv[2:]
vault = Vault(root / "vault", root / "cache", root / "held", age.Identity.from_string(site),
              (age.Recipient.from_string(recipient),))
vault.open()
writer = vault.segment_writer(recording, datetime.now(UTC))
while True:
    writer.write(bytes(5000)); writer.flush(); print(".", end="", flush=True)
"""
    place = Place(tmp_path)
    for pause in (0.01, 0.05, 0.12):
        vault = place.open()
        recording = begin(vault, f"m{pause}")
        vault.close()
        with subprocess.Popen(
            [
                sys.executable,
                "-c",
                script,
                str(tmp_path),
                str(SITE),
                str(CUSTODIAN.recipient),
                recording.id,
            ],
            stdout=subprocess.PIPE,
            env={**os.environ, "PYTHONPATH": str(LIB)},
        ) as child:
            assert child.stdout is not None
            child.stdout.read(3)
            try:
                child.wait(pause)
            except subprocess.TimeoutExpired:
                child.send_signal(signal.SIGKILL)
            promised = 5000 * (3 + len(child.stdout.read()))
        vault = place.open()
        (recovered,) = vault.recover()
        assert recovered.recording_id == recording.id
        (segment,) = vault.segments(recording.id)
        assert segment.recovered
        assert len(all_media(vault, recording)) >= promised
        vault.close()


class FullDisk:
    """Writes fail with ENOSPC once so many bytes were written."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, room: int) -> None:
        self.room = room
        self._write, self._pwrite = os.write, os.pwrite
        monkeypatch.setattr(files.os, "write", self)
        monkeypatch.setattr(files.os, "pwrite", self)

    def __call__(self, fd: int, data: bytes, *at: int) -> int:
        if self.room <= 0:
            raise OSError(errno.ENOSPC, "No space left on device")
        some = bytes(data)[: self.room]
        written = self._pwrite(fd, some, *at) if at else self._write(fd, some)
        self.room -= written
        return written


@pytest.mark.parametrize("room", [0, 100, 40_000, 70_000, 140_000, 200_000])
def test_a_full_disk_keeps_what_was_flushed(
    place: Place, monkeypatch: pytest.MonkeyPatch, room: int
) -> None:
    vault = place.open()
    recording = begin(vault)
    flushed = 0
    with monkeypatch.context() as patch:
        FullDisk(patch, room)
        while True:
            try:
                if not flushed:
                    writer = vault.segment_writer(recording.id, T)
                writer.write(PIECE)
                writer.flush()
            except VaultFull:
                break
            flushed += len(PIECE)
        if flushed:
            writer.abort()
    vault.make_whole(recording.id)
    assert len(all_media(vault, recording)) >= flushed
    vault.close()


@pytest.mark.parametrize("min_free", [0, 100_000])
def test_a_really_full_disk(small_disk: Path, min_free: int) -> None:
    """A file system of its own, filled up: the index, the keys and what was flushed survive."""
    small = Place(small_disk)
    vault = small.open(min_free)
    recording = begin(vault)
    flushed = 0
    writer = vault.segment_writer(recording.id, T)
    try:
        while flushed < 2_000_000:
            writer.write(PIECE)
            writer.flush()
            flushed += len(PIECE)
    except VaultFull:
        writer.abort()
    vault.close()
    vault = small.open()
    vault.recover()
    assert vault.has_key(recording.id)
    # There is no room to seal it again yet: it waits as it is, and erasure works all the same.
    assert erase_meeting(vault, meeting(), T, "").recordings == 1
    other = begin(vault, "m2")
    writer = vault.segment_writer(other.id, T)
    writer.write(PIECE)
    writer.close(summary())
    assert all_media(vault, other) == PIECE
    vault.close()
    assert 0 < flushed < 1_000_000


def test_metadata_is_made_whole_after_a_kill_as_its_segment_is(place: Place) -> None:
    vault = place.open()
    recording = begin(vault)
    writer = vault.segment_writer(recording.id, T, metadata=True)
    writer.write(b"line\n")
    writer.flush()
    vault.close()  # And nothing more: as after a kill.
    vault = place.open()
    assert len(vault.recover()) == 1
    (found,) = vault.metadata(recording.id)
    assert (b"".join(vault.read_segment(found)), found.recovered) == (b"line\n", True)
    assert vault.segments(recording.id) == []
    vault.end_recording(recording.id, T + timedelta(minutes=1))
    assert vault.check() == []
    vault.close()


def test_a_loss_of_power_may_take_the_tail_or_the_end_but_not_the_rest(place: Place) -> None:
    """What no kill can do: of what was written only the beginning reached the disk."""
    text = os.urandom(3 * age.CHUNK)
    for name, tail, cut, expected in (
        ("none", None, 0, 2 * age.CHUNK),
        ("empty", b"", 0, 2 * age.CHUNK),
        ("short", b"keep", 100, age.CHUNK),
    ):
        vault = place.open()
        recording = begin(vault, name)
        writer = vault.segment_writer(recording.id, T)
        writer.write(text)
        writer.flush()
        vault.close()
        (part,) = place.folder.rglob("*.part")
        os.truncate(part, part.stat().st_size - cut)
        (path,) = place.folder.rglob("*.tail")
        if tail is None:
            path.unlink()
        elif not tail:
            path.write_bytes(tail)
        vault = place.open()
        assert len(vault.recover()) == 1
        assert all_media(vault, recording) == text[:expected]
        vault.end_recording(recording.id, T + timedelta(minutes=1))
        assert vault.check() == []
        vault.close()


def test_damage_is_no_loss_of_power_and_stays_to_be_seen(place: Place) -> None:
    vault = place.open()
    recording = begin(vault)
    writer = vault.segment_writer(recording.id, T)
    writer.write(bytes(3 * age.CHUNK))
    writer.flush()
    vault.close()
    (part,) = place.folder.rglob("*.part")
    data = bytearray(part.read_bytes())
    data[-1] ^= 1
    part.write_bytes(data)
    vault = place.open()
    assert vault.recover() == []
    vault.end_recording(recording.id, T + timedelta(minutes=1))
    assert {line.split()[0] for line in vault.check()} == {"file-has-row"}
    assert part.read_bytes() == data
    vault.close()
