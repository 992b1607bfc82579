"""Backups that somebody took: which of them still carry a custodians' wrap of what was erased.

While a meeting is held its custodians' wrap lies where every backup takes it. A backup taken
between the hold and its release keeps that wrap until the backup itself is gone.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from roomwitness.policy.words import Meeting

from .index import Index

# A backup's date is its begin: one that began so long before a hold may have copied its wrap.
_LONGEST_COPY = timedelta(hours=2)


@dataclass(frozen=True, slots=True)
class Copy:
    """A backup, by the id that its maker gave it."""

    id: str
    taken: datetime


def note(index: Index, found: Mapping[str, datetime], now: datetime, *, complete: bool) -> None:
    """Take the backups that there are; ``complete`` says that those not named are gone."""
    with index.change() as db:
        db.executemany(
            "INSERT INTO copy (id, taken) VALUES (?, ?) ON CONFLICT (id) DO UPDATE SET gone = NULL"
            " WHERE NOT confirmed",
            [(name, taken.timestamp()) for name, taken in found.items()],
        )
        if complete:
            gone = [
                (now.timestamp(), row[0])
                for row in db.execute("SELECT id FROM copy WHERE gone IS NULL").fetchall()
                if row[0] not in found
            ]
            db.executemany("UPDATE copy SET gone = ? WHERE id = ?", gone)


def confirm_gone(index: Index, names: list[str], now: datetime) -> None:
    """Somebody answers for it that these backups are destroyed, or will be."""
    with index.change() as db:
        db.executemany(
            "UPDATE copy SET gone = ?, confirmed = 1 WHERE id = ?",
            [(now.timestamp(), name) for name in names],
        )


def of_meeting(index: Index, meeting: Meeting, now: datetime) -> list[Copy]:
    """The backups that carry a meeting's wrap, oldest first."""
    found: set[Copy] = set()
    for hold in meeting.holds:
        rows = index.rows(
            "SELECT id, taken FROM copy WHERE gone IS NULL AND taken BETWEEN ? AND ?",
            (hold.created - _LONGEST_COPY).timestamp(),
            (hold.released or now).timestamp(),
        )
        found |= {Copy(row[0], datetime.fromtimestamp(row[1], UTC)) for row in rows}
    return sorted(found, key=lambda copy: (copy.taken, copy.id))


def of_erased(index: Index) -> list[Copy]:
    """The backups that carry a wrap of any erased meeting, oldest first."""
    rows = index.rows(
        "SELECT id, taken FROM copy WHERE gone IS NULL AND EXISTS (SELECT 1 FROM hold"
        " JOIN meeting ON meeting.id = hold.meeting WHERE meeting.state = 'erased'"
        " AND copy.taken BETWEEN hold.created - ? AND hold.released) ORDER BY taken, id",
        _LONGEST_COPY.total_seconds(),
    )
    return [Copy(row[0], datetime.fromtimestamp(row[1], UTC)) for row in rows]
