"""The check before a meeting fails where its start would be refused."""

from dataclasses import replace
from datetime import timedelta

import pytest

from roomwitness.capture import StreamSource
from roomwitness.policy.words import RoomPolicy
from roomwitness.witness import RoomConfig, Witness

from .house import House, booking
from .test_space import HALF_AN_HOUR, SetFree, free

__all__ = ["free"]

HOUR = 3600
GB = 10**9
POLICY = RoomPolicy(review_window=timedelta(hours=1), preflight_lead=timedelta(0))


@pytest.fixture
def rooms(house: House) -> tuple[RoomConfig, ...]:
    """Rooms with one camera each that nobody reaches: only the disk is asked about."""
    source = StreamSource("rtsp://127.0.0.1:9/none")
    return tuple(house.room(source, policy=POLICY, room_id=name) for name in ("r1", "r2", "r3"))


async def lacks(witness: Witness, room: str) -> dict[str, tuple[str, str]]:
    return {
        p.key: (p.placeholders["needed"], p.placeholders["free"])
        for p in await witness.preflight(room)
        if p.key in ("disk_short", "quota_short")
    }


async def test_two_rooms_at_one_hour_that_do_not_fit_together_are_both_told(
    house: House, free: SetFree, rooms: tuple[RoomConfig, ...]
) -> None:
    free(19 * GB // 10)
    witness = await house.started(*rooms)
    same = [booking(HOUR, 2 * HOUR)]
    await witness.reconcile("r1", same)
    assert await lacks(witness, "r1") == {}
    await witness.reconcile("r2", same)
    for room in ("r1", "r2"):
        assert await lacks(witness, room) == {"disk_short": ("1.8", "0.1")}
    free(36 * GB // 10)
    for room in ("r1", "r2"):
        assert await lacks(witness, room) == {}
    await witness.stop()


async def test_who_begins_first_is_promised_it_and_what_is_erased_by_then_is_free(
    house: House, free: SetFree, rooms: tuple[RoomConfig, ...]
) -> None:
    free(19 * GB // 10)
    witness = await house.started(*rooms)
    await witness.reconcile("r1", [booking(HOUR, 2 * HOUR)])
    await witness.reconcile("r2", [booking(HOUR + 60, 2 * HOUR + 60)])
    await witness.reconcile("r3", [booking(3 * HOUR + 120, 4 * HOUR)])
    assert await lacks(witness, "r1") == {}
    assert await lacks(witness, "r2") == {"disk_short": ("1.8", "0.1")}
    assert await lacks(witness, "r3") == {}, "both are erased by then"
    await witness.stop()


async def test_what_runs_is_promised_and_the_last_bytes_are_kept_back(
    house: House, free: SetFree, rooms: tuple[RoomConfig, ...]
) -> None:
    free(18 * GB // 10)
    witness = await house.started(rooms[0], replace(rooms[1], calendar_bound=False))
    await witness.reconcile("r1", [booking(600, HOUR + 600)])
    assert await lacks(witness, "r1") == {}
    free(18 * GB // 10 - 1)
    assert await lacks(witness, "r1") == {"disk_short": ("1.8", "1.8")}
    free(27 * GB // 10)
    await witness.start_meeting("r2")
    assert await lacks(witness, "r1") == {}
    free(27 * GB // 10 - 1)
    assert await lacks(witness, "r1") == {"disk_short": ("1.8", "1.8")}
    await witness.stop()


async def test_the_rooms_own_limit_is_looked_at(
    house: House, free: SetFree, rooms: tuple[RoomConfig, ...]
) -> None:
    free(100 * GB)
    tight = replace(rooms[0], quota_bytes=HALF_AN_HOUR - 1)
    witness = await house.started(tight, *rooms[1:])
    await witness.reconcile("r1", [booking(HOUR, 2 * HOUR)])
    await witness.reconcile("r2", [booking(HOUR, 2 * HOUR)])
    assert await lacks(witness, "r1") == {"quota_short": ("0.9", "0.9")}
    assert await lacks(witness, "r2") == {}
    await witness.set_rooms([replace(tight, quota_bytes=HALF_AN_HOUR)])
    assert await lacks(witness, "r1") == {}
    await witness.start_meeting("r1")
    assert await lacks(witness, "r1") == {"quota_short": ("0.9", "0.0")}
    await witness.stop()
