"""Cameras as devices: what is wrong is told, goes when it is mended, and who moved is followed."""

import asyncio
import time
from collections.abc import AsyncIterator, Mapping
from dataclasses import replace
from functools import partial

import pytest

from roomwitness.onvif import DeviceId, OnvifSource, OwnRecordings, discover
from roomwitness.onvif.clock import Offset
from roomwitness.onvif.timekeeping import DeviceClock
from roomwitness.witness import CameraConfig, RoomConfig
from roomwitness.witness.devices import CLOCK, ELSEWHERE, EXCHANGED, KEEPS, RECORDS, Devices, wrong
from roomwitness.witness.errors import RoomBusy
from tests.camera import Camera
from tests.camera.discovery import Discovery
from tests.peers import free_port

from .house import House, booking, until


def test_what_is_wrong_by_what_was_seen() -> None:
    none = OwnRecordings(active=False, stored=False)
    assert wrong(None, none) == ()
    assert wrong(DeviceClock(Offset(1.5, 2.5), ntp=False), none) == ()
    assert wrong(DeviceClock(Offset(-3, -2), ntp=True), none) == ((CLOCK, "-2.5 s"),)
    assert wrong(None, OwnRecordings(active=True, stored=True)) == ((RECORDS, ""),)
    assert wrong(None, OwnRecordings(active=False, stored=True)) == ((KEEPS, ""),)


def test_a_storage_elsewhere_is_a_thing_of_its_own() -> None:
    own = OwnRecordings(active=True, stored=True, elsewhere=True)
    assert wrong(None, own) == ((RECORDS, ""), (ELSEWHERE, ""))


class Site:
    """Devices of one room with one camera; ``moved`` reconfigures it as the face does."""

    def __init__(self, house: House, camera: Camera) -> None:
        port = camera.onvif.port
        onvif = OnvifSource("127.0.0.1", port, camera.config.user, camera.config.password)
        device = DeviceId(str(camera.onvif.house.endpoint), "SN-1")
        room = house.room(camera.source())
        cameras = (replace(room.cameras[0], onvif=onvif, device=device),)
        self.rooms: dict[str, RoomConfig] = {"r1": replace(room, cameras=cameras)}
        self.told: list[str] = []
        self.noted: list[str] = []
        self.troubled: set[str] = set()
        self.full = False
        self.devices = Devices(
            lambda: self.rooms, self.told.append, lambda: self.troubled, self.note, again_s=0.0
        )
        self.devices.moved = self.moved

    async def note(self, camera_id: str) -> None:
        if self.full:
            raise RoomBusy  # Any of our errors.
        self.noted.append(camera_id)

    def moved(self, camera_id: str, there: OnvifSource) -> None:
        self.configure(onvif=there)

    def configure(self, **changes: object) -> None:
        room = self.rooms["r1"]
        camera = replace(room.cameras[0], **changes)  # type: ignore[arg-type]
        self.rooms["r1"] = replace(room, cameras=(camera,))

    @property
    def source(self) -> OnvifSource:
        source = self.rooms["r1"].cameras[0].onvif
        assert source is not None
        return source

    async def round(self) -> list[str]:
        await self.devices.round()
        return [p.key for p in self.devices.problems(self.rooms["r1"])]


@pytest.fixture
async def site(house: House, camera: Camera) -> AsyncIterator[Site]:
    camera.onvif.house.serial = "SN-1"
    site = Site(house, camera)
    yield site
    await site.devices.stop()


async def test_a_wrong_clock_is_told_and_set(site: Site, camera: Camera) -> None:
    assert await site.round() == []
    await camera.fault("clock_offset_s", 90.0)
    (problem,) = await site.devices.look(site.rooms["r1"], site.rooms["r1"].cameras[0])
    assert (problem.key, problem.room_id, problem.camera_id) == (CLOCK, "r1", "c1")
    assert float(problem.placeholders["offset"].removesuffix(" s")) == pytest.approx(90, abs=0.6)
    assert site.told == ["r1", "r1"]
    clock = await site.devices.clock("c1")
    assert clock is not None
    assert clock.ntp
    after = await site.devices.set_clock("c1")
    assert after is not None
    assert abs(after.offset.seconds) < 0.6
    assert list(site.devices.problems(site.rooms["r1"])) == []
    assert await site.devices.clock("c9") is None
    assert await site.devices.set_clock("c9") is None
    await site.devices.look_again("c9")


