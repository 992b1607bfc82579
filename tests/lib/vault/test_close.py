"""A check before a meeting works in a thread of its own, which nobody can stop at the end."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from roomwitness.vault.errors import StoreError
from roomwitness.vault.index import Index
from roomwitness.vault.keys import KeyStore


def _index(path: Path) -> Index:
    return Index(path, lambda *_: path)


@pytest.mark.parametrize(
    ("made", "used"), [(KeyStore, KeyStore.ids), (_index, lambda index: index.rows("SELECT 1"))]
)
def test_nothing_is_closed_while_another_thread_uses_it(
    made: Callable[[Path], Any], used: Callable[[Any], object], tmp_path: Path
) -> None:
    """Else SQLite ends the process with a segmentation fault."""
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
