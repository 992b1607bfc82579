"""Who reports a threat looks at no page: what held nothing is told, what failed is tried again."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from roomwitness.custody import LogUnwritable
from roomwitness.errors import WitnessError
from roomwitness.policy.words import HoldKind
from roomwitness.witness import Problem, Witness
from roomwitness.witness.errors import LegalFileIncomplete, RoomIdle, RoomNotFound
from roomwitness.witness.presses import Presses

from .house import POLICY, House, now, until

WINDOW = replace(POLICY, review_window=timedelta(hours=1))


class Reporter:
    """Answers with these in turn: a meeting's id, or an error."""

    def __init__(self, *answers: str | Exception) -> None:
        self.answers = list(answers)
        self.tries = 0

    async def __call__(self) -> str:
        self.tries += 1
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if isinstance(answer, str):
            return answer
        raise answer


class Moment:
    def __init__(self) -> None:
        self.now = now()

    def __call__(self) -> datetime:
        return self.now


@pytest.fixture
def clock() -> Moment:
    return Moment()


@pytest.fixture
async def presses(clock: Moment) -> AsyncIterator[Presses]:
    found = Presses(lambda _room: None, clock)
    yield found
    await found.stop()


def keys(presses: Presses, room_id: str = "r1") -> list[tuple[str, str | None]]:
    return [(p.key, p.camera_id) for p in presses.problems(room_id)]


@pytest.mark.parametrize("error", [RoomIdle(), LegalFileIncomplete(fields="contact")])
async def test_nothing_to_hold_is_told_for_an_hour_and_to_the_caller(
    presses: Presses, clock: Moment, error: WitnessError
) -> None:
    for camera in (None, "c1"):
        with pytest.raises(type(error)):
            await presses.report(Reporter(error), "r1", camera)
    assert keys(presses) == [("threat_held_nothing", None), ("panic_held_nothing", "c1")]
    assert keys(presses, "r2") == []
    clock.now += timedelta(minutes=59, seconds=59)
    assert len(keys(presses)) == 2
    clock.now += timedelta(seconds=1)
    assert keys(presses) == []


async def test_what_is_held_later_ends_what_was_told_of_that_reporter(presses: Presses) -> None:
    for camera in (None, "c1"):
        with pytest.raises(RoomIdle):
            await presses.report(Reporter(RoomIdle()), "r1", camera)
    assert await presses.report(Reporter("m1"), "r1") == "m1"
    assert keys(presses) == [("panic_held_nothing", "c1")]


@pytest.mark.parametrize("error", [LogUnwritable(), OSError("gone")])
async def test_what_fails_is_raised_and_tried_again_until_it_is_held(
    presses: Presses, error: Exception
) -> None:
    reporter = Reporter(error, error, error, "m1")
    with pytest.raises(type(error)):
        await presses.report(reporter, "r1", again_s=0.001)
    await until(lambda: not presses._tasks)
    assert reporter.tries == 4
    assert keys(presses) == []


async def test_what_fails_for_five_minutes_is_told(presses: Presses) -> None:
    reporter = Reporter(LogUnwritable())
    with pytest.raises(LogUnwritable):
        await presses.report(reporter, "r1", again_s=0.001)
    await until(lambda: not presses._tasks)
    assert reporter.tries == 61
    assert keys(presses) == [("threat_held_nothing", None)]


async def test_what_fails_and_then_has_nothing_to_hold_is_told(presses: Presses) -> None:
    reporter = Reporter(LogUnwritable(), RoomIdle())
    with pytest.raises(LogUnwritable):
        await presses.report(reporter, "r1", again_s=0.001)
    await until(lambda: not presses._tasks)
    assert reporter.tries == 2
    assert keys(presses) == [("threat_held_nothing", None)]


async def test_a_room_that_is_not_there_is_not_tried_again(presses: Presses) -> None:
    with pytest.raises(RoomNotFound):
        await presses.report(Reporter(RoomNotFound()), "r1", again_s=0.001)
    assert (presses._tasks, keys(presses)) == (set(), [])


async def test_pressed_again_and_again_is_tried_in_one_go(presses: Presses) -> None:
    for _ in range(20):
        with pytest.raises(LogUnwritable):
            await presses.report(Reporter(LogUnwritable()), "r1", again_s=60)
    assert len(presses._tasks) == 1


async def test_the_stop_does_not_wait_for_what_is_tried_again(presses: Presses) -> None:
    with pytest.raises(LogUnwritable):
        await presses.report(Reporter(LogUnwritable()), "r1", again_s=600)
    async with asyncio.timeout(30):
        await presses.stop()
    assert presses._tasks == set()


@pytest.fixture
async def witness(tmp_path: Path) -> AsyncIterator[Witness]:
    house = House(tmp_path)
    found = await house.started(house.room(bound=False, policy=WINDOW))
    yield found
    await found.stop()


def problems(witness: Witness) -> list[Problem]:
    return [p for p in witness.problems() if p.key.endswith("held_nothing")]


async def test_a_press_that_holds_nothing_is_a_problem_of_the_room(witness: Witness) -> None:
    with pytest.raises(RoomIdle):
        await witness.report_threat("r1")
    assert problems(witness) == [Problem(key="threat_held_nothing", room_id="r1")]
    meeting = await witness.start_meeting("r1")
    assert await witness.report_threat("r1") == meeting
    assert problems(witness) == []


def refuse(*_: object, **__: object) -> None:
    raise LogUnwritable


async def test_a_press_that_the_disk_refuses_holds_what_it_was_about(
    witness: Witness, monkeypatch: pytest.MonkeyPatch
) -> None:
    witness.presses.again_s = 0.05
    meeting = await witness.start_meeting("r1")
    with monkeypatch.context() as patch:
        patch.setattr(witness._ledger, "apply", refuse)
        with pytest.raises(LogUnwritable):
            await witness.report_threat("r1", "u1")
    await until(lambda: witness.status("r1").evidence_held == 1)
    (hold,) = witness.meetings("r1")[0].open_holds
    assert (witness.meetings("r1")[0].id, hold.placed_by) == (meeting, "u1")


async def test_a_late_try_is_about_the_meeting_that_ran_when_it_was_pressed(
    witness: Witness,
) -> None:
    first = await witness.start_meeting("r1")
    pressed = now()
    await witness.stop_meeting("r1")
    second = await witness.start_meeting("r1")
    assert await witness._threats.report("r1", None, pressed) == first
    assert await witness._threats.report("r1") == second
    held = {m.id: len(m.open_holds) for m in witness.meetings("r1")}
    assert held == {first: 1, second: 1}


async def test_pressed_twice_after_the_meeting_is_held_and_no_problem(witness: Witness) -> None:
    meeting = await witness.start_meeting("r1")
    await witness.stop_meeting("r1")
    assert await witness.report_threat("r1") == meeting
    assert await witness.report_threat("r1") == meeting, "pressed again"
    assert problems(witness) == []


async def test_a_threat_after_a_meeting_that_is_held_for_another_reason_is_held_too(
    witness: Witness,
) -> None:
    earlier = await witness.start_meeting("r1")
    await witness.stop_meeting("r1")
    later = await witness.start_meeting("r1")
    await witness.stop_meeting("r1")
    await witness.holds.place(later, HoldKind.ACCESS_REQUEST, "dnr 1")
    assert await witness.report_threat("r1") == earlier, "what is not held goes before"
    assert await witness.report_threat("r1") == later
    kinds = {m.id: [h.kind for h in m.open_holds] for m in witness.meetings("r1")}
    assert kinds[later] == [HoldKind.ACCESS_REQUEST, HoldKind.THREAT]