async def test_the_clock_that_is_shown_is_known_with_its_age(
    site: Site, camera: Camera, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert site.devices.clock_fields("c1") == {}
    await camera.fault("clock_offset_s", -3600.0)
    await site.round()
    fields = site.devices.clock_fields("c1")
    assert fields["onvif_clock_offset_s"] == pytest.approx(-3600, abs=0.6)
    assert 0 < fields["onvif_clock_error_s"] <= 0.5
    assert fields["onvif_clock_age_s"] < 30
    later = time.monotonic() + 1000
    with monkeypatch.context() as patch:
        patch.setattr("roomwitness.witness.devices.time.monotonic", lambda: later)
        assert site.devices.clock_fields("c1")["onvif_clock_age_s"] > 900
    await site.devices.set_clock("c1")
    assert abs(site.devices.clock_fields("c1")["onvif_clock_offset_s"]) < 0.6
    site.configure(onvif=None)
    await site.round()
    assert site.devices.clock_fields("c1") == {}


async def test_without_sender_reports_the_log_has_the_clock_that_onvif_shows(
    house: House, camera: Camera
) -> None:
    camera.onvif.house.serial, camera.faults.no_reports = "SN-1", True
    await camera.fault("clock_offset_s", 90.0)
    room = Site(house, camera).rooms["r1"]
    witness = await house.started(replace(room, calendar_bound=False))
    await witness.devices.round()
    await witness.start_meeting("r1")
    await until(lambda: witness.status("r1").segments >= 1)
    await witness.stop_meeting("r1")
    await until(lambda: "recording_ended" in house.log_kinds())
    await witness.stop()
    for kind in ("recording_begun", "recording_ended"):
        entry = next(e for e in house.entries() if e["kind"] == kind)
        assert entry["onvif_clock_offset_s"] == pytest.approx(90, abs=0.6)
        assert entry["onvif_clock_age_s"] >= 0
    assert entry["clock_offset_end_s"] is None


async def test_own_recordings_are_told_until_they_are_off(site: Site, camera: Camera) -> None:
    camera.onvif.house.jobs, camera.onvif.house.stored = ["Active"], 1
    assert await site.round() == [RECORDS]
    camera.onvif.house.jobs = ["Idle"]
    assert await site.round() == [KEEPS]
    camera.onvif.house.stored = 0
    assert await site.round() == []


async def test_a_camera_is_asked_when_it_is_time_and_no_oftener(site: Site, camera: Camera) -> None:
    camera.onvif.house.jobs = ["Active"]
    site.devices.again_s = 3600.0
    assert await site.round() == [RECORDS]
    camera.onvif.house.jobs = []
    assert await site.round() == [RECORDS]
    site.configure(device=DeviceId())
    assert await site.round() == []
    site.configure(onvif=None)
    assert await site.round() == []


async def test_a_camera_that_moved_is_followed(
    site: Site, camera: Camera, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    responder = Discovery("door", "127.0.0.1", camera.onvif.port, camera.onvif.house.endpoint)
    await responder.start(0)
    site.devices.find = partial(discover, 0.2, [("127.0.0.1", responder.port)])
    here = site.source
    site.configure(onvif=replace(here, port=free_port()))
    site.full = True
    assert await site.round() == []
    assert (site.source, site.noted) == (here, [])
    # The stream is troubled, too: looked for at once, not in ten minutes.
    site.configure(onvif=replace(here, port=free_port()))
    site.full, site.troubled = False, {"c1"}
    assert await site.round() == []
    responder.stop()
    assert (site.source, site.noted) == (here, ["c1"])
    ours = [r.getMessage() for r in caplog.records if r.name.startswith("roomwitness")]
    assert len(ours) == 2
    assert all("c1" in told and "127.0.0.1" not in told for told in ours)


async def test_a_device_that_took_the_address_is_told_and_the_right_one_found(
    site: Site, camera: Camera
) -> None:
    async with Camera(replace(camera.config, onvif_port=0, rtsp_port=0)) as other:
        other.onvif.house.serial = "SN-2"
        there = site.source
        site.configure(onvif=replace(there, port=other.onvif.port))
        site.devices.find = partial(discover, 0.2)
        assert await site.round() == [EXCHANGED]
        responder = Discovery("door", "127.0.0.1", camera.onvif.port, camera.onvif.house.endpoint)
        await responder.start(0)
        site.devices.find = partial(discover, 0.2, [("127.0.0.1", responder.port)])
        await site.round()
        responder.stop()
        assert site.source == there
        assert await site.round() == []


async def test_a_refused_password_is_nobodys_clock(site: Site, camera: Camera) -> None:
    site.devices.find = partial(discover, 0.1)
    await camera.fault("wrong_password")
    site.devices.again_s = 0.2
    assert await site.round() == []
    refused, seen = camera.onvif.refused, site.devices._seen
    seen["c1"] = replace(seen["c1"], at=seen["c1"].at - 0.3)
    # An ordinary pause is too short: cameras lock out.
    assert await site.round() == []
    assert camera.onvif.refused == refused
    room = site.rooms["r1"]  # The check before a meeting too.
    assert await site.devices.look(room, room.cameras[0]) == []
    assert camera.onvif.refused == refused
    site.devices.again_s = 0.0
    await site.devices.look(room, room.cameras[0])
    assert camera.onvif.refused > refused
    camera.onvif._GetDeviceInformation = None  # type: ignore[method-assign,assignment]
    await camera.fault("wrong_password", False)
    assert await site.round() == []


async def test_it_goes_on_by_itself_and_ends(site: Site, camera: Camera) -> None:
    camera.onvif.house.jobs = ["Active"]
    site.devices.start()
    await until(lambda: list(site.devices.problems(site.rooms["r1"])))
    await site.devices.stop()
    await site.devices.stop()


async def test_one_cameras_nonsense_is_no_end_of_the_watch_of_the_others(
    site: Site, camera: Camera, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    camera.onvif.house.jobs = ["Active"]
    room = site.rooms["r1"]
    well = room.cameras[0]
    mad = replace(well, id="mad", onvif=replace(site.source, username="mad"))
    site.rooms["r1"] = replace(room, cameras=(mad, well))
    ask = Devices._ask

    async def asked(
        devices: Devices, camera: CameraConfig, source: OnvifSource
    ) -> tuple[tuple[str, str], ...]:
        if camera.id == "mad":
            raise OverflowError("http://10.0.0.7/secret")
        return await ask(devices, camera, source)

    monkeypatch.setattr(Devices, "_ask", asked)
    assert await site.round() == [RECORDS]
    assert "Unexpected OverflowError" in caplog.text
    assert "10.0.0.7" not in caplog.text


async def test_whoever_answers_for_one_camera_does_not_keep_another_lost(
    site: Site, camera: Camera, monkeypatch: pytest.MonkeyPatch
) -> None:
    there = site.source
    room = site.rooms["r1"]
    lost = replace(room.cameras[0], onvif=replace(there, port=free_port()))
    first = replace(lost, id="c0", onvif=replace(there, port=free_port(), username="mad"))
    site.rooms["r1"] = replace(room, cameras=(first, lost))
    followed: list[str] = []
    site.devices.moved = lambda camera_id, _there: followed.append(camera_id)

    async def follow(source: OnvifSource, _known: object, _answers: object) -> OnvifSource:
        if source.username == "mad":
            raise OverflowError
        return there

    async def nobody() -> tuple[()]:
        return ()

    site.devices.find = nobody
    monkeypatch.setattr("roomwitness.witness.devices.follow", follow)
    await site.round()
    assert followed == ["c1"]


async def test_the_watch_outlives_what_nobody_thought_of(
    site: Site, camera: Camera, caplog: pytest.LogCaptureFixture
) -> None:
    camera.onvif.house.jobs = ["Active"]
    rooms, broken = site.rooms, [True]

    def failing() -> Mapping[str, RoomConfig]:
        if broken.pop(0) if broken else False:
            raise ZeroDivisionError
        return rooms

    site.devices = Devices(
        failing, site.told.append, lambda: site.troubled, site.note, step_s=0.01, again_s=0.0
    )
    site.devices.start()
    await until(lambda: list(site.devices.problems(rooms["r1"])))
    assert "Unexpected ZeroDivisionError" in caplog.text
    await site.devices.stop()


async def test_preflight_and_problems_of_a_real_site_have_it(house: House, camera: Camera) -> None:
    camera.onvif.house.jobs, camera.onvif.house.serial = ["Active"], "SN-1"
    room = Site(house, camera).rooms["r1"]
    witness = await house.started(room)
    try:
        await camera.fault("clock_offset_s", 100.0)
        keys = {problem.key for problem in await witness.preflight("r1")}
        assert keys - {"calendar_missing"} == {CLOCK, RECORDS}, (
            "and the stream's clock is not told besides"
        )
        told = [p.key for p in witness.problems() if p.camera_id == "c1"]
        assert len(told) == len(set(told))
    finally:
        await witness.stop()


async def test_a_camera_that_moves_in_a_meeting_is_recorded_again(
    house: House, camera: Camera
) -> None:
    camera.onvif.house.serial = "SN-1"
    site = Site(house, camera)
    room, right = site.rooms["r1"], site.source
    wrong_place = replace(right, port=free_port())
    source = replace(camera.source(), url=f"rtsp://127.0.0.1:{free_port()}/stream")
    lost = replace(room, cameras=(replace(room.cameras[0], source=source, onvif=wrong_place),))
    witness = await house.started(lost)
    responder = Discovery("door", "127.0.0.1", camera.onvif.port, camera.onvif.house.endpoint)
    await responder.start(0)
    found: list[OnvifSource] = []
    try:
        witness.devices.again_s = 0.2
        witness.devices.find = partial(discover, 0.2, [("127.0.0.1", responder.port)])
        witness.devices.moved = lambda _camera, there: found.append(there)
        await witness.reconcile("r1", [booking(-1, 60)])
        await until(lambda: any(p.key == "camera_unreachable" for p in witness.problems()))
        async with asyncio.timeout(10):
            while not found:
                await asyncio.sleep(0.1)
                await witness.devices.round()
        assert found[0] == right
        await witness.set_rooms([room])
        await until(lambda: witness.status("r1").bytes > 0)
        assert "camera_moved" in house.log_kinds()
    finally:
        responder.stop()
        await witness.stop()
