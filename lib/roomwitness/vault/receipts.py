"""Receipts in the index: kept in exchange for what was erased."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from .index import Index
from .records import Receipt

# Newest receipt of each room, by jumps from room to room in ``receipt_by_room``.
_LAST = """
WITH RECURSIVE room (name) AS (
    SELECT min(room) FROM receipt
    UNION ALL SELECT (SELECT min(room) FROM receipt WHERE room > name) FROM room
    WHERE name IS NOT NULL
)
SELECT receipt.* FROM room JOIN receipt ON receipt.id = (
    SELECT id FROM receipt WHERE room = name ORDER BY erased_at DESC, id DESC LIMIT 1
)
"""


@dataclass(frozen=True, slots=True)
class Sizes:
    """What the index lists of a meeting: its recordings' ids, its segments and their bytes."""

    recordings: tuple[str, ...]
    segments: int
    bytes: int


def sizes(index: Index, meeting_id: str) -> Sizes:
    """What there is to erase of a meeting."""
    rows = index.rows(
        "SELECT recording.id, count(segment.id), coalesce(sum(segment.bytes), 0) FROM recording"
        " LEFT JOIN segment ON segment.recording = recording.id WHERE recording.meeting = ?"
        " GROUP BY recording.id ORDER BY recording.started, recording.id",
        meeting_id,
    )
    return Sizes(tuple(r[0] for r in rows), sum(r[1] for r in rows), sum(r[2] for r in rows))


def receive(index: Index, receipts: Sequence[tuple[Receipt, str | None]]) -> None:
    """Exchange meetings' recordings, segments and gaps for receipts, in one transaction.

    Of their holds kinds and times stay, no reasons. The meetings become erased by the same: a kill
    leaves both or neither. ``str`` is the file.
    """
    mine = "IN (SELECT id FROM recording WHERE meeting = ?)"
    with index.change() as db:
        for r, file in receipts:
            erased_at = r.erased_at.timestamp()
            db.execute(
                "INSERT INTO receipt VALUES (?,?,?,?,?,?,?,?,?)",
                (
                    r.id,
                    r.meeting_id,
                    r.room_id,
                    erased_at,
                    r.method,
                    r.decision,
                    r.recordings,
                    r.segments,
                    r.bytes,
                ),
            )
            if file is not None:
                db.execute("INSERT INTO receipt_file VALUES (?,?)", (r.id, file))
            db.execute(f"DELETE FROM segment WHERE recording {mine}", (r.meeting_id,))  # noqa: S608
            db.execute(f"DELETE FROM gap WHERE recording {mine}", (r.meeting_id,))  # noqa: S608
            db.execute("DELETE FROM recording WHERE meeting = ?", (r.meeting_id,))
            db.execute(
                "UPDATE meeting SET state = 'erased', erased = ? WHERE id = ?",
                (erased_at, r.meeting_id),
            )
        index.forget_reasons(db)


def receipts(index: Index) -> list[Receipt]:
    """All receipts, oldest first."""
    return [read_receipt(row) for row in index.rows("SELECT * FROM receipt ORDER BY erased_at")]


def receipt_of(index: Index, meeting_id: str) -> Receipt | None:
    """The receipt of a meeting's erasure."""
    rows = index.rows("SELECT * FROM receipt WHERE meeting = ?", meeting_id)
    return read_receipt(rows[0]) if rows else None


def last_receipts(index: Index) -> list[Receipt]:
    """The newest receipt of each room."""
    return [read_receipt(row) for row in index.rows(_LAST)]


def stored_file(index: Index, name: str) -> str | None:
    """The signed file of a receipt, named by its own or its meeting's id."""
    rows = index.rows(
        "SELECT file FROM receipt_file WHERE receipt IN"
        " (SELECT id FROM receipt WHERE id = ?1 UNION SELECT id FROM receipt WHERE meeting = ?1)",
        name,
    )
    return str(rows[0][0]) if rows else None


def read_receipt(row: tuple[Any, ...]) -> Receipt:
    """A row of ``receipt``."""
    return Receipt(
        id=row[0],
        meeting_id=row[1],
        room_id=row[2],
        erased_at=datetime.fromtimestamp(row[3], UTC),
        method=row[4],
        decision=row[5],
        recordings=row[6],
        segments=row[7],
        bytes=row[8],
    )
