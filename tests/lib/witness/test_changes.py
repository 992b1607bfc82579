"""Many changes at once are told a room at a time, and nobody is told twice or forgotten."""

import asyncio
from typing import Any

import pytest

from roomwitness.witness.changes import Changes


@pytest.fixture
def changes() -> Changes:
    return Changes()


async def turn() -> None:
    await asyncio.sleep(0)


async def test_one_room_in_each_turn_and_then_once_the_whole(changes: Changes) -> None:
    told: list[str] = []
    changes.subscribe(told.append, lambda: told.append("settled"))
    changes.of("r1", "r2")
    changes.of("r1")
    changes.of("r3")
    assert told == []  # Whoever changed something is never called back from within.
    expected = ["r1", "r2", "r3", "settled"]
    for number in range(1, 5):
        await turn()
        assert told == expected[:number]
    await turn()
    assert told == expected


async def test_a_room_that_changes_while_it_is_told_of_is_told_of_again(changes: Changes) -> None:
    told: list[str] = []

    def changed(room_id: str) -> None:
        if not told:
            changes.of(room_id)
        told.append(room_id)

    changes.subscribe(changed, lambda: told.append("settled"))
    changes.of("r1")
    for _ in range(5):
        await turn()
    assert told == ["r1", "r1", "settled"]


async def test_the_site_alone(changes: Changes) -> None:
    told: list[str] = []
    changes.subscribe(told.append)
    changes.subscribe(told.append, lambda: told.append("settled"))
    changes.of()
    changes.of()
    await turn()
    await turn()
    assert told == ["settled"]


async def test_a_listener_that_fails_keeps_nothing_from_the_others(changes: Changes) -> None:
    told: list[str] = []
    failures: list[dict[str, Any]] = []
    asyncio.get_running_loop().set_exception_handler(lambda _loop, what: failures.append(what))

    def changed(room_id: str) -> None:
        told.append(room_id)
        if room_id == "r1":
            raise ValueError

    changes.subscribe(changed, lambda: told.append("settled"))
    changes.of("r1", "r2")
    for _ in range(4):
        await turn()
    assert told == ["r1", "r2", "settled"]
    assert [type(failure["exception"]) for failure in failures] == [ValueError]


async def test_who_left_is_told_no_more(changes: Changes) -> None:
    told: list[str] = []
    leave = changes.subscribe(told.append, lambda: told.append("settled"))
    changes.of("r1", "r2")
    await turn()
    leave()
    await turn()
    await turn()
    assert told == ["r1"]


async def test_who_waits_for_it_finds_everybody_told(changes: Changes) -> None:
    told: list[str] = []
    changes.subscribe(told.append, lambda: told.append("settled"))
    await changes.told()
    assert told == []
    changes.of("r1", "r2")
    await changes.told()
    assert told == ["r1", "r2", "settled"]
