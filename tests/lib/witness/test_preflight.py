"""Preflight: what is wrong is told before the meeting, and what was mended is not."""

from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import timedelta

import pytest

from roomwitness.capture import CaptureHost, StreamSource, probe
from roomwitness.witness import RoomConfig, checks
from roomwitness.witness.preflight import Preflight
from tests.camera import Camera, CameraConfig

from .house import House, booking, until

HOUR = timedelta(hours=1)


class Rounds:
    """A preflight that repeats quickly, and how often it has looked."""

    def __init__(self, house: House) -> None:
        self.host, self.free, self.count, self.house = CaptureHost(), 1 << 40, 0, house
        self.host.start()
        self.preflight = Preflight(
            self.host, self.room_left, self.looked, self.current, every_s=0.1
        )
        self.room: RoomConfig | None = None

    def room_left(self) -> int:
        if self.free < 0:
            raise OSError
        return self.free

    def current(self, _room: str) -> RoomConfig | None:
        return self.room

    def looked(self, _room: str) -> None:
        self.count += 1

    def begin(self, source: StreamSource) -> None:
        self.preflight.begin(self.house.room(source), HOUR)

    def keys(self) -> list[str]:
        return [problem.key for problem in self.preflight.problems("r1")]

    async def another(self) -> list[str]:
        seen = self.count + 2  # The one after next began after this was asked.
        await until(lambda: self.count >= seen)
        return self.keys()


@pytest.fixture
async def rounds(house: House) -> AsyncIterator[Rounds]:
    found = Rounds(house)
    yield found
    await found.preflight.stop()
    found.host.stop()


async def test_a_camera_mended_in_time_is_no_problem_any_more(
    camera: Camera, rounds: Rounds
) -> None:
    rounds.begin(camera.source(password="wrong"))
    assert await rounds.another() == ["camera_auth_failed"]
    await camera.fault("refuse_rtsp")
    rounds.begin(camera.source())
    assert await rounds.another() == ["camera_unreachable"]
    await camera.fault("accept_rtsp")
    assert await rounds.another() == []
    await camera.fault("refuse_rtsp")
    assert await rounds.another() == ["camera_unreachable"]
    rounds.preflight.forget("r1")
    assert rounds.keys() == []


async def test_the_disk_must_hold_the_booked_length(camera: Camera, rounds: Rounds) -> None:
    rounds.free = checks.needed_bytes(1, HOUR) - 1
    rounds.begin(camera.source())
    assert await rounds.another() == ["disk_short"]
    (problem,) = rounds.preflight.problems("r1")
    assert problem.placeholders == {"needed": "1.8", "free": "1.8"}
    rounds.free += 1
    assert await rounds.another() == []
    rounds.free = -1
    assert await rounds.another() == []


async def test_sound_that_is_wanted_must_be_there(rounds: Rounds) -> None:
    async with Camera(CameraConfig(width=160, height=96, gop=5, audio=False)) as silent:
        rounds.begin(silent.source(audio=True))
        assert await rounds.another() == ["sound_missing"]
        rounds.begin(silent.source(audio=False))
        assert await rounds.another() == []


async def test_a_keyframe_must_give_a_picture(camera: Camera) -> None:
    info = await probe(camera.source())
    assert checks.undecodable(info) is None
    for nonsense in (b"", info.keyframe[:40], b"\x00\x00\x00\x01\x65" + bytes(90)):
        assert checks.undecodable(replace(info, keyframe=nonsense)) == "keyframe_undecodable"
    for decoder in ("nothing", "aac"):
        assert checks.undecodable(replace(info, decoder=decoder)) == "keyframe_undecodable"


async def test_a_check_on_demand_answers_and_goes_on_until_all_is_well(
    camera: Camera, rounds: Rounds
) -> None:
    room = rounds.house.room(camera.source())
    assert await rounds.preflight.now(room, HOUR) == ()
    await camera.fault("refuse_rtsp")
    (problem,) = await rounds.preflight.now(room, HOUR)
    assert problem.key == "camera_unreachable"
    assert await rounds.another() == ["camera_unreachable"]
    await rounds.preflight.now(room, HOUR)  # While it repeats: no second task.
    await camera.fault("accept_rtsp")
    await until(lambda: rounds.keys() == [])


async def test_a_password_corrected_in_time_is_used(camera: Camera, rounds: Rounds) -> None:
    rounds.begin(camera.source(password="wrong"))
    assert await rounds.another() == ["camera_auth_failed"]
    rounds.room = rounds.house.room(camera.source())
    assert await rounds.another() == []


async def test_a_restart_before_the_meeting_checks_again(camera: Camera, house: House) -> None:
    await camera.fault("refuse_rtsp")
    bookings = [booking(25, 60)]
    for _ in range(2):
        witness = await house.started(house.room(camera.source()))
        await witness.reconcile("r1", bookings)
        await until(witness.problems)
        assert [p.key for p in witness.problems()] == ["camera_unreachable"]
        await witness.stop()
