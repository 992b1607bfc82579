"""RTSP over HTTP: through GStreamer's own tunnel, and through gateways that are harder."""

import asyncio
from base64 import b64encode
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bench import _media
from roomwitness.capture import CaptureError, StreamSource, Transport, messages, presented, probe
from roomwitness.policy.words import GapCause
from tests.camera import Camera, CameraConfig
from tests.peers import gstreamer
from tests.peers.certificates import make
from tests.peers.gateway import Gateway

from .memory import decode
from .test_recorder import Run, until
from .test_udp import SLOW, unbroken


def tunnelled(source: StreamSource, port: int | None) -> StreamSource:
    return replace(source, transport=Transport.HTTP, tunnel_port=port)


@pytest.mark.parametrize("secure", [False, True])
async def test_every_access_unit_through_gstreamers_tunnel(
    film: _media.Film, secure: bool, tmp_path: Path
) -> None:
    certificate = make(tmp_path / "own.pem")
    with gstreamer(
        fps=film.fps,
        loop=film.folder,
        user="staff",
        password="p:w",
        tls=certificate.path if secure else None,
    ) as (url, _):
        port = urlsplit(url).port
        source = tunnelled(StreamSource(url.replace("/cam", "/loop"), "staff", "p:w"), port)
        if secure:
            assert await presented(source) == certificate.fingerprint
            source = replace(source, fingerprint=certificate.fingerprint)
        run = Run(source, segment_seconds=2.0, timeouts=SLOW)
        await run.segments(1)
        sink = await run.stop()
    assert unbroken(film, sink)
    assert sink.errors == []
    assert sink.causes[0] is GapCause.CONNECTING


@pytest.fixture
async def camera() -> AsyncIterator[Camera]:
    size = {"width": 160, "height": 96, "fps": 20, "gop": 10}
    async with Camera(CameraConfig(**size)) as found:  # type: ignore[arg-type]
        yield found


async def refused(source: StreamSource) -> str:
    with pytest.raises(CaptureError) as caught:
        await probe(source, timeout_s=2.0)
    return caught.value.key


@pytest.mark.parametrize(("auth", "asked"), [("basic", 1), ("digest", 1), ("once", 2)])
async def test_a_tunnel_with_a_password_of_its_own(camera: Camera, auth: str, asked: int) -> None:
    async with Gateway(camera.rtsp.port, auth=auth) as gate:
        source = tunnelled(
            StreamSource(camera.url, gate.user, gate.password, audio=True), gate.port
        )
        run = Run(source, timeouts=SLOW)
        await run.segments(1)
        sink = await run.stop()
        assert gate.refused == asked
        wrong = replace(source, password="wrong")
        assert await refused(wrong) == "camera_auth_failed"
        assert await refused(replace(source, username="")) == "camera_auth_failed"
    assert decode(sink.closed[0].data).first_is_key
    assert sink.errors == []


async def test_a_post_that_is_ended_is_opened_again(camera: Camera) -> None:
    async with Gateway(camera.rtsp.port, auth="digest", patience=1) as gate:
        source = tunnelled(StreamSource(camera.url, gate.user, gate.password), gate.port)
        run = Run(source, timeouts=SLOW)
        await run.segments(1)
        sink = await run.stop()
        assert gate.posts >= 3  # DESCRIBE, SETUP, PLAY.
        assert gate.gets == 1
    assert sink.errors == []


async def test_a_request_that_came_too_late_for_its_post_is_repeated(camera: Camera) -> None:
    async with Gateway(camera.rtsp.port) as gate:
        gate.swallow = 2
        source = tunnelled(StreamSource(camera.url), gate.port)
        assert (await probe(source, timeout_s=5.0)).codec == "H.264"
        assert (gate.gets, gate.posts) == (1, 3)


async def test_what_follows_the_answer_at_once_is_read(camera: Camera) -> None:
    early = b"OPTIONS * RTSP/1.0\r\nCSeq: 7\r\n\r\n"
    said: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        if head.startswith(b"GET"):
            writer.write(b"HTTP/1.0 200 OK\r\n\r\n" + early)
            await said
        else:
            said.set_result(await reader.read(1 << 12))
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    assert await refused(tunnelled(StreamSource("rtsp://127.0.0.1/"), port)) == "camera_unreachable"
    assert (await said).startswith(b64encode(b"RTSP/1.0 200 OK\r\nCSeq"))
    server.close()


