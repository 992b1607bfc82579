"""What is closed is done with: whatever thread still wants it, and for the system's memory."""

import ctypes
import mmap
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from roomwitness.vault import age
from roomwitness.vault.errors import StoreError
from roomwitness.vault.index import Index
from roomwitness.vault.keys import KeyStore

from .conftest import Place, begin, write


def _index(path: Path) -> Index:
    return Index(path, lambda *_: path)


@pytest.mark.parametrize(
    ("made", "used"), [(KeyStore, KeyStore.ids), (_index, lambda index: index.rows("SELECT 1"))]
)
def test_nothing_is_closed_while_another_thread_uses_it(
    made: Callable[[Path], Any], used: Callable[[Any], object], tmp_path: Path
) -> None:
    """A check before a meeting has one that nobody can stop at the end: else SQLite ends the
    process with a segmentation fault."""
    store = made(tmp_path / "store.db")
    store.open()
    real, alone = store._db, []

    class Connection:
        def close(self) -> None:
            alone.append(store._lock.locked())
            real.close()

    store._db = Connection()
    store.close()
    assert alone == [True]
    with pytest.raises(StoreError):
        used(store)


def test_a_sealed_segment_takes_no_memory_of_the_systems(place: Place) -> None:
    """64 cameras fill Home Assistant's with what nobody reads, 2 GB a minute."""
    vault = place.open()
    data = bytes(age.CHUNK * 20)
    other = place.root / "other"
    with other.open("wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
        os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
    if _in_memory(other):
        pytest.skip("this file system is nowhere but in memory")
    segment = write(vault, begin(vault), data)
    vault.close()
    assert _in_memory(segment.path) == 0
    assert len(segment.path.read_bytes()) > len(data)
    assert _in_memory(segment.path) > len(data), "what was read is there"


def _in_memory(path: Path) -> int:
    """Bytes of a file that the system keeps in memory (mincore(2))."""
    with path.open("r+b") as file, mmap.mmap(file.fileno(), 0) as view:
        pages = (ctypes.c_ubyte * -(-len(view) // mmap.PAGESIZE))()
        start = ctypes.addressof(ctypes.c_char.from_buffer(view))
        if ctypes.CDLL(None).mincore(ctypes.c_void_p(start), ctypes.c_size_t(len(view)), pages):
            raise OSError("mincore")
        return mmap.PAGESIZE * sum(page & 1 for page in pages)
