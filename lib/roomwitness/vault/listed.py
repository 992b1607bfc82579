"""Recordings' files and holds as the index lists them, to be held against the custody log."""

import sqlite3
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

from .errors import StoreError
from .records import file_name

type Rows = Callable[..., Iterable[tuple[Any, ...]]]
"""Gives what a query with these values gives, as ``Index.rows``."""
type Listed = tuple[str, str, bool, list[tuple[str, int, str]]]
"""A recording's id, its meeting's, whether it ended; of each file name, bytes and SHA-256."""


def listed(rows: Rows) -> Iterator[Listed]:
    """Give each recording that is not erased."""
    for recording, meeting, ended in list(rows("SELECT id, meeting, ended FROM recording")):
        files = rows("SELECT id, bytes, sha256 FROM segment WHERE recording = ?", recording)
        yield (
            recording,
            meeting,
            ended is not None,
            [(file_name(identifier), size, digest) for identifier, size, digest in files],
        )


def open_holds(rows: Rows) -> frozenset[str]:
    """Give the ids of the holds that are not released, of meetings that are not erased."""
    found = rows(
        "SELECT hold.id FROM hold JOIN meeting ON meeting.id = hold.meeting"
        " WHERE released IS NULL AND state <> 'erased'"
    )
    return frozenset(str(row[0]) for row in found)


def held_recordings(rows: Rows) -> frozenset[str]:
    """Give the ids of the recordings of meetings with an open hold."""
    found = rows(
        "SELECT recording.id FROM recording JOIN hold ON hold.meeting = recording.meeting"
        " WHERE hold.released IS NULL"
    )
    return frozenset(str(row[0]) for row in found)


def listed_in(root: Path) -> list[Listed]:
    """Give the recordings of the vault in this folder, from outside, read-only.

    Raises:
        StoreError: the index is missing or cannot be read.
    """
    return _read(root, lambda rows: list(listed(rows)))


def holds_in(root: Path) -> frozenset[str]:
    """Give the open holds of the vault in this folder; as ``listed_in``."""
    return _read(root, open_holds)


def held_in(root: Path) -> frozenset[str]:
    """Give the recordings with an open hold of the vault in this folder; as ``listed_in``."""
    return _read(root, held_recordings)


def _read[T](root: Path, what: Callable[[Rows], T]) -> T:
    try:
        uri = f"{(root / 'index.db').resolve().as_uri()}?mode=ro"
        with closing(sqlite3.connect(uri, uri=True)) as db:
            return what(lambda sql, *values: db.execute(sql, values))
    except sqlite3.DatabaseError:
        raise StoreError("the index cannot be read") from None
