"""A wrong password is tried so seldom that the camera does not lock the account."""

import asyncio
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from roomwitness.capture import Nowhere, PreRoll, Recorder, backoff
from roomwitness.capture.patience import PATIENCE_S, Patience
from roomwitness.policy.words import GapCause

from . import scripted
from .memory import MemorySink
from .scripted import SDP, Ask, Script, with_body
from .swift import swiftly
from .test_quirks import digest

EPOCH = datetime(2026, 11, 2, 9, 0, tzinfo=UTC)
WAITS = (2.0, 30.0, 120.0, 300.0)
BUSY = "RTSP/1.0 503 Busy\nCSeq: {cseq}\n\n"


def clock() -> datetime:
    return EPOCH + timedelta(seconds=asyncio.get_running_loop().time())


class Door(Script):
    """Takes one name, notes when another came; ``out`` of order it answers 503."""

    def __init__(self) -> None:
        super().__init__(DESCRIBE=self._answer)
        self.wrong: list[float] = []
        self.out = False
        self.let_in = 0

    def _answer(self, ask: Ask) -> scripted.Say:
        if self.out:
            return BUSY
        if "authorization" not in ask.headers:
            return digest("n", stale=False)
        said = ask.headers["authorization"]
        if 'username="right"' in said:
            self.let_in += 1
            return with_body(SDP)
        self.wrong.append(asyncio.get_running_loop().time())
        return digest("n", stale=False)


def waits(times: list[float]) -> list[float]:
    return [round(b - a, 1) for a, b in pairwise(times)]


def test_a_meeting_with_a_wrong_password_and_then_the_right_one() -> None:
    async def run() -> None:
        sink = MemorySink()
        async with Door() as door:
            wrong = door.source(user="wrong", word="p")
            recorder = Recorder(wrong, sink, start=clock(), clock=clock, chance=lambda: 0.0)
            task = asyncio.ensure_future(recorder.run())
            await asyncio.sleep(3600)
            assert waits(door.wrong)[:6] == [*WAITS, 300.0, 300.0]
            assert len([at for at in door.wrong if at < 400]) == 4
            # The gap is declared from its beginning, and its cause is told.
            assert sink.statuses[-1].error_key == "camera_auth_failed"
            before = asyncio.get_running_loop().time()
            recorder.change(replace(wrong, username="right"))
            await asyncio.sleep(1.0)
            assert door.let_in, "tried at once"
            assert door.wrong[-1] <= before
            recorder.change(wrong)
            await asyncio.sleep(60)
            again = [at for at in door.wrong if at > before]
            assert waits(again)[:2] == [2.0, 30.0], "from the beginning"
            recorder.stop()
            await task
        assert GapCause.CAMERA_AUTH in sink.causes
        assert sink.uncovered(EPOCH, clock()) <= timedelta(seconds=1)

    swiftly(run())


def test_a_camera_that_starts_anew_between_is_not_asked_more_often_for_that() -> None:
    async def run() -> None:
        async with Door() as door:
            recorder = Recorder(
                door.source(user="wrong", word="p"), MemorySink(), start=clock(), clock=clock,
                chance=lambda: 0.0,
            )  # fmt: skip
            task = asyncio.ensure_future(recorder.run())
            await asyncio.sleep(200)
            assert waits(door.wrong) == [2.0, 30.0, 120.0]
            door.out = True
            await asyncio.sleep(300)
            door.out = False
            await asyncio.sleep(900)
            assert waits(door.wrong)[4:] == [300.0, 300.0]
            recorder.stop()
            await task

    swiftly(run())


def test_a_password_that_is_corrected_while_the_wrong_one_is_on_its_way() -> None:
    async def run() -> None:
        async with Door() as door:
            wrong = door.source(user="wrong", word="p")
            recorder = Recorder(wrong, MemorySink(), start=clock(), clock=clock)
            task = asyncio.ensure_future(recorder.run())
            while not door.asks("DESCRIBE"):
                await asyncio.sleep(0)
            recorder.change(replace(wrong, username="right"))
            await asyncio.sleep(0.1)
            assert door.let_in
            recorder.stop()
            await task

    swiftly(run())


def test_a_camera_that_is_only_watched_is_asked_every_half_hour_and_at_once_in_a_meeting() -> None:
    async def run() -> None:
        async with Door() as door:
            recorder = Recorder(
                door.source(user="wrong", word="p"), Nowhere(lambda _status: None), start=clock(),
                clock=clock, chance=lambda: 0.0, preroll=PreRoll(5),
            )  # fmt: skip
            task = asyncio.ensure_future(recorder.run())
            await asyncio.sleep(6000)
            assert waits(door.wrong)[:8] == [*WAITS, 600.0, 1200.0, 1800.0, 1800.0]
            count, sink = len(door.wrong), MemorySink()
            await recorder.record(sink, start=clock(), cause=GapCause.CONNECTING, keep=False)
            await asyncio.sleep(1)
            assert len(door.wrong) == count + 1
            await asyncio.sleep(300)
            assert waits(door.wrong)[count:] == [2.0, 30.0, 120.0]
            recorder.stop()
            await task
        assert sink.causes[-1] is GapCause.CAMERA_AUTH

    swiftly(run())


