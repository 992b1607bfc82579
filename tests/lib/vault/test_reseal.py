"""When a segment that a kill left open ended: at its last flush, however late it is made whole."""

import os
from contextlib import nullcontext
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from roomwitness.vault import Recording
from roomwitness.vault.errors import IndexBusy, SegmentCorrupted, VaultFull
from roomwitness.vault.index import Index
from roomwitness.vault.store import Vault

from .conftest import Place, T, begin, summary

FLUSHED = T + timedelta(seconds=30)
PIECE = bytes(range(256)) * 120


def left_open(vault: Vault) -> Recording:
    recording = begin(vault)
    writer = vault.segment_writer(recording.id, T)
    writer.write(PIECE)
    writer.flush()
    return recording


def changed(path: Path, at: datetime) -> None:
    os.utime(path, (at.timestamp(), at.timestamp()))


@pytest.mark.parametrize("broken", [VaultFull, IndexBusy])
@pytest.mark.parametrize("tail", [True, False])
def test_a_recovery_that_is_broken_off_before_the_row_changes_no_time(
    place: Place, monkeypatch: pytest.MonkeyPatch, broken: type[Exception], tail: bool
) -> None:
    vault = place.open()
    recording = left_open(vault)
    vault.close()
    (open_part,) = place.folder.rglob("*.part")
    (open_tail,) = place.folder.rglob("*.tail")
    changed(open_part, FLUSHED if not tail else T)
    changed(open_tail, FLUSHED)

    def fails(*_: object) -> None:
        raise broken

    vault = place.open()
    with monkeypatch.context() as patch:
        patch.setattr(Index, "add_segment", fails)
        assert vault.recover() == []
    vault.close()
    assert list(place.folder.rglob("*.age")), "the file is whole, and not listed"
    if not tail:
        open_tail.unlink()  # As a loss of power may.
    vault = place.open()
    assert len(vault.recover()) == 1
    (segment,) = vault.segments(recording.id)
    assert (segment.start, segment.end, segment.recovered) == (T, FLUSHED, True)
    assert segment.media_seconds == 30
    assert vault.covered_until(recording.id) == FLUSHED, "what follows is a gap"
    assert b"".join(vault.read_segment(segment)) == PIECE
    vault.close()


@pytest.mark.parametrize("damaged", [False, True])
def test_a_segment_that_was_sealed_and_not_listed_is_no_recovered_one(
    place: Place, monkeypatch: pytest.MonkeyPatch, damaged: bool
) -> None:
    vault = place.open()
    recording = begin(vault)
    writer = vault.segment_writer(recording.id, T)
    writer.write(PIECE)
    with monkeypatch.context() as patch:
        patch.setattr(Index, "add_segment", lambda *_: (_ for _ in ()).throw(VaultFull()))
        with pytest.raises(VaultFull):
            writer.close(summary())
    (tail,) = place.folder.rglob("*.tail")
    changed(tail, FLUSHED)
    vault.close()
    if damaged:
        (sealed,) = place.folder.rglob("*.age")
        sealed.write_bytes(sealed.read_bytes()[:-1] + b"x")
    vault = place.open()
    assert len(vault.recover()) == 1
    (segment,) = vault.segments(recording.id)
    assert (segment.start, segment.end, segment.recovered) == (T, FLUSHED, False)
    with pytest.raises(SegmentCorrupted) if damaged else nullcontext():
        assert b"".join(vault.read_segment(segment)) == PIECE
    vault.close()
