"""Pages: walked by their keys they give exactly what a whole list would, in order."""

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from roomwitness.policy.words import MeetingState
from roomwitness.vault import listing
from roomwitness.vault.index import Index
from roomwitness.vault.store import Vault

from .conftest import Place, T, begin, erase_meeting, meeting

STATES = [MeetingState.REVIEW, MeetingState.HELD, MeetingState.ERASED]


@pytest.fixture(scope="module")
def index(tmp_path_factory: pytest.TempPathFactory) -> Index:
    made = Index(tmp_path_factory.mktemp("index") / "index.db", lambda *_: Path())
    made.open()
    for number in range(60):
        found = meeting(f"m{number:02}", STATES[number % 3])
        when = T + timedelta(minutes=number // 4)  # Four at the same time.
        made.save_meeting(replace(found, room_id=f"r{number % 2}", planned_start=when))
    return made


def walk(page: Callable[..., listing.Page[Any]], **words: Any) -> list[Any]:
    rows: list[Any] = []
    after = None
    while True:
        found = page(after=after, **words)
        rows += found.rows
        if found.next is None:
            return rows
        after = found.next


@given(
    room=st.sampled_from([None, "r0", "r1", "none"]),
    states=st.sets(st.sampled_from(STATES)),
    since=st.none() | st.integers(0, 16),
    before=st.none() | st.integers(0, 16),
    limit=st.integers(1, 70),
)
def test_meetings_page_by_page(
    index: Index,
    room: str | None,
    states: set[MeetingState],
    since: int | None,
    before: int | None,
    limit: int,
) -> None:
    first, last = (
        None if minute is None else T + timedelta(minutes=minute) for minute in (since, before)
    )
    found = walk(
        lambda **words: listing.meetings(index, **words),
        room_id=room,
        states=sorted(states),
        since=first,
        before=last,
        limit=limit,
    )
    expected = [
        m.id
        for m in sorted(index.meetings(), key=lambda m: (m.planned_start, m.id), reverse=True)
        if (room is None or m.room_id == room)
        and (not states or m.state in states)
        and (first is None or m.planned_start >= first)
        and (last is None or m.planned_start < last)
    ]
    assert [row.id for row in found] == expected


def test_recordings_and_receipts_page_by_page(vault: Vault, place: Place) -> None:
    for number in range(7):
        begin(vault, f"m{number}")
    recordings = walk(lambda **w: listing.recordings(vault.index, **w), camera_id="c1", limit=3)
    assert sorted(r.id for r in recordings) == sorted(r.id for r in vault.index.recordings())
    assert listing.recordings(vault.index, camera_id="c2").rows == ()
    for number in range(5):
        erase_meeting(vault, meeting(f"m{number}"), T + timedelta(hours=number), "G-7")
    receipts = walk(lambda **w: listing.receipts(vault.index, **w), room_id="r1", limit=2)
    assert receipts == vault.receipts()[::-1]
    assert vault.last_receipts() == receipts[:1]
    later = T + timedelta(hours=3)
    assert len(listing.receipts(vault.index, since=later, limit=0).rows) == 1
    assert len(listing.receipts(vault.index, before=later).rows) == 3


def test_no_page_reads_what_it_does_not_show(index: Index) -> None:
    """SQLite answers each combination from one index, without sorting or scanning."""
    seen: list[str] = []
    rows = index.rows

    def spy(sql: str, *values: object) -> list[tuple[Any, ...]]:
        plan = rows(f"EXPLAIN QUERY PLAN {sql}", *values)
        seen.extend(str(row[3]) for row in plan)
        return rows(sql, *values)

    index.rows = spy  # type: ignore[method-assign]
    try:
        for words in (
            {},
            {"room_id": "r0"},
            {"states": [MeetingState.HELD]},
            {"room_id": "r0", "states": [MeetingState.HELD]},
            {"room_id": "r0", "since": T, "after": (T.timestamp(), "m")},
        ):
            listing.meetings(index, **words)  # type: ignore[arg-type]
        listing.recordings(index)
        listing.recordings(index, camera_id="c")
        listing.receipts(index)
        listing.receipts(index, room_id="r0")
    finally:
        del index.rows  # type: ignore[method-assign]
    assert seen
    for step in seen:
        assert "USING INDEX" in step or "USING COVERING INDEX" in step, step
        assert "TEMP B-TREE" not in step, step


@given(st.floats(allow_nan=False), st.text(st.characters(codec="utf-8", exclude_characters=":")))
def test_a_key_is_read_as_it_was_written(time: float, name: str) -> None:
    assert listing.read_key(listing.write_key((time, name))) == (time, name)


@pytest.mark.parametrize("text", ["", "1.5", "x:y"])
def test_what_is_no_key_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"key|float"):
        listing.read_key(text)