async def test_a_tunnel_that_breaks_is_an_ordinary_gap(camera: Camera) -> None:
    async with Gateway(camera.rtsp.port) as gate:
        run = Run(tunnelled(camera.source(), gate.port), timeouts=SLOW)
        await run.segments(1)
        camera.rtsp.drop()
        await run.segments(2)
        sink = await run.stop()
        assert gate.gets == 2
    assert GapCause.CONNECTION_LOST in sink.causes


@pytest.mark.parametrize(
    ("status", "key"),
    [(404, "transport_refused"), (403, "camera_auth_failed"), (302, "transport_refused")],
)
async def test_what_offers_no_tunnel_says_so(camera: Camera, status: int, key: str) -> None:
    async with Gateway(camera.rtsp.port, status=status) as gate:
        assert await refused(tunnelled(camera.source(), gate.port)) == key


@pytest.mark.parametrize(
    ("answers", "key"),
    [
        ((b"SSH-2.0-server\r\n",), "transport_refused"),
        ((b"RTSP/1.0 400 Bad Request\r\n\r\n",), "transport_refused"),
        ((b"HTTP/1.0 x\r\n\r\n",), "transport_refused"),
        ((b"HTTP/1.0\r\n\r\n",), "transport_refused"),
        ((b"HT", b"TP/1.0 200 OK\r\n" + b"a: b\r\n" * 4000), "transport_refused"),
        ((b"HTTP/1.0 401 No\r\nWWW-Authenticate: Bearer\r\n\r\n",), "camera_auth_failed"),
        ((b"",), "camera_unreachable"),
        ((b"HTTP/1.0 200 OK\r\n\r\n",), "camera_unreachable"),
    ],
)
async def test_strange_answers(answers: tuple[bytes, ...], key: str) -> None:
    async def serve(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        for data in answers:
            writer.write(data)
            await asyncio.sleep(0.01)
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    assert await refused(tunnelled(StreamSource("rtsp://127.0.0.1/", "a", "b"), port)) == key
    server.close()


@pytest.mark.parametrize(
    ("post", "key"),
    [
        (b"HTTP/1.0 405 No\r\n\r\n", "transport_refused"),
        (b"HTTP/1.0 401 No\r\n\r\n", "camera_auth_failed"),
        (None, "camera_unreachable"),
    ],
)
async def test_a_post_that_is_refused(post: bytes | None, key: str) -> None:
    """``None``: nobody listens any more when the POST comes."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        if head.startswith(b"GET"):
            if post is None:
                server.close()
            writer.write(b"HTTP/1.0 200 OK\r\n\r\n")
            await reader.read()  # Until the other side goes.
        elif post is not None:
            writer.write(post)
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    assert await refused(tunnelled(StreamSource("rtsp://127.0.0.1/"), port)) == key
    server.close()


async def test_a_post_that_cannot_be_opened_again_ends_the_connection(camera: Camera) -> None:
    async with Gateway(camera.rtsp.port, patience=2) as gate:
        gate.only_post = True
        run = Run(tunnelled(camera.source(), gate.port), timeouts=SLOW)
        await until(lambda: "camera_unreachable" in run.sink.errors)
        await run.stop()


def test_where_the_tunnel_is() -> None:
    source = StreamSource("rtsp://camera/a?b", transport=Transport.HTTP)
    assert source.endpoint().entrance == 80
    assert replace(source, url="rtsps://camera/a").endpoint().entrance == 443
    assert replace(source, tunnel_port=8080).endpoint().entrance == 8080
    assert StreamSource("rtsp://camera/", tunnel_port=8080).endpoint().entrance == 554
    assert source.endpoint().uri == "rtsp://camera:554/a?b"


@settings(deadline=None)
@given(st.binary(max_size=60), st.sampled_from((b"", b"HTTP/1.1 200 OK\r\n", b"HTTP/1.0 ")))
def test_whatever_answers(data: bytes, before: bytes) -> None:
    try:
        found = messages.web(bytearray(before + data))
    except CaptureError:
        return
    assert found is None or found[1] <= len(before + data)
