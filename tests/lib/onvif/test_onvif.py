"""Discovery and description, against our camera and an independent one, and against nonsense."""

from collections.abc import AsyncIterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from roomwitness.capture import StreamSource, probe
from roomwitness.onvif import (
    OnvifAuthFailed,
    OnvifError,
    OnvifNoProfile,
    OnvifUnreachable,
    describe,
    discover,
    parse_match,
)
from tests.camera import Camera, CameraConfig
from tests.camera.discovery import Discovery
from tests.peers import free_port, ipycam


@pytest.fixture
async def camera() -> AsyncIterator[Camera]:
    async with Camera(CameraConfig(user="admin", password="pass & <word>")) as found:
        yield found


async def test_a_camera_says_what_a_recorder_needs(camera: Camera) -> None:
    await camera.fault("clock_offset_s", 60.0)
    info = await describe("127.0.0.1", camera.onvif.port, "admin", "pass & <word>")
    assert (info.manufacturer, info.model) == ("Room Witness", "Simulator")
    assert info.clock_offset_s == pytest.approx(60, abs=2)
    assert info.best.url == camera.url
    assert (info.best.width, info.best.height, info.best.has_audio) == (640, 360, True)
    assert camera.url not in repr(info)


async def test_what_can_be_wrong_is_told_apart(camera: Camera) -> None:
    port = camera.onvif.port
    with pytest.raises(OnvifAuthFailed):
        await describe("127.0.0.1", port, "admin", "wrong")
    with pytest.raises(OnvifUnreachable):
        await describe("127.0.0.1", free_port(), "admin", "x")
    with pytest.raises(OnvifUnreachable):
        await describe("127.0.0.1", camera.rtsp.port, "admin", "x", timeout_s=1.0)
    camera.onvif._GetProfiles = lambda: "<trt:GetProfilesResponse/>"  # type: ignore[method-assign]
    with pytest.raises(OnvifNoProfile):
        await describe("127.0.0.1", port, "admin", "pass & <word>")
    camera.onvif._GetProfiles = None  # type: ignore[method-assign,assignment]
    with pytest.raises(OnvifError) as caught:
        await describe("127.0.0.1", port, "admin", "pass & <word>")
    assert caught.value.key == "onvif_error"
    assert "127.0.0.1" not in str(caught.value)


async def test_an_independent_camera_from_onvif_to_picture() -> None:
    with ipycam(user="admin", password="secret") as (onvif, _rtsp):
        info = await describe("127.0.0.1", onvif, "admin", "secret")
        assert info.model == "VirtualCam-1"
        stream = await probe(StreamSource(info.best.url, "admin", "secret"))
        assert (stream.width, stream.height) == (640, 360)
        with pytest.raises(OnvifAuthFailed):
            await describe("127.0.0.1", onvif, "admin", "wrong")


async def test_discovery_finds_who_answers() -> None:
    responder = Discovery("Room 12", "127.0.0.1", 8080)
    await responder.start(0)
    found = await discover(0.6, [("127.0.0.1", responder.port)])
    responder.stop()
    ours = [c for c in found if c.port == 8080]
    assert [(c.host, c.name, c.hardware) for c in ours] == [("127.0.0.1", "Room 12", "Simulator")]


def match(inner: str, wrapper: str = "ProbeMatches") -> bytes:
    return (
        '<s:Envelope xmlns:s="http://www.w3.org/2003/05/soap-envelope"'
        ' xmlns:d="http://schemas.xmlsoap.org/ws/2005/04/discovery"><s:Body>'
        f"<d:{wrapper}><d:ProbeMatch>{inner}</d:ProbeMatch></d:{wrapper}></s:Body></s:Envelope>"
    ).encode()


def test_lenient_with_real_cameras_mistakes() -> None:
    address = "<d:XAddrs>http://{}/onvif/device_service</d:XAddrs>"
    for inner, expected in (
        (address.format("10.1.1.1:8000"), ("10.1.1.1", 8000)),
        (address.format("0.0.0.0"), ("10.9.9.9", 80)),
        (address.format("169.254.1.1"), ("10.9.9.9", 80)),
        (
            "<d:XAddrs>https://x/ http://10.1.1.1:99999/ http://10.2.2.2/o</d:XAddrs>",
            ("10.2.2.2", 80),
        ),
    ):
        for wrapper in ("ProbeMatches", "ProbeMatch"):
            (found,) = parse_match(match(inner, wrapper), "10.9.9.9")[:1]
            assert (found.host, found.port) == expected
    flat = match("").replace(b"<d:ProbeMatch></d:ProbeMatch>", address.format("10.1.1.1").encode())
    assert parse_match(flat, "10.9.9.9")[0].host == "10.1.1.1"
    assert parse_match(match("<d:XAddrs>ftp://x</d:XAddrs>"), "10.9.9.9") == ()
    assert parse_match(b"<!DOCTYPE x>" + match(address.format("10.1.1.1")), "10.9.9.9") == ()
    assert parse_match(b" " * 70000, "10.9.9.9") == ()


@given(st.binary(max_size=300))
def test_any_answer_is_a_camera_or_nothing(data: bytes) -> None:
    assert isinstance(parse_match(data, "10.0.0.1"), tuple)
