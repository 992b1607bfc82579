"""Panic buttons, tampering and silence of real cameras, in a site without Home Assistant."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from roomwitness.custody.errors import LogUnwritable
from roomwitness.onvif import OnvifSource
from roomwitness.witness import CameraConfig, PanicInput, RoomConfig, Witness, camera_link, cameras
from roomwitness.witness.ledger import Ledger
from tests.camera import Camera
from tests.camera import CameraConfig as Simulated
from tests.camera.signals import DARK, MOTION, SCENE

from .house import House, until


@pytest.fixture
async def camera() -> AsyncIterator[Camera]:
    async with Camera(Simulated(width=160, height=96, user="u", password="p w", inputs=1)) as found:
        yield found


def room(house: House, camera: Camera, room_id: str = "r1", **changes: object) -> RoomConfig:
    plain = house.room(camera.source(), room_id=room_id, bound=False)
    wired = CameraConfig(
        id="c1",
        source=camera.source(),
        onvif=OnvifSource("127.0.0.1", camera.onvif.port, "u", "p w"),
        panic=PanicInput("in1"),
    )
    return replace(plain, cameras=(replace(wired, **changes),))  # type: ignore[arg-type]


@asynccontextmanager
async def running(house: House, *rooms: RoomConfig) -> AsyncIterator[Witness]:
    witness = await house.started(*rooms)
    witness.cameras.configure({c.id: c for room in rooms for c in room.cameras}.values())
    try:
        yield witness
    finally:
        await witness.stop()


def keys(witness: Witness) -> list[tuple[str, str | None]]:
    return [(p.key, p.room_id) for p in witness.problems() if p.key.startswith(("panic", "camera"))]


def holds(witness: Witness, room_id: str = "r1") -> int:
    return sum(len(m.open_holds) for m in witness.meetings(room_id))


async def test_a_press_reports_in_every_room_of_the_camera(tmp_path: Path, camera: Camera) -> None:
    house = House(tmp_path)
    first, second = room(house, camera), room(house, camera, "r2")
    async with running(house, first, second) as witness:
        await until(lambda: witness.cameras.state("c1").listening)
        await witness.start_meeting("r1")
        await witness.start_meeting("r2")
        camera.signals.press()
        await until(lambda: (holds(witness, "r1"), holds(witness, "r2")) == (1, 1))
    assert house.log().count("report_threat") == 2


async def test_a_press_is_not_lost_on_a_disk_that_refuses_for_a_while(
    tmp_path: Path, camera: Camera, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cameras, "_AGAIN_S", 0.05)
    house = House(tmp_path)
    async with running(house, room(house, camera)) as witness:
        await until(lambda: witness.cameras.state("c1").listening)
        await witness.start_meeting("r1")
        refused = asyncio.Event()

        def refuse(*_: object, **__: object) -> None:
            refused.set()
            raise LogUnwritable

        with monkeypatch.context() as patch:
            patch.setattr(Ledger, "note", refuse)
            camera.signals.press()
            await asyncio.wait_for(refused.wait(), 10)
        await until(lambda: holds(witness) == 1)


async def test_a_button_that_opens_its_contact(tmp_path: Path, camera: Camera) -> None:
    camera.signals.press()  # Closed: at rest.
    house = House(tmp_path)
    opens = room(house, camera, panic=PanicInput("in1", when_open=True))
    async with running(house, opens) as witness:
        await until(lambda: witness.cameras.state("c1").inputs)
        await witness.start_meeting("r1")
        assert keys(witness) == []
        camera.signals.release()  # Pressed, or the wire is cut.
        await until(lambda: holds(witness) == 1)


async def test_a_button_that_is_not_heard_is_told_after_a_while(
    tmp_path: Path, camera: Camera, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(camera_link, "GRACE_S", 0.2)
    house = House(tmp_path)
    plain = room(house, camera, panic=None)
    async with running(house, room(house, camera)) as witness:
        notified: list[str] = []
        witness.changes.subscribe(notified.append)
        await until(lambda: witness.cameras.state("c1").listening)
        await camera.fault("refuse_events")
        camera.signals.lose()
        notified.clear()
        await until(lambda: keys(witness) == [("panic_not_heard", "r1")])
        await until(lambda: notified)
        await camera.fault("refuse_events", False)
        await until(lambda: keys(witness) == [])
        await witness.set_rooms([plain])
        witness.cameras.configure(plain.cameras)
        await camera.fault("kill")
        await until(lambda: witness.cameras._links["c1"].silent)
        assert keys(witness) == []


async def test_tampering_is_noted_in_the_log_of_a_meeting(tmp_path: Path, camera: Camera) -> None:
    house = House(tmp_path)
    async with running(house, room(house, camera)) as witness:
        await until(lambda: witness.cameras.state("c1").listening)
        camera.signals.set(MOTION, "v", True)
        camera.signals.set(SCENE, "v", True)
        await until(lambda: ("camera_tampered", "r1") in keys(witness))
        assert witness.cameras.state("c1").motion is True
        await witness.tick()
        assert "camera_tampered" not in house.log_kinds()
        meeting = await witness.start_meeting("r1")
        await until(lambda: "camera_tampered" in house.log_kinds())
        camera.signals.set(DARK, "v", True)
        camera.signals.set(SCENE, "v", False)
        camera.signals.delete(DARK, "v")  # The rule is gone, and what it said with it.
        await until(lambda: "camera_tamper_ended" in house.log_kinds())
        assert keys(witness) == []
        noted = [e for e in house.entries() if e["kind"].startswith("camera_tamper")]
        assert [(e["meeting"], e["camera"]) for e in noted] == [(meeting, "c1")] * 2
        await witness.stop_meeting("r1")
        camera.signals.set(SCENE, "v", True)
        await until(lambda: keys(witness))
        await witness.tick()
    assert house.log().count("camera_tampered") == 1


async def test_what_is_unchanged_is_not_interrupted(tmp_path: Path, camera: Camera) -> None:
    house = House(tmp_path)
    before = room(house, camera)
    async with running(house, before) as witness:
        await until(lambda: witness.cameras.state("c1").listening)
        moved = replace(before.cameras[0], source=camera.source(audio=False))
        witness.cameras.configure([moved])
        assert witness.cameras.state("c1").listening
        witness.cameras.configure([replace(moved, panic=None)])
        assert not witness.cameras.state("c1").listening
        await until(lambda: witness.cameras.state("c1").listening)
        assert camera.signals.created == 2
        witness.cameras.configure([replace(moved, onvif=None)])
        await until(lambda: camera.signals.subscribers == 0)
        assert witness.cameras.state("c1").inputs == {}


async def test_a_camera_with_endless_rules_keeps_its_panic_button(
    tmp_path: Path, camera: Camera
) -> None:
    for number in range(100):
        camera.signals.set(MOTION, f"v{number}", False)
    camera.signals.inputs["in2"] = "open"
    camera.signals.set("Device/Trigger/DigitalInput", "in2", False)
    house = House(tmp_path)
    async with running(house, room(house, camera, panic=PanicInput("in2"))) as witness:
        await until(lambda: camera.signals.pulled > 40)
        await witness.start_meeting("r1")
        camera.signals.press("in2")
        await until(lambda: holds(witness) == 1)


async def test_preflight_fails_with_what_a_meeting_would_begin_with(
    tmp_path: Path, camera: Camera
) -> None:
    house = House(tmp_path)
    wired = room(house, camera)
    async with running(house, wired) as witness:
        await until(lambda: witness.cameras.state("c1").listening)
        assert await witness.preflight("r1") == ()
        camera.signals.press()  # Nothing to hold: told, but nothing that a meeting begins with.
        await until(lambda: ("panic_held_nothing", "r1") in keys(witness))
        camera.signals.set(SCENE, "v", True)
        await until(lambda: witness.cameras.state("c1").tampered)
        assert [p.key for p in await witness.preflight("r1")] == ["camera_tampered"]
        camera.signals.set(SCENE, "v", False)
        await until(lambda: not witness.cameras.state("c1").tampered)
        assert await witness.preflight("r1") == ()


async def test_a_press_that_cannot_be_reported_does_not_hold_up_the_stop(
    tmp_path: Path, camera: Camera, monkeypatch: pytest.MonkeyPatch
) -> None:
    house = House(tmp_path)
    monkeypatch.setattr(cameras, "_AGAIN_S", 60.0)
    async with running(house, room(house, camera)) as witness:
        await until(lambda: witness.cameras.state("c1").listening)
        await witness.start_meeting("r1")
        with monkeypatch.context() as patch:
            asked = asyncio.Event()

            async def refuse(_room_id: str) -> str:
                asked.set()
                raise LogUnwritable

            patch.setattr(witness.cameras, "_report", refuse)
            camera.signals.press()
            await asyncio.wait_for(asked.wait(), 10)
        begin = asyncio.get_running_loop().time()
    assert asyncio.get_running_loop().time() - begin < 10


async def test_a_press_while_the_camera_moved_to_another_address_counts(
    tmp_path: Path, camera: Camera
) -> None:
    house = House(tmp_path)
    config = room(house, camera)
    async with running(house, config) as witness:
        await until(lambda: witness.cameras.state("c1").inputs)
        await witness.start_meeting("r1")
        await camera.fault("kill")
        async with Camera(camera.config) as moved:
            moved.signals.press()
            there = OnvifSource("127.0.0.1", moved.onvif.port, "u", "p w")
            witness.cameras.configure([replace(config.cameras[0], onvif=there)])
            await until(lambda: holds(witness) == 1)
            assert ("panic_was_active", "r1") not in keys(witness)
            witness.cameras.configure([])
            await until(lambda: moved.signals.subscribers == 0)
