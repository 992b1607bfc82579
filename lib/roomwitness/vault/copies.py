"""Backups that somebody took: which of them still carry a custodians' wrap of what was erased.

While a meeting is held its custodians' wrap lies where every backup takes it. A backup taken
between the hold and the wrap's end keeps that wrap until the backup itself is gone. The wrap may
outlive the hold, if the disk does not let it go, and our clock may be set in between: so it is
also noted when wraps are seen there, at every backup's begin and end among others.
"""

from collections.abc import Iterable, Mapping
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


def seen(index: Index, recordings: Iterable[str], now: datetime) -> None:
    """The wraps of these recordings lie now where backups take them."""
    rows = [(now.timestamp(), now.timestamp(), name) for name in recordings]
    if not rows:
        return
    with index.change() as db:
        db.executemany(
            "INSERT INTO wrap_seen SELECT meeting, ?, ? FROM recording WHERE id = ?"
            " ON CONFLICT (meeting) DO UPDATE SET first = min(first, excluded.first),"
            " last = max(last, excluded.last)",
            rows,
        )


def note(index: Index, found: Mapping[str, datetime], now: datetime, *, complete: bool) -> None:
    """Take the backups that there are; ``complete`` says that those not named are gone.

    One that is there is there, whatever somebody answered for.
    """
    with index.change() as db:
        db.executemany(
            "INSERT INTO copy (id, taken) VALUES (?, ?) ON CONFLICT (id) DO UPDATE SET gone = NULL,"
            " confirmed = 0",
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
    """Somebody answers for it that these backups are destroyed."""
    with index.change() as db:
        db.executemany(
            "UPDATE copy SET gone = ?, confirmed = 1 WHERE id = ?",
            [(now.timestamp(), name) for name in names],
        )


def of_meeting(index: Index, meeting: Meeting, now: datetime) -> list[Copy]:
    """The backups that carry a meeting's wrap, oldest first."""
    watched = index.rows("SELECT first, last FROM wrap_seen WHERE meeting = ?", meeting.id)
    times = [time for row in watched for time in row]
    found: set[Copy] = set()
    for hold in meeting.holds:
        span = [*times, hold.created.timestamp(), (hold.released or now).timestamp()]
        rows = index.rows(
            "SELECT id, taken FROM copy WHERE gone IS NULL AND taken BETWEEN ? AND ?",
            min(span) - _LONGEST_COPY.total_seconds(),
            max(span),
        )
        found |= {Copy(row[0], datetime.fromtimestamp(row[1], UTC)) for row in rows}
    return sorted(found, key=lambda copy: (copy.taken, copy.id))


# As ``of_meeting``, of all that is erased: every hold of it is released, but for a damaged index.
_OF_ERASED = """
SELECT id, taken FROM copy WHERE gone IS NULL AND EXISTS (
    SELECT 1 FROM hold JOIN meeting ON meeting.id = hold.meeting
    LEFT JOIN wrap_seen ON wrap_seen.meeting = hold.meeting
    WHERE meeting.state = 'erased' AND copy.taken BETWEEN
        min(created, coalesce(released, created), coalesce(first, created)) - ?
        AND max(created, coalesce(released, created), coalesce(last, created))
) ORDER BY taken, id
"""


def of_erased(index: Index) -> list[Copy]:
    """The backups that carry a wrap of any erased meeting, oldest first."""
    rows = index.rows(_OF_ERASED, _LONGEST_COPY.total_seconds())
    return [Copy(row[0], datetime.fromtimestamp(row[1], UTC)) for row in rows]
