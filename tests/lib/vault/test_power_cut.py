"""A power cut leaves of each page what was there or what was written: never a wrong byte is given,
and all that was synced."""

from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from roomwitness import files
from roomwitness.vault import Recording, age
from roomwitness.vault.store import Vault
from roomwitness.vault.tail import _SLOT, _SLOTS

from .conftest import Place, T, begin

_PAGE = 4096


def text(size: int) -> bytes:
    """No piece of it is like another."""
    return b"".join(number.to_bytes(4) for number in range(size // 4 + 1))[:size]


def open_files(place: Place) -> tuple[Path, Path]:
    (part,), (tail,) = place.folder.rglob("*.part"), place.folder.rglob("*.tail")
    return part, tail


def left(place: Place, recording: Recording) -> bytes | None:
    """What is given of the open segment; None if it is left as it is."""
    vault = place.open()
    vault.recover()
    try:
        segments = vault.segments(recording.id)
        return b"".join(vault.read_segment(segments[0])) if segments else None
    finally:
        vault.close()


def written(vault: Vault, sizes: list[int]) -> Recording:
    recording = begin(vault)
    writer, whole = vault.segment_writer(recording.id, T), text(sum(sizes))
    at = 0
    for size in sizes:
        writer.write(whole[at : at + size])
        writer.flush()
        at += size
    vault.close()
    return recording


@given(
    st.lists(st.integers(1, 2 * age.CHUNK), min_size=1, max_size=5),
    st.lists(st.integers(1, 2 * age.CHUNK), max_size=4),
    st.data(),
)
@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_all_that_was_synced_is_there_and_nothing_else_than_was_written(
    tmp_path_factory: pytest.TempPathFactory,
    synced: list[int],
    later: list[int],
    data: st.DataObject,
) -> None:
    place = Place(tmp_path_factory.mktemp("place"))
    vault = place.open()
    recording = begin(vault)
    writer, whole, at = vault.segment_writer(recording.id, T), text(sum(synced + later)), 0
    before = b"", b""
    for number, size in enumerate(synced + later):
        writer.write(whole[at : at + size])
        writer.flush()
        at += size
        if number == len(synced) - 1:
            before = tuple(path.read_bytes() for path in writer.open_files)
    vault.close()
    part, tail = open_files(place)
    # Pages reach a file's end in order; what it is already longer by may be zeros yet.
    wrote = part.read_bytes()
    reached = data.draw(st.integers(len(before[0]), len(wrote)), "part")
    zeros = data.draw(st.integers(0, len(wrote) - reached), "zeros")
    part.write_bytes(wrote[:reached] + bytes(zeros))
    # Pages of the tail are written in place, in any order.
    old, new = before[1].ljust(len(tail.read_bytes()), b"\0"), bytearray(tail.read_bytes())
    pages = range(0, len(new), _PAGE)
    for page in data.draw(st.sets(st.sampled_from(pages)), "pages that were not written"):
        new[page : page + _PAGE] = old[page : page + _PAGE]
    tail.write_bytes(new)
    found = left(place, recording)
    chunks = (sum(synced) - 1) // age.CHUNK * age.CHUNK
    assert whole.startswith(found or b"")
    assert found is not None or chunks == 0
    assert len(found or b"") >= chunks
    if not later:
        assert found == whole


def test_a_tail_that_is_ahead_of_its_chunks_gives_way_to_the_one_before(place: Place) -> None:
    """The newest flush reached the disk, and the chunk before it did not."""
    recording = written(place.open(), [age.CHUNK + 500, age.CHUNK])
    part, _ = open_files(place)
    part.write_bytes(part.read_bytes()[: -(age.CHUNK + 16)])
    assert left(place, recording) == text(age.CHUNK + 500)


def test_a_tail_that_nobody_can_read_costs_what_waited_for_its_chunk(place: Place) -> None:
    recording = written(place.open(), [2 * age.CHUNK + 500])
    _, tail = open_files(place)
    tail.write_bytes(tail.read_bytes()[:_SLOTS] + b"x" * 2 * _SLOT)
    assert left(place, recording) == text(2 * age.CHUNK)


@pytest.mark.parametrize("zeros", [0, 2 * age.CHUNK])
def test_a_tail_without_the_chunks_before_it_is_kept(place: Place, zeros: int) -> None:
    """Nothing plays it as it is; but it is not ours to throw away."""
    recording = written(place.open(), [2 * age.CHUNK + 500])
    part, tail = open_files(place)
    whole, before = part.read_bytes(), tail.read_bytes()
    part.write_bytes(whole[: len(whole) - 2 * (age.CHUNK + 16)] + bytes(zeros))
    assert left(place, recording) is None
    assert tail.read_bytes() == before


def test_a_tail_that_nobody_can_read_is_kept_where_it_is_all_there_is(place: Place) -> None:
    recording = written(place.open(), [500])
    _, tail = open_files(place)
    tail.write_bytes(tail.read_bytes()[:-1] + b"x")
    damaged = tail.read_bytes()
    assert left(place, recording) is None
    assert tail.read_bytes() == damaged


@pytest.mark.parametrize("follows", [b"", b"x"])
def test_zeros_at_the_end_were_never_written(place: Place, follows: bytes) -> None:
    """Zeros between what was written are damage: what is behind them would be lost with them."""
    recording = written(place.open(), [3 * age.CHUNK + 500])
    part, tail = open_files(place)
    whole = part.read_bytes()
    tail.unlink()
    page = len(whole) - age.CHUNK
    part.write_bytes(whole[:page] + bytes(age.CHUNK) + bytes(3 * age.CHUNK) + follows)
    assert left(place, recording) == (None if follows else text(2 * age.CHUNK))
    assert part.exists() is bool(follows)


def test_a_file_that_is_gone_cannot_be_synced(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        files.sync(tmp_path / "gone")
