"""Backups that somebody took: which of them still carry a custodians' wrap of what was erased.

While a meeting is held its custodians' wrap lies where every backup takes it. A backup taken
between the hold and the wrap's end keeps that wrap until the backup itself is gone. The wrap may
outlive the hold, if the disk does not let it go, and our clock may be set in between: so it is
also noted when wraps are seen there, at every backup's begin and end among others.
"""

from collections.abc import Iterable, Mapping, Sequence, Set
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from roomwitness.policy.words import Meeting

from .index import Index

# A backup's date is its begin: one that began so long before a hold may have copied its wrap.
_LONGEST_COPY = timedelta(hours=2)
# A backup that has begun and is not listed yet goes by this name.
BEING_MADE = "being-made"
# Who has a backup of which an older version noted only that it is there; never answers.
_SOMEBODY = ""


@dataclass(frozen=True, slots=True)
class Copy:
    """A backup, by the id that its maker gave it."""

    id: str
    taken: datetime


@dataclass(frozen=True, slots=True)
class Listed:
    """A backup that there is: when it was begun, and who (an agent of Home Assistant) has it."""

    taken: datetime
    agents: frozenset[str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Listing:
    """What a look at the backups gave, by id; only the agents that ``answered`` could be asked.

    ``settled`` says that each backup that was made before the look would be in it.
    """

    found: Mapping[str, Listed]
    answered: frozenset[str]
    settled: bool = False


def still_with(had: Set[str], here: Set[str], answered: Set[str]) -> frozenset[str]:
    """Who has a backup: whoever shows it now, and whoever had it and was not asked since.

    An agent may be missing for a start, an expired login or for good: nobody destroyed its copy.
    """
    return frozenset(here | (had - answered - ({_SOMEBODY} if here else set())))


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


def note(index: Index, listing: Listing, now: datetime) -> None:
    """Take the backups that there are; one is gone when everybody who had it says so.

    One that is there is there, whatever somebody answered for.
    """
    with index.change() as db:
        db.executemany(
            "INSERT INTO copy (id, taken) VALUES (?, ?) ON CONFLICT (id) DO UPDATE SET gone = NULL,"
            " confirmed = 0",
            [(name, listed.taken.timestamp()) for name, listed in listing.found.items()],
        )
        had: dict[str, set[str]] = {}
        for name, agent in db.execute("SELECT copy, agent FROM copy_agent"):
            had.setdefault(name, set()).add(agent)
        for (name,) in db.execute("SELECT id FROM copy WHERE gone IS NULL").fetchall():
            before, listed = had.get(name, set()), listing.found.get(name)
            here = listed.agents if listed is not None else frozenset[str]()
            after = still_with(before, here, listing.answered)
            change = "INSERT INTO copy_agent VALUES (?, ?)"
            db.executemany(change, [(name, agent) for agent in after - before])
            change = "DELETE FROM copy_agent WHERE copy = ? AND agent = ?"
            db.executemany(change, [(name, agent) for agent in before - after])
            if listed is None and not after:
                db.execute("UPDATE copy SET gone = ? WHERE id = ?", (now.timestamp(), name))


def confirm_gone(index: Index, names: list[str], now: datetime) -> None:
    """Somebody answers for it that these backups are destroyed."""
    with index.change() as db:
        db.executemany(
            "UPDATE copy SET gone = ?, confirmed = 1 WHERE id = ?",
            [(now.timestamp(), name) for name in names],
        )


def of_meeting(
    index: Index, meeting: Meeting, now: datetime, begun: Sequence[datetime] = ()
) -> list[Copy]:
    """The backups that carry a meeting's wrap, oldest first; ``begun`` are being made."""
    watched = index.rows("SELECT first, last FROM wrap_seen WHERE meeting = ?", meeting.id)
    times = [time for row in watched for time in row]
    found: set[Copy] = set()
    for hold in meeting.holds:
        span = [*times, hold.created.timestamp(), (hold.released or now).timestamp()]
        first, last = min(span) - _LONGEST_COPY.total_seconds(), max(span)
        rows = index.rows(
            "SELECT id, taken FROM copy WHERE gone IS NULL AND taken BETWEEN ? AND ?", first, last
        )
        found |= {Copy(row[0], datetime.fromtimestamp(row[1], UTC)) for row in rows}
        found |= {Copy(BEING_MADE, time) for time in begun if first <= time.timestamp() <= last}
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
