"""Holds in the index; what people wrote as reasons stands apart, and goes with the meeting.

``secure_delete`` overwrites what is deleted, but SQLite leaves copies of rows between a page's
cells when it moves them from page to page. So reasons have a table of their own, which is emptied
and filled again with what stays whenever one goes: of a table that is emptied whole each page is
overwritten (SQLite's OP_Clear, which needs a table without foreign keys and triggers).
"""

import sqlite3
from typing import Any

from roomwitness.policy.words import Hold, HoldKind, Meeting, MeetingState

from .times import maybe, put, time_of

# Of each hold, by meeting and in order; ``{}`` chooses.
SELECT = (
    "SELECT hold.meeting, hold.id, kind, coalesce(reason, ''), created, review_date, released,"
    " release_reason, placed_by, release_asked, release_asked_by, release_ask_reason, review_reason"
    " FROM hold LEFT JOIN hold_text ON hold_text.hold = hold.id {} ORDER BY hold.meeting, place"
)
_STAYS = (
    "SELECT hold_text.* FROM hold_text JOIN hold ON hold.id = hold_text.hold"
    " JOIN meeting ON meeting.id = hold.meeting WHERE state <> 'erased'"
)


def read_hold(row: tuple[Any, ...]) -> Hold:
    """A row of ``SELECT``; its first column is the meeting's id."""
    return Hold(
        id=row[1],
        kind=HoldKind(row[2]),
        reason=row[3],
        created=time_of(row[4]),
        review_date=time_of(row[5]),
        released=maybe(row[6]),
        release_reason=row[7],
        placed_by=row[8],
        release_asked=maybe(row[9]),
        release_asked_by=row[10],
        release_ask_reason=row[11],
        review_reason=row[12],
    )


def put_holds(db: sqlite3.Connection, m: Meeting) -> None:
    """Replace a meeting's holds; an erased one's reasons are for ``forget_reasons``."""
    live = m.state is not MeetingState.ERASED
    if live:
        mine = "WHERE hold IN (SELECT id FROM hold WHERE meeting = ?)"
        db.execute(f"DELETE FROM hold_text {mine}", (m.id,))  # noqa: S608
    db.execute("DELETE FROM hold WHERE meeting = ?", (m.id,))
    db.executemany(
        "INSERT INTO hold VALUES (?,?,?,?,?,?,?,?,?,?)",
        [
            (
                h.id,
                m.id,
                place,
                h.kind,
                h.created.timestamp(),
                h.review_date.timestamp(),
                put(h.released),
                h.placed_by,
                put(h.release_asked),
                h.release_asked_by,
            )
            for place, h in enumerate(m.holds)
        ],
    )
    if live:
        db.executemany(
            "INSERT INTO hold_text VALUES (?,?,?,?,?)",
            [
                (h.id, h.reason, h.release_reason, h.release_ask_reason, h.review_reason)
                for h in m.holds
            ],
        )


def forget_reasons(db: sqlite3.Connection) -> bool:
    """Overwrite the reasons of what is erased; whether there were any.

    The write-ahead log may still have them (``Index.fold``).
    """
    stays = db.execute(_STAYS).fetchall()
    if db.execute("SELECT count(*) FROM hold_text").fetchone()[0] == len(stays):
        return False
    db.execute("DELETE FROM hold_text")
    db.executemany("INSERT INTO hold_text VALUES (?,?,?,?,?)", stays)
    return True
