"""A recording lamp on a relay of a camera: it shows what is, whatever happened to the camera."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from roomwitness.onvif import OnvifSource
from roomwitness.witness import CameraConfig, RelayLamp, RoomConfig, Witness, lamps
from tests.camera import Camera
from tests.camera import CameraConfig as Simulated

from .house import House, until


@pytest.fixture
async def camera() -> AsyncIterator[Camera]:
    config = Simulated(width=160, height=96, user="u", password="p w", relays=2)
    async with Camera(config) as found:
        yield found


def room(
    house: House, camera: Camera, room_id: str = "r1", lamp: str | None = "relay1"
) -> RoomConfig:
    plain = house.room(camera.source(), room_id=room_id, bound=False)
    source = OnvifSource("127.0.0.1", camera.onvif.port, "u", "p w")
    wired = CameraConfig(id="c1", source=camera.source(), onvif=source)
    return replace(plain, cameras=(wired,), lamp=RelayLamp("c1", lamp) if lamp else None)


@asynccontextmanager
async def running(house: House, *rooms: RoomConfig) -> AsyncIterator[Witness]:
    witness = house.witness()
    await witness.start()
    witness.cameras.configure(rooms[0].cameras)
    await witness.set_rooms(rooms)
    try:
        yield witness
    finally:
        await witness.stop()


def keys(witness: Witness) -> list[tuple[str, str | None]]:
    return [(p.key, p.room_id) for p in witness.problems() if p.key.startswith("lamp")]


def lit(camera: Camera, token: str = "relay1") -> bool:
    return camera.signals.relays[token].state == "active"


async def test_it_is_on_while_the_room_records_and_only_then(
    tmp_path: Path, camera: Camera
) -> None:
    house = House(tmp_path)
    camera.signals.relays["relay1"].state = "active"  # Left on by a crash.
    async with running(house, room(house, camera)) as witness:
        await until(lambda: not lit(camera))
        await witness.start_meeting("r1")
        await until(lambda: lit(camera))
        await witness.tick()
        assert camera.signals.commands == [("relay1", "inactive"), ("relay1", "active")]
    assert lit(camera)
    async with running(house, room(house, camera)) as witness:  # A restart in mid-meeting.
        await until(lambda: len(camera.signals.commands) == 3)
        await witness.stop_meeting("r1")
        await until(lambda: not lit(camera))
        assert keys(witness) == []
    assert [state for _, state in camera.signals.commands[2:]] == ["active", "inactive"]


async def test_a_lamp_that_fails_is_told_and_tried_again(tmp_path: Path, camera: Camera) -> None:
    house = House(tmp_path)
    async with running(house, room(house, camera)) as witness:
        await until(lambda: camera.signals.commands)
        await camera.fault("refuse_relay")
        await witness.start_meeting("r1")
        notified: list[str] = []
        witness.changes.subscribe(notified.append)
        await until(lambda: keys(witness) == [("lamp_not_lit", "r1")])
        await until(lambda: "r1" in notified)
        assert witness.status("r1").problem == "lamp_not_lit"
        await witness.stop_meeting("r1")
        await until(lambda: keys(witness) in ([], [("lamp_not_out", "r1")]))
        await camera.fault("refuse_relay", False)
        await until(lambda: keys(witness) == [])
        await witness.start_meeting("r1")
        await until(lambda: lit(camera))


async def test_a_camera_that_was_restarted_is_told_again(tmp_path: Path, camera: Camera) -> None:
    """It says that its relay fell back, as soon as it is heard again."""
    house = House(tmp_path)
    async with running(house, room(house, camera)) as witness:
        await witness.start_meeting("r1")
        await until(lambda: lit(camera))
        await until(lambda: witness.cameras.state("c1").relays.get("relay1"))
        await camera.fault("kill")
        camera.signals.relays["relay1"].state = "inactive"
        camera.signals.set("Device/Trigger/Relay", "relay1", "inactive")
        await camera.fault("revive")
        await until(lambda: lit(camera))


async def test_a_camera_that_says_nothing_is_told_every_minute(
    tmp_path: Path, camera: Camera, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lamps, "_AGAIN_S", 0.5)
    await camera.fault("refuse_events")
    house = House(tmp_path)
    async with running(house, room(house, camera)) as witness:
        await witness.start_meeting("r1")
        await until(lambda: lit(camera))
        camera.signals.relays["relay1"].state = "inactive"
        await until(lambda: lit(camera))
        await witness.stop_meeting("r1")
        await until(lambda: not lit(camera))


async def test_rooms_share_a_lamp_and_leave_one(tmp_path: Path, camera: Camera) -> None:
    house = House(tmp_path)
    first, second = room(house, camera), room(house, camera, "r2")
    async with running(house, first, second) as witness:
        await witness.start_meeting("r1")
        await witness.start_meeting("r2")
        await until(lambda: lit(camera))
        await witness.stop_meeting("r1")
        await witness.tick()
        assert lit(camera)
        await witness.set_rooms([first, room(house, camera, "r2", "relay2")])
        await until(lambda: (lit(camera), lit(camera, "relay2")) == (False, True))
        await witness.set_rooms([first, room(house, camera, "r2", None)])
        await until(lambda: not lit(camera, "relay2"))


async def test_a_lamp_on_a_camera_that_is_gone_is_told(tmp_path: Path, camera: Camera) -> None:
    house = House(tmp_path)
    wired = room(house, camera)
    async with running(house, wired) as witness:
        await until(lambda: camera.signals.commands)
        witness.cameras.configure([replace(wired.cameras[0], onvif=None)])
        await witness.start_meeting("r1")
        await until(lambda: keys(witness) == [("lamp_not_lit", "r1")])
        await witness.set_rooms([replace(wired, lamp=None)])
        await until(lambda: keys(witness) == [])
        await witness.tick()


async def test_what_the_face_says_of_its_own_lamp(tmp_path: Path, camera: Camera) -> None:
    house = House(tmp_path)
    async with running(house, room(house, camera, lamp=None)) as witness:
        notified: list[str] = []
        witness.changes.subscribe(notified.append)
        for on, expected in ((True, ["lamp_not_lit"]), (False, ["lamp_not_out"]), (None, [])):
            witness.lamps.failed("r1", on=on)
            witness.lamps.failed("r1", on=on)
            assert [key for key, _ in keys(witness)] == expected
            await asyncio.sleep(0)
        assert notified == ["r1"] * 3


async def test_a_lamp_of_the_face_that_is_gone_fails_the_check_before_a_meeting_alone(
    tmp_path: Path, camera: Camera
) -> None:
    house = House(tmp_path)
    own = room(house, camera, lamp=None)
    async with running(house, own) as witness:
        gone = {"r1"}
        witness.lamps.gone = lambda room_id: room_id in gone
        assert [(p.key, p.room_id) for p in witness.wired(own)] == [("lamp_missing", "r1")]
        assert keys(witness) == []
        witness.lamps.failed("r1", on=True)  # Once it is to be lit, that it is dark says more.
        assert [p.key for p in witness.wired(own)] == ["lamp_not_lit"]
        gone.clear()
        witness.lamps.failed("r1", on=None)
        assert witness.wired(own) == ()
