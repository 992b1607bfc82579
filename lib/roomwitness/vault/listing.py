"""Lists that begin anywhere: a page is read by its key, whatever the index's size.

Newest first. ``after`` is the key of the last row seen (``Page.next``); an index of migrations.py
answers each combination of filters, so that no page reads what it does not show.
"""

import heapq
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import islice
from typing import Any

from roomwitness.policy.words import MeetingState

from .index import Index, read_recording
from .receipts import read_receipt
from .records import Receipt, Recording

type Key = tuple[float, str]
MAX_PAGE = 500


@dataclass(frozen=True, slots=True)
class Row:
    """A meeting in a list: enough to choose by."""

    id: str
    room_id: str
    state: MeetingState
    planned_start: float
    started: float | None
    ended: float | None
    deadline: float | None


@dataclass(frozen=True, slots=True)
class Page[T]:
    """Some rows, and the key to go on after; None at the end."""

    rows: tuple[T, ...]
    next: Key | None


_MEETING = "SELECT id, room, state, planned_start, started, ended, deadline FROM meeting"


def meetings(
    index: Index,
    *,
    room_id: str | None = None,
    states: Sequence[MeetingState] = (),
    since: datetime | None = None,
    before: datetime | None = None,
    after: Key | None = None,
    limit: int = 50,
) -> Page[Row]:
    """Meetings, the newest planned first."""
    pages = [
        _select(
            index,
            _MEETING,
            "planned_start",
            {"room": room_id, "state": state},
            (since, before, after),
            limit,
        )
        for state in (states or (None,))
    ]
    merged = heapq.merge(*pages, key=lambda row: (row[3], row[0]), reverse=True)
    rows = tuple(
        Row(row[0], row[1], MeetingState(row[2]), *row[3:]) for row in islice(merged, _size(limit))
    )
    last = rows[-1] if len(rows) == _size(limit) else None
    return Page(rows, (last.planned_start, last.id) if last else None)


def recordings(
    index: Index,
    *,
    camera_id: str | None = None,
    since: datetime | None = None,
    before: datetime | None = None,
    after: Key | None = None,
    limit: int = 50,
) -> Page[Recording]:
    """Recordings that are not erased, the newest first."""
    found = _select(
        index,
        "SELECT * FROM recording",
        "started",
        {"camera": camera_id},
        (since, before, after),
        limit,
    )
    rows = tuple(map(read_recording, found))
    last = rows[-1] if len(rows) == _size(limit) else None
    return Page(rows, (last.started.timestamp(), last.id) if last else None)


def receipts(
    index: Index,
    *,
    room_id: str | None = None,
    since: datetime | None = None,
    before: datetime | None = None,
    after: Key | None = None,
    limit: int = 50,
) -> Page[Receipt]:
    """Receipts, the newest first."""
    found = _select(
        index,
        "SELECT * FROM receipt",
        "erased_at",
        {"room": room_id},
        (since, before, after),
        limit,
    )
    rows = tuple(map(read_receipt, found))
    last = rows[-1] if len(rows) == _size(limit) else None
    return Page(rows, (last.erased_at.timestamp(), last.id) if last else None)


def _size(limit: int) -> int:
    return max(1, min(limit, MAX_PAGE))


def _select(
    index: Index,
    select: str,
    time: str,
    equal: dict[str, str | None],
    span: tuple[datetime | None, datetime | None, Key | None],
    limit: int,
) -> list[tuple[Any, ...]]:
    """One page; every name here is ours, every value a parameter."""
    since, before, after = span
    where = [f"{name} = ?" for name, value in equal.items() if value is not None]
    values: list[object] = [value for value in equal.values() if value is not None]
    if since is not None:
        where.append(f"{time} >= ?")
        values.append(since.timestamp())
    if before is not None:
        where.append(f"{time} < ?")
        values.append(before.timestamp())
    if after is not None:
        where.append(f"({time}, id) < (?, ?)")
        values += after
    chosen = f" WHERE {' AND '.join(where)}" if where else ""
    order = f" ORDER BY {time} DESC, id DESC LIMIT ?"
    return index.rows(select + chosen + order, *values, _size(limit))


def write_key(key: Key) -> str:
    """A key as text that a person may be given."""
    return f"{key[0]!r}:{key[1]}"


def read_key(text: str) -> Key:
    """The key again.

    Raises:
        ValueError: it is not one.
    """
    time, separator, name = text.partition(":")
    if not separator:
        raise ValueError("not a key")
    return float(time), name
