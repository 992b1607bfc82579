"""Whatever one step of the upkeep meets, the others are taken, and the ticker goes on."""

import asyncio
import logging
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import replace
from datetime import timedelta

import pytest

from roomwitness.capture import StreamSource
from roomwitness.custody import CustodyLog, LogUnwritable
from roomwitness.policy.words import MeetingState
from roomwitness.recording.process import in_thread
from roomwitness.vault.errors import CustodiansUnusable, VaultFull
from roomwitness.witness import RoomConfig, Witness
from roomwitness.witness.tries import Tries

from .house import POLICY, House, booking, now, until

# Nobody answers there: what is recorded is a declared gap, with a key of its own.
NOWHERE = StreamSource("rtsp://127.0.0.1:9/stream", None, None, True)


@contextmanager
def unwritable_log() -> Iterator[None]:
    def refuse(*_: object, **__: object) -> None:
        raise LogUnwritable

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(CustodyLog, "append_all", refuse)
        yield


@asynccontextmanager
async def at_work(
    house: House, *rooms: RoomConfig, late: list[timedelta] | None = None
) -> AsyncIterator[Witness]:
    """``late`` is added to what the clock shows."""
    shift = late or [timedelta(0)]
    witness = Witness(house.config, clock=lambda: now() + shift[0], recording=in_thread)
    await witness.start()
    await witness.set_rooms(rooms)
    try:
        yield witness
    finally:
        await witness.stop()


def keys(house: House) -> frozenset[str]:
    vault = house.vault()
    try:
        return vault._ephemeral.ids()
    finally:
        vault.close()


async def test_a_log_that_cannot_be_written_keeps_nothing_from_being_erased(house: House) -> None:
    """Although a booking is due, and a meeting that ran should end."""
    shift = [timedelta(0)]
    rooms = [house.room(NOWHERE, room_id=name, bound=name != "r1") for name in ("r1", "r2", "r3")]
    async with at_work(house, *rooms, late=shift) as witness:
        await witness.reconcile("r3", [booking(-1, 600)])
        await witness.start_meeting("r1")
        (calm,) = {r.id for m in witness.meetings("r1") for r in witness._vault.recordings(m.id)}
        await witness.stop_meeting("r1")
        with unwritable_log():
            shift[0] = timedelta(minutes=20)
            with pytest.raises(LogUnwritable):
                await witness.reconcile("r2", [booking(1100, 1300)])
            await until(lambda: calm not in keys(house))
            assert keys(house), "of what runs there is one"
            await until(lambda: "log_unwritable" in told(witness))
        await until(lambda: witness.status("r1").last_receipt)
        await until(lambda: not told(witness))


def told(witness: Witness) -> set[str]:
    """What is wrong with us; that the camera does not answer is known."""
    return {p.key for p in witness.problems()} - {"camera_unreachable", "stream_silent"}


async def test_a_meeting_that_cannot_be_ended_is_told_and_counts_as_overdue(house: House) -> None:
    shift = [timedelta(0)]
    async with at_work(house, house.room(NOWHERE), late=shift) as witness:
        await witness.reconcile("r1", [booking(-1, 600)])
        assert witness.status("r1").state is MeetingState.RECORDING
        with unwritable_log():
            shift[0] = timedelta(seconds=630)
            await until(lambda: "log_unwritable" in told(witness))
            assert "meeting_not_ended" not in told(witness), "it may be a matter of a moment"
            assert witness.overdue() == 0
            shift[0] = timedelta(seconds=661)
            assert "meeting_not_ended" in told(witness)
            shift[0] = timedelta(seconds=663)
            assert witness.overdue() == witness.status("r1").overdue == 1
        await until(lambda: witness.overdue() == 0)
        await until(lambda: not told(witness))
        assert witness.status("r1").last_receipt


