"""Look into a vault from outside, read-only: nothing is created, migrated or repaired."""

import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import Any

from . import age
from .errors import KeyMissing, StoreError

_TABLES = (
    "meeting",
    "hold",
    "hold_text",
    "recording",
    "segment",
    "gap",
    "clock_event",
    "segment_clock",
    "receipt",
)


@contextmanager
def _read_only(path: Path) -> Iterator[sqlite3.Connection]:
    if not path.is_file():
        raise StoreError("no such store here")
    try:
        with closing(sqlite3.connect(f"{path.resolve().as_uri()}?mode=ro", uri=True)) as db:
            db.row_factory = sqlite3.Row
            yield db
    except sqlite3.DatabaseError:
        raise StoreError("the store cannot be read") from None


def inspect(vault: Path) -> dict[str, list[dict[str, Any]]]:
    """Every row of the index, by table; times are Unix seconds.

    Raises:
        StoreError: there is no readable index.
    """
    with _read_only(vault / "index.db") as db:
        return {
            table: [dict(row) for row in db.execute(f"SELECT * FROM {table}")]  # noqa: S608 (a constant)
            for table in _TABLES
        }


def export_identities(
    stores: Sequence[Path], custodian: age.AnyIdentity
) -> tuple[dict[str, str], frozenset[str]]:
    """Identity of each recording in these key stores, for ``age -d -i``; and those it opens not.

    Raises:
        StoreError: there is no readable key store.
        KeyMissing: this custodian's identity opens none of them.
    """
    rows = []
    for path in stores:
        with _read_only(path) as db:
            rows += db.execute(
                "SELECT recording, file FROM wrap WHERE kind = 'custodian' ORDER BY recording, key"
            ).fetchall()
    found: dict[str, str] = {}
    for recording, file in rows:
        if recording not in found:
            with suppress(KeyMissing):  # Another custodian's.
                found[recording] = age.decrypt(file, [custodian]).decode()
    if rows and not found:
        raise KeyMissing("this identity opens no recording here")
    return found, frozenset(row[0] for row in rows) - found.keys()
