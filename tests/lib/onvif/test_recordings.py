"""What a camera records by itself is outside our erasure: it must be noticed."""

from collections.abc import AsyncIterator

import pytest

from roomwitness.onvif import (
    Connection,
    OnvifSource,
    OnvifUnreachable,
    OwnRecordings,
    own_recordings,
)
from tests.camera import Camera, CameraConfig


@pytest.fixture
async def camera() -> AsyncIterator[Camera]:
    async with Camera(CameraConfig(user="admin", password="word")) as found:
        yield found


async def asked(camera: Camera) -> OwnRecordings:
    source = OnvifSource("127.0.0.1", camera.onvif.port, "admin", "word")
    async with Connection(source) as device:
        return await own_recordings(device)


async def test_a_camera_without_profile_g_tells_of_none(camera: Camera) -> None:
    assert await asked(camera) == OwnRecordings(active=False, stored=False)


@pytest.mark.parametrize(
    ("jobs", "stored", "expected"),
    [
        ([], 0, (False, False)),
        (["Idle"], 0, (False, False)),
        (["Idle", "Active"], 0, (True, False)),
        (["Active"], 1, (True, True)),
        (["Idle"], 1, (False, True)),
    ],
)
async def test_jobs_and_pictures_are_told(
    camera: Camera, jobs: list[str], stored: int, expected: tuple[bool, bool]
) -> None:
    camera.onvif.house.jobs, camera.onvif.house.stored = jobs, stored
    found = await asked(camera)
    assert (found.active, found.stored) == expected


@pytest.mark.parametrize(
    ("storages", "expected"),
    [([], False), ([""], False), (["", "nfs://user:word@10.0.0.9/x"], True)],
)
async def test_a_storage_on_the_network_is_told(
    camera: Camera, storages: list[str], expected: bool
) -> None:
    camera.onvif.house.storages = storages
    found = await asked(camera)
    assert found == OwnRecordings(active=False, stored=False, elsewhere=expected)
    assert "word" not in repr(found)


async def test_a_service_that_refuses_tells_of_none(camera: Camera) -> None:
    house = camera.onvif.house
    house.jobs, house.stored = ["Active"], 1
    house._GetRecordingJobs = lambda _: "!NotAuthorized"  # type: ignore[method-assign]
    house._GetRecordingSummary = lambda _: "!ActionNotSupported"  # type: ignore[method-assign]
    assert await asked(camera) == OwnRecordings(active=False, stored=False)
    source = OnvifSource("127.0.0.1", camera.onvif.port, "admin", "word")
    async with Connection(source) as device:
        await device.services()
        await camera.fault("kill")
        with pytest.raises(OnvifUnreachable):
            await own_recordings(device)
