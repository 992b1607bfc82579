"""Description, against our camera and an independent one."""

import asyncio
import importlib
from collections.abc import AsyncIterator

import pytest

from roomwitness.capture import StreamSource, probe
from roomwitness.onvif import (
    OnvifAuthFailed,
    OnvifError,
    OnvifNoProfile,
    OnvifSource,
    OnvifUnreachable,
    describe,
)
from tests.camera import Camera, CameraConfig, VideoProfile
from tests.peers import free_port, ipycam


@pytest.fixture
async def camera() -> AsyncIterator[Camera]:
    async with Camera(CameraConfig(user="admin", password="pass & <word>")) as found:
        yield found


async def test_a_camera_says_what_a_recorder_needs(camera: Camera) -> None:
    await camera.fault("clock_offset_s", 60.0)
    info = await describe(OnvifSource("127.0.0.1", camera.onvif.port, "admin", "pass & <word>"))
    assert (info.identity.manufacturer, info.identity.model) == ("Room Witness", "Simulator")
    assert info.clock_offset_s == pytest.approx(60, abs=2)
    assert info.best.url == camera.url
    assert (info.best.width, info.best.height, info.best.has_audio) == (640, 360, True)
    assert camera.url not in repr(info)


async def test_what_can_be_wrong_is_told_apart(camera: Camera) -> None:
    port = camera.onvif.port
    with pytest.raises(OnvifAuthFailed):
        await describe(OnvifSource("127.0.0.1", port, "admin", "wrong"))
    with pytest.raises(OnvifUnreachable):
        await describe(OnvifSource("127.0.0.1", free_port(), "admin", "x"))
    with pytest.raises(OnvifUnreachable):
        await describe(OnvifSource("127.0.0.1", camera.rtsp.port, "admin", "x"), timeout_s=1.0)
    camera.config.profiles = (VideoProfile("old", "MPEG4"),)
    with pytest.raises(OnvifNoProfile):
        await describe(OnvifSource("127.0.0.1", port, "admin", "pass & <word>"))
    camera.onvif._GetDeviceInformation = None  # type: ignore[method-assign,assignment]
    with pytest.raises(OnvifError) as caught:
        await describe(OnvifSource("127.0.0.1", port, "admin", "pass & <word>"))
    assert caught.value.key == "onvif_error"
    assert "127.0.0.1" not in str(caught.value)


async def test_an_independent_client_reads_the_same(camera: Camera) -> None:
    onvif = await asyncio.to_thread(importlib.import_module, "onvif")
    port = camera.onvif.port
    ours = await describe(OnvifSource("127.0.0.1", port, "admin", "pass & <word>"))
    zeep = onvif.ONVIFCamera("127.0.0.1", port, "admin", "pass & <word>", adjust_time=True)
    try:
        await zeep.update_xaddrs()
        media = await zeep.create_media_service()
        (profile,) = await media.GetProfiles()
    finally:
        await zeep.close()
    encoder = profile.VideoEncoderConfiguration
    theirs = (encoder.Resolution.Width, encoder.Resolution.Height, encoder.RateControl.BitrateLimit)
    assert theirs == (ours.best.width, ours.best.height, ours.best.bit_rate)
    assert profile.token == ours.best.token


async def test_an_independent_camera_from_onvif_to_picture() -> None:
    with ipycam(user="admin", password="secret") as (onvif, _rtsp):
        info = await describe(OnvifSource("127.0.0.1", onvif, "admin", "secret"))
        assert info.identity.model == "VirtualCam-1"
        stream = await probe(StreamSource(info.best.url, "admin", "secret"))
        assert (stream.width, stream.height) == (640, 360)
        with pytest.raises(OnvifAuthFailed):
            await describe(OnvifSource("127.0.0.1", onvif, "admin", "wrong"))
