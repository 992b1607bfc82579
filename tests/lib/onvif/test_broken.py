"""Each mistake of real cameras, on a real HTTP server: it works, or it is told what is wrong."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime

import pytest

from roomwitness.onvif import (
    Connection,
    OnvifAuthFailed,
    OnvifError,
    OnvifSource,
    OnvifUnreachable,
    describe,
    names,
)
from roomwitness.onvif.clock import Offset
from tests.camera import CameraConfig
from tests.camera.broken import BrokenOnvif, Mistake

USER, PASSWORD = "admin", 'pass & "<word>" åäö'


@asynccontextmanager
async def broken(mistake: Mistake) -> AsyncIterator[tuple[BrokenOnvif, OnvifSource]]:
    camera = BrokenOnvif(CameraConfig(user=USER, password=PASSWORD), mistake)
    await camera.start()
    camera.rtsp_port = 8554
    try:
        yield camera, OnvifSource("127.0.0.1", camera.port, USER, PASSWORD)
    finally:
        await camera.stop()


def no_password_in(camera: BrokenOnvif) -> bool:
    return not any(PASSWORD in told or "Basic" in told for told in camera.told)


# The first five are what onvif-zeep-async 4.3.0 fails at (LAB.md).
@pytest.mark.parametrize(
    "mistake",
    [
        "digest_only",
        "xaddr_nowhere",
        "soap11_as_html",
        "hour_24",
        "undeclared_prefix",
        "digest_and_token",
        "basic_first",
        "soap11_only",
        "no_services",
        "private_time",
        "no_time",
        "behind_nat",
    ],
)
async def test_it_works_all_the_same(mistake: Mistake) -> None:
    async with broken(mistake) as (camera, source):
        info = await describe(source)
        assert info.identity.model == "Simulator"
        assert info.best.url == "rtsp://127.0.0.1:8554/stream"
        if mistake == "no_time":
            assert info.clock_offset_s is None
        elif mistake != "private_time":  # There the day may change between ours and theirs.
            assert info.clock_offset_s == pytest.approx(camera.faults.clock_offset_s, abs=1)
        assert no_password_in(camera)
        wrong = OnvifSource(source.host, source.port, USER, "wrong")
        with pytest.raises(OnvifAuthFailed):
            await describe(wrong)


@pytest.mark.parametrize(
    ("mistake", "error"),
    [
        ("basic_only", OnvifAuthFailed),
        ("redirect", OnvifError),
        ("html", OnvifError),
        ("empty", OnvifError),
        ("doctype", OnvifError),
        ("endless", OnvifError),
    ],
)
async def test_what_cannot_work_is_told(mistake: Mistake, error: type[OnvifError]) -> None:
    async with broken(mistake) as (camera, source):
        with pytest.raises(error) as caught:
            await describe(source)
        assert type(caught.value) is error
        assert str(source.port) not in str(caught.value)
        assert no_password_in(camera)
        assert not any("/elsewhere" in told for told in camera.told)


async def test_a_digest_is_renewed_when_the_device_forgets_its_nonce() -> None:
    async with broken("digest_only") as (camera, source), Connection(source) as device:
        await device.services()
        camera.new_nonce()
        await device.call(names.DEVICE, "GetDeviceInformation")


async def test_an_unknown_host_gets_no_credentials_before_it_refuses() -> None:
    async with (
        broken("xaddr_nowhere") as (camera, source),
        Connection(source, cautious=True) as device,
    ):
        await device.call(names.DEVICE, "GetSystemDateAndTime")
        assert not any("Security>" in told or "Authorization" in told for told in camera.told)
        await device.call(names.DEVICE, "GetDeviceInformation")
        assert no_password_in(camera)
        assert "Security>" in camera.told[-1]


async def test_a_service_that_is_not_there_is_a_fault() -> None:
    async with broken("xaddr_nowhere") as (_, source), Connection(source) as device:
        with pytest.raises(OnvifError) as caught:
            await device.call(names.REPLAY, "GetServiceCapabilities")
        assert getattr(caught.value, "codes", None) == {"actionnotsupported"}
        for told in ("http://[x", "ftp://x/y", "", "http://10.0.0.1:99999/x"):
            assert device.address(told) == f"http://127.0.0.1:{source.port}{names.DEVICE_PATH}"
        assert device.address("http://10.0.0.1:81/e?n=1") == "http://127.0.0.1:81/e?n=1"
    with pytest.raises(OnvifUnreachable):
        await describe(OnvifSource("no such host", 80))


async def test_a_clock_at_the_end_of_all_years_is_asked_by_ours() -> None:
    device = Connection(OnvifSource("127.0.0.1", 80, USER, PASSWORD))
    device._clock_asked, device.clock = True, Offset(3e11, 3e11)
    now = datetime.now(UTC)
    assert f"{now:%Y-%m-%dT}" in await device._security()


async def test_a_host_that_is_none_is_not_reached() -> None:
    async with Connection(OnvifSource("[", 80)) as device:
        with pytest.raises(OnvifUnreachable):
            await device.services()
