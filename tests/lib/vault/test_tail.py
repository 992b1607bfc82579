"""The tail of an open segment: what was kept last is there, whatever a kill left half written."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from roomwitness.vault import age
from roomwitness.vault.errors import AgeFormatError, KeyMissing
from roomwitness.vault.tail import Kept, Tail, kept

ME = age.generate_identity()
SIZES = st.integers(1, 300) | st.integers(1, age.CHUNK)


BEGAN = datetime(2026, 11, 2, 9, 0, 0, 123456, tzinfo=UTC)


def texts(sizes: list[int]) -> list[Kept]:
    """Each flush has another offset, another text, and knows better when it began."""
    return [
        Kept(number << 16, bytes((number + 1,)) * size, BEGAN - timedelta(microseconds=number))
        for number, size in enumerate(sizes)
    ]


def keep(tail: Tail, what: Kept) -> None:
    tail.keep(what.offset, memoryview(what.pending), what.start)


def write(path: Path, found: list[Kept]) -> list[bytes]:
    """The file after each flush."""
    path.unlink(missing_ok=True)
    tail, after = Tail(path, ME.recipient), []
    for what in found:
        keep(tail, what)
        after.append(path.read_bytes())
    tail.close()
    return after


@given(st.lists(SIZES, min_size=1, max_size=4), st.data())
@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_a_kill_in_the_middle_of_a_flush_costs_only_that(
    tmp_path: Path, sizes: list[int], data: st.DataObject
) -> None:
    path, wrote = tmp_path / "a.tail", texts(sizes)
    after = write(path, wrote)
    assert kept(path, ME) == wrote[:-3:-1]
    before = after[-2] if len(after) > 1 else b""
    done = data.draw(st.integers(0, len(after[-1])))
    # A write goes from its first byte on: what it had not reached is as it was.
    path.write_bytes(after[-1][:done] + before[done:])
    newest = next(iter(kept(path, ME)), None)
    assert newest in (wrote[-2] if len(after) > 1 else None, wrote[-1])


@given(st.integers(0, 200), st.integers(1, 255), st.integers(1, 2))
@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_what_was_changed_is_never_given(
    tmp_path: Path, at: int, change: int, flushes: int
) -> None:
    path, wrote = tmp_path / "a.tail", texts([150] * flushes)
    changed = bytearray(write(path, wrote)[-1])
    changed[at - 200 - 1] ^= change  # Somewhere in the last slot, or before it.
    path.write_bytes(changed)
    try:
        found = kept(path, ME)
    except AgeFormatError:
        return
    assert all(one in wrote for one in found)


def test_a_damaged_tail_is_told_and_nobody_else_opens_it(tmp_path: Path) -> None:
    path = tmp_path / "a.tail"
    whole = write(path, texts([100]))[-1]
    path.write_bytes(whole[:-1] + bytes((whole[-1] ^ 1,)))
    with pytest.raises(AgeFormatError):
        kept(path, ME)
    path.write_bytes(whole)
    with pytest.raises(KeyMissing):
        kept(path, age.generate_identity())


def test_nothing_of_a_text_is_readable_in_the_file(tmp_path: Path) -> None:
    text = b"what the camera saw" * 50
    (after,) = write(tmp_path / "a.tail", [Kept(0, text, BEGAN)])
    assert text[:19] not in after


def test_a_disk_that_fails_keeps_what_was_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, (first, second, third) = tmp_path / "a.tail", texts([500, 700, 600])
    tail = Tail(path, ME.recipient)

    def broken(_fd: int, _data: memoryview, _offset: int) -> int:
        raise OSError(5, "")

    with monkeypatch.context() as patch:
        patch.setattr(
            "roomwitness.files.os.write", lambda _fd, _data: broken(0, memoryview(b""), 0)
        )
        with pytest.raises(OSError, match="5"):
            keep(tail, first)
    keep(tail, first)
    with monkeypatch.context() as patch:
        patch.setattr("roomwitness.files.os.pwrite", broken)
        with pytest.raises(OSError, match="5"):
            keep(tail, second)
    assert kept(path, ME) == [first]
    keep(tail, third)
    assert kept(path, ME) == [third, first]
    tail.close()
    tail.close()