async def test_one_meeting_that_cannot_begin_keeps_no_other_from_it(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    policy = replace(POLICY, pre_roll=timedelta(seconds=15))
    rooms = [house.room(NOWHERE, room_id=name, policy=policy) for name in ("r1", "r2", "r3")]
    async with at_work(house, *rooms) as witness:
        recordings = witness._ledger.recordings
        real = recordings.begin

        def begin(*args: object) -> object:
            if getattr(args[0], "room_id", None) in {"r1", "r3"}:
                raise VaultFull
            return real(*args)  # type: ignore[arg-type]

        monkeypatch.setattr(recordings, "begin", begin)
        for room in ("r1", "r2"):
            with pytest.raises(VaultFull):
                await witness.reconcile(room, [booking(-1, 600)])
        (other,) = witness.meetings("r2")
        assert witness._sessions.meetings == {other.id}
        assert await witness.report_threat("r2") == other.id, "whoever presses is told of no other"
        await witness.stop_meeting("r2")
        assert await witness.report_threat("r2") != other.id, "begun by that, and no error either"
        with pytest.raises(VaultFull):
            await witness.report_threat("r3")
        assert [m.held for m in witness.meetings("r3")] == [True]


@pytest.mark.parametrize("error", [ZeroDivisionError("Anna"), asyncio.CancelledError("Anna")])
async def test_the_ticker_outlives_what_nobody_foresaw(
    house: House,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    error: BaseException,
) -> None:
    async with at_work(house, house.room(bound=False)) as witness:

        async def fail(*_: object) -> None:
            raise error

        with monkeypatch.context() as patch:
            patch.setattr(witness._upkeep, "everything", fail)
            await until(lambda: told(witness))
            (problem,) = witness.problems()
            assert problem.key == "upkeep_failed"
            assert problem.placeholders == {"error": type(error).__name__}
            assert witness.status("r1").problem == "upkeep_failed"
        await until(lambda: not told(witness))
        warnings = [r for r in caplog.records if r.levelno >= logging.WARNING]
        assert [type(error).__name__ in r.getMessage() for r in warnings] == [True]
        assert "Anna" not in caplog.text
        assert not any(r.exc_info for r in warnings)


async def test_of_what_no_person_can_mend_there_is_no_repair_without_words(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with at_work(house, house.room(bound=False)) as witness:

        async def fail(*_: object) -> None:
            raise CustodiansUnusable

        monkeypatch.setattr(witness._upkeep, "everything", fail)
        await until(lambda: told(witness))
        assert told(witness) == {"upkeep_failed"}


def test_each_is_tried_and_the_first_error_is_raised() -> None:
    tries, done = Tries(), []
    for number in range(4):
        with tries:
            if number % 2:
                raise ValueError(number)
            done.append(number)
    assert done == [0, 2]
    with pytest.raises(ValueError, match="1"):
        tries.finish()


def test_whoever_is_cancelled_stops() -> None:
    tries = Tries()
    with pytest.raises(asyncio.CancelledError), tries:
        raise asyncio.CancelledError
    tries.finish()


async def test_a_clock_that_leaps_ends_no_hold(house: House) -> None:
    """It may show another year for a moment: an hour more does no harm."""
    policy = replace(POLICY, erase_at_review=True, hold_period=timedelta(days=30))
    shift = [timedelta(0)]
    async with at_work(house, house.room(NOWHERE, bound=False, policy=policy), late=shift) as site:
        meeting = await site.start_meeting("r1")
        await site.report_threat("r1")
        await site.stop_meeting("r1")
        for leap in (timedelta(days=4000), timedelta(0), timedelta(days=31)):
            shift[0] = leap
            await site.tick()
            assert [m.id for m in site._ledger.meetings if m.held] == [meeting]
        leapt = site._upkeep._steady._leapt
        assert leapt is not None
        site._upkeep._steady._leapt = leapt - 3600  # As an hour later.
        await site.tick()
        assert not site._ledger.meetings
