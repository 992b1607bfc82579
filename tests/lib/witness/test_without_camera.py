"""A room whose cameras were deleted: it never says that it records, and says what to do."""

from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from roomwitness.capture import StreamSource
from roomwitness.onvif import OnvifSource
from roomwitness.policy.words import MeetingState
from roomwitness.witness import CameraConfig, RelayLamp, RoomConfig, Witness, problems
from roomwitness.witness.errors import LegalFileIncomplete, RoomIdle, RoomWithoutCamera
from tests.camera import Camera
from tests.camera import CameraConfig as Simulated

from .house import LEGAL, POLICY, House, booking, until

GONE = "room_without_camera"
SOURCE = StreamSource("rtsp://camera.invalid/")


def keys(witness: Witness) -> list[str]:
    return [problem.key for problem in witness.problems()]


def without(room: RoomConfig) -> RoomConfig:
    """The room once all of its cameras are deleted."""
    return replace(room, cameras=(), cameras_gone=len(room.cameras))


@given(st.integers(0, 3), st.integers(0, 3), st.booleans())
def test_a_room_records_with_what_there_is_and_tells_what_is_not(
    there: int, gone: int, legal: bool
) -> None:
    room = RoomConfig(
        id="r1",
        cameras=tuple(CameraConfig(id=f"c{i}", source=SOURCE) for i in range(there)),
        policy=POLICY,
        legal_file=LEGAL if legal else replace(LEGAL, contact=""),
        calendar_bound=False,
        cameras_gone=gone,
    )
    assert room.armed is (there > 0 and legal)
    told = [(p.key, dict(p.placeholders)) for p in problems.of_room_cameras(room)]
    if not there:
        assert told == [(GONE, {})]
        with pytest.raises(RoomWithoutCamera):
            room.require_armed()
    else:
        assert told == ([("room_camera_gone", {"count": str(gone)})] if gone else [])
        if not legal:
            with pytest.raises(LegalFileIncomplete):
                room.require_armed()


async def test_nothing_begins_and_the_check_fails_until_there_is_a_camera(
    camera: Camera, house: House
) -> None:
    room = house.room(camera.source())
    witness = await house.started(without(room))
    assert keys(witness) == [GONE]
    await witness.reconcile("r1", [booking(-5, 600)])
    assert [p.key for p in await witness.preflight("r1")] == [GONE]
    with pytest.raises(RoomWithoutCamera):
        await witness.start_meeting("r1")
    await witness.tick()
    status = witness.status("r1")
    assert (status.recording, status.problem) == (False, GONE)
    assert "start" not in house.log_kinds()
    with pytest.raises(RoomIdle):
        await witness.report_threat("r1")
    await witness.set_rooms([room])
    await until(lambda: witness.status("r1").segments)
    assert witness.status("r1").recording
    await witness.stop()


async def test_a_meeting_whose_camera_is_deleted_says_that_nothing_is_recorded(
    tmp_path: Path,
) -> None:
    house = House(tmp_path)
    config = Simulated(width=160, height=96, gop=5, user="u", password="p w", relays=1)
    async with Camera(config) as camera:
        source = OnvifSource("127.0.0.1", camera.onvif.port, "u", "p w")
        lamp = CameraConfig(id="c9", source=camera.source(), onvif=source)
        room = replace(house.room(camera.source(), bound=False), lamp=RelayLamp("c9", "relay1"))
        witness = house.witness()
        await witness.start()
        witness.cameras.configure([lamp])
        await witness.set_rooms([room])
        relay = camera.signals.relays["relay1"]
        meeting = await witness.start_meeting("r1")
        await until(lambda: witness.status("r1").segments and relay.state == "active")
        await witness.set_rooms([without(room)])
        status = witness.status("r1")
        assert (status.recording, status.state) == (False, MeetingState.PAUSED)
        assert status.problem == GONE
        await until(lambda: relay.state == "inactive")
        assert await witness.report_threat("r1") == meeting, "what was recorded is held"
        await witness.set_rooms([room])
        await until(lambda: witness.status("r1").segments and relay.state == "active")
        assert witness.status("r1").state is MeetingState.RECORDING
        assert keys(witness) == []
        await witness.stop()


async def test_one_of_two_that_is_deleted_is_missed_and_the_other_records(
    camera: Camera, house: House
) -> None:
    room = replace(house.room(camera.source(), bound=False), cameras_gone=1)
    witness = await house.started(room)
    assert [p.key for p in await witness.preflight("r1")] == ["room_camera_gone"]
    await witness.start_meeting("r1")
    await until(lambda: witness.status("r1").segments)
    assert witness.status("r1").recording
    assert set(keys(witness)) == {"room_camera_gone"}
    await witness.stop()


async def test_nothing_is_watched_and_no_threat_begins_an_empty_recording(house: House) -> None:
    policy = replace(POLICY, pre_roll=timedelta(seconds=5))
    witness = await house.started(without(house.room(SOURCE, policy=policy, bound=False)))
    await witness.tick()
    assert witness.status("r1").pre_roll_s == 0
    with pytest.raises(RoomWithoutCamera):
        await witness.report_threat("r1")
    assert witness.meetings("r1") == ()
    assert set(keys(witness)) == {GONE, "threat_held_nothing"}, "not tried again and again"
    await witness.stop()
