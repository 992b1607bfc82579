"""Recordings and holds as the index lists them, to be held against the custody log."""

import json
import sqlite3
from collections.abc import Callable, Iterable, Iterator, Set
from contextlib import closing
from pathlib import Path
from typing import Any

from .errors import StoreError
from .records import file_name

type Rows = Callable[..., Iterable[tuple[Any, ...]]]
"""Gives what a query with these values gives, as ``Index.rows``."""
type Files = list[tuple[str, int, str]]
"""Of each file name, bytes and SHA-256."""
type Listed = tuple[str, str, bool, Files, list[bytes]]
"""A recording's id, its meeting's, whether it ended; its files; its rows (``rows_of``)."""

# In this order; segments and clock events in that of their rows, which is that of what happened.
_SEGMENTS = (
    'SELECT id, start, "end", media_seconds, frames, lost_packets, recovered, clock_offset,'
    " offset_start, drift_ppm, uncertainty, source, host_steps"
    " FROM segment LEFT JOIN segment_clock ON segment = id"
    " WHERE recording = ? ORDER BY segment.rowid"
)
_GAPS = (
    'SELECT start, "end", cause, lost_packets FROM gap WHERE recording = ?'
    ' ORDER BY start, "end", cause, lost_packets'
)
_CLOCKS = "SELECT at, kind, seconds FROM clock_event WHERE recording = ? ORDER BY rowid"


def listed(rows: Rows) -> Iterator[Listed]:
    """Give each recording that is not erased."""
    for recording, meeting, ended in list(rows("SELECT id, meeting, ended FROM recording")):
        files, told = files_of(rows, recording), rows_of(rows, recording)
        yield recording, meeting, ended is not None, files, told


def files_of(rows: Rows, recording: str, without: Set[str] = frozenset()) -> Files:
    """Give a recording's files, but those of these segments."""
    return [
        (file_name(identifier), size, digest)
        for identifier, size, digest in rows(
            "SELECT id, bytes, sha256 FROM segment WHERE recording = ?", recording
        )
        if identifier not in without
    ]


def rows_of(rows: Rows, recording: str, without: Set[str] = frozenset()) -> list[bytes]:
    """Give what the index says of a recording besides its files, but of these segments.

    Each is a JSON array: the table's name, and the row's values as they are stored (times in Unix
    seconds); a number with a fraction is the shortest that reads back as the same double.
    """
    found: list[tuple[Any, ...]] = [
        ("recording", *row)
        for row in rows("SELECT camera, recipient, started FROM recording WHERE id = ?", recording)
    ]
    found += [("segment", *row) for row in rows(_SEGMENTS, recording) if row[0] not in without]
    found += [("gap", *row) for row in rows(_GAPS, recording)]
    found += [("clock_event", *row) for row in rows(_CLOCKS, recording)]
    return [json.dumps(row, separators=(",", ":")).encode() for row in found]


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