FORBIDDEN = "RTSP/1.0 403 Forbidden\nCSeq: {cseq}\n\n"


@pytest.mark.parametrize("no", [digest("n", stale=False), FORBIDDEN], ids=["401", "403"])
def test_a_camera_that_let_us_in_a_moment_ago_is_tried_again_soon(no: scripted.Say) -> None:
    """It has started anew and refuses everybody for a while: that costs what the while takes."""

    async def run() -> None:
        refusing, asked = False, list[float]()

        def answer(ask: Ask) -> scripted.Say:
            if refusing:
                if no is FORBIDDEN or "authorization" in ask.headers:
                    asked.append(asyncio.get_running_loop().time())
                return no
            return with_body(SDP) if "authorization" in ask.headers else digest("n", stale=False)

        sink = MemorySink()
        async with Script(DESCRIBE=answer) as camera:
            recorder = Recorder(
                camera.source(user="u", word="p"), sink, start=clock(), clock=clock,
                chance=lambda: 0.0,
            )  # fmt: skip
            task = asyncio.ensure_future(recorder.run())
            while not sink.statuses or not sink.statuses[-1].frames:
                await asyncio.sleep(0.1)
            refusing = True
            camera.writers[-1].transport.abort()
            since = asyncio.get_running_loop().time()
            await asyncio.sleep(90)
            assert max(waits([since, *asked])) <= 5.0
            refusing, plays = False, len(camera.asks("PLAY"))
            await asyncio.sleep(5.5)
            assert len(camera.asks("PLAY")) > plays
            refusing = True
            camera.writers[-1].transport.abort()
            asked.clear()
            await asyncio.sleep(1000)
            slow = [wait for wait in waits(asked) if wait > 5.0]
            assert slow[:3] == [30.0, 120.0, 300.0], "it is the password after all"
            recorder.stop()
            await task

    swiftly(run())


def test_forbidden_from_the_beginning_is_tried_soon_for_two_minutes() -> None:
    async def run() -> None:
        async with Script(DESCRIBE=FORBIDDEN) as camera:
            recorder = Recorder(
                camera.source(user="u", word="p"), MemorySink(), start=clock(), clock=clock,
                chance=lambda: 0.0,
            )  # fmt: skip
            task = asyncio.ensure_future(recorder.run())
            await asyncio.sleep(115)
            soon = len(camera.asks("DESCRIBE"))
            assert soon > 24
            await asyncio.sleep(600)
            assert len(camera.asks("DESCRIBE")) <= soon + 6
            recorder.stop()
            await task

    swiftly(run())


@given(
    st.lists(
        st.tuples(st.floats(0, 300), st.sampled_from(["let_in", "refused", "forbidden"])),
        max_size=30,
    )
)
def test_patience_ends(events: list[tuple[float, str]]) -> None:
    """Two minutes after the last picture, and after the first *forbidden* behind it."""
    patience, now = Patience(), 0.0
    let_in, forbidden = -1e9, None
    for after, what in events:
        now += after
        if what == "let_in":
            patience.let_in(now)
            let_in, forbidden = now, None
            continue
        if what == "forbidden":
            forbidden = now if forbidden is None else forbidden
        lasts = patience.lasts(now, forbidden=what == "forbidden")
        allowed = [let_in] + ([forbidden] if what == "forbidden" and forbidden is not None else [])
        assert lasts == (now - max(allowed) < PATIENCE_S)


@given(st.integers(0, 10_000), st.floats(0, 1), st.sampled_from([300.0, 1800.0]))
def test_waits_after_a_refusal_grow_to_their_cap(times: int, chance: float, cap: float) -> None:
    wait = backoff.refused(times, lambda: chance, cap)
    assert 1 < wait <= cap
    assert wait >= backoff.refused(times - 1, lambda: chance, cap)
    assert backoff.refused(99, lambda: 0.0, cap) == cap


@pytest.mark.parametrize("luck", [0.0, 1.0])
def test_fewer_tries_than_lock_an_account_in_the_first_minutes(luck: float) -> None:
    at, tries = 0.0, 1
    while at < 360:
        at += backoff.refused(tries, lambda: luck)
        tries += 1
    assert tries <= 5
