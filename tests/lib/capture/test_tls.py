"""RTSP over TLS: by a chain of trust, by a pinned certificate, and by nothing less."""

import asyncio
import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from bench import _media
from roomwitness.capture import CaptureError, StreamSource, Transport, presented, probe, tls
from roomwitness.capture.redirect import moved
from roomwitness.capture.source import Endpoint
from tests.camera import Camera, CameraConfig
from tests.peers import gstreamer
from tests.peers.certificates import Certificate, make

from .test_recorder import Run, until
from .test_udp import SLOW, unbroken


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("certificates")


@pytest.fixture(scope="module")
def own(folder: Path) -> Certificate:
    """What cameras have: signed by itself."""
    return make(folder / "own.pem")


@pytest.fixture
def authority(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Certificate]:
    """One that this computer trusts."""
    found = make(folder / "authority.pem", ca=True)
    monkeypatch.setenv("SSL_CERT_FILE", str(found.path))
    tls._by_authority.cache_clear()
    yield found
    tls._by_authority.cache_clear()


def camera(certificate: Certificate) -> Camera:
    size = {"width": 160, "height": 96, "fps": 20, "gop": 10, "user": "cam", "password": "w"}
    return Camera(CameraConfig(**size, tls=certificate.server()))  # type: ignore[arg-type]


async def refused(source: StreamSource) -> CaptureError:
    with pytest.raises(CaptureError) as caught:
        await probe(source, timeout_s=3.0)
    return caught.value


async def test_every_access_unit_of_gstreamer_over_tls(film: _media.Film, own: Certificate) -> None:
    with gstreamer(fps=film.fps, loop=film.folder, tls=own.path, user="staff", password="p:w") as (
        url,
        _,
    ):
        source = StreamSource(url.replace("/cam", "/loop"), "staff", "p:w")
        assert await presented(source) == own.fingerprint
        pinned = replace(source, fingerprint=own.fingerprint)
        run = Run(pinned, segment_seconds=2.0, timeouts=SLOW)
        await run.segments(1)
        sink = await run.stop()
    assert unbroken(film, sink)
    assert sink.errors == []


async def test_a_chain_of_trust_is_enough_and_must_name_the_host(
    folder: Path, authority: Certificate
) -> None:
    good = make(folder / "good.pem", issuer=authority)
    async with camera(good) as found:
        assert (await probe(found.source())).codec == "H.264"
        assert await presented(found.source()) is None
    async with camera(make(folder / "other.pem", "192.0.2.1", authority)) as found:
        error = await refused(found.source())
    assert error.key == "certificate_unknown"


async def test_an_unknown_certificate_is_named_and_nothing_is_said_before_it_is_pinned(
    own: Certificate,
) -> None:
    async with camera(own) as found:
        error = await refused(found.source())
        assert (error.key, error.placeholders) == (
            "certificate_unknown",
            {"fingerprint": own.fingerprint},
        )
        assert found.rtsp.requests == 0
        pinned = replace(found.source(), fingerprint=own.fingerprint)
        assert (await probe(pinned)).codec == "H.264"
        assert found.rtsp.requests > 0


async def test_a_changed_certificate_hears_no_password_until_it_is_confirmed(
    folder: Path, own: Certificate
) -> None:
    new = make(folder / "new.pem")
    async with camera(own) as found:
        source = replace(found.source(), fingerprint=own.fingerprint)
        run = Run(source, timeouts=SLOW)
        await run.segments(1)
        await found.rtsp.stop()
        found.config.tls, found.rtsp.requests = new.server(), 0
        await found.rtsp.start()
        await until(lambda: "certificate_changed" in run.sink.errors)
        assert found.rtsp.requests == 0
        error = await refused(source)
        assert error.placeholders == {"pinned": own.fingerprint, "fingerprint": new.fingerprint}
        run.recorder.change(replace(source, fingerprint=new.fingerprint))
        await run.segments(1)
        await run.stop()


async def test_sound_is_not_switched_on_in_the_middle(own: Certificate) -> None:
    async with camera(own) as found:
        silent = replace(found.source(audio=False), fingerprint="00")
        run = Run(silent, timeouts=SLOW)
        await until(lambda: "certificate_changed" in run.sink.errors)
        run.recorder.change(replace(silent, fingerprint=own.fingerprint, audio=True))
        await run.segments(1)
        sink = await run.stop()
    assert b"mp4a" not in sink.closed[0].data


async def test_who_speaks_no_tls_who_closes_and_who_is_not_there(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(tls, "_HANDSHAKE_S", 0.3)
    async with Camera(CameraConfig()) as plain:
        wrong = StreamSource(plain.url.replace("rtsp:", "rtsps:"))
        assert (await refused(wrong)).key == "tls_failed"
        with pytest.raises(CaptureError) as caught:
            await presented(wrong)
        assert caught.value.key == "tls_failed"

    async def close(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.transport.abort()

    server = await asyncio.start_server(close, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    assert (await refused(StreamSource(f"rtsps://127.0.0.1:{port}/"))).key == "tls_failed"
    server.close()
    await server.wait_closed()
    assert (await refused(StreamSource(f"rtsps://127.0.0.1:{port}/"))).key == "camera_unreachable"

    async def silent(reader: asyncio.StreamReader, _writer: asyncio.StreamWriter) -> None:
        await reader.read()  # Until the other side goes.

    server = await asyncio.start_server(silent, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    with pytest.raises(CaptureError) as caught:
        await presented(StreamSource(f"rtsps://127.0.0.1:{port}/"), timeout_s=0.2)
    assert caught.value.key == "camera_unreachable"
    server.close()


async def test_media_is_never_in_the_clear_beside_tls(own: Certificate) -> None:
    url = "rtsps://camera.example/stream"
    assert StreamSource(url).endpoint().port == 322
    assert StreamSource("rtsps://camera.example:554/").endpoint().port == 554
    assert (await refused(StreamSource(url, transport=Transport.UDP))).key == "transport_insecure"
    with pytest.raises(CaptureError) as caught:
        moved(StreamSource(url), "rtsp://camera.example/stream", None)
    assert caught.value.key == "transport_insecure"
    assert moved(StreamSource(url), "rtsps://camera.example/b", None).endpoint().tls
    async with camera(own) as found:
        found.config.udp = True
        error = await refused(replace(found.source(), fingerprint=own.fingerprint))
    assert error.key == "transport_refused"


async def test_the_authorities_are_not_read_on_the_event_loop(
    own: Certificate, monkeypatch: pytest.MonkeyPatch
) -> None:
    threads: list[threading.Thread] = []
    make_context = tls.ssl.create_default_context

    def noted() -> object:
        threads.append(threading.current_thread())
        return make_context()

    monkeypatch.setattr(tls.ssl, "create_default_context", noted)
    tls._by_authority.cache_clear()
    tls._by_pin.cache_clear()
    async with camera(own) as found:
        await refused(found.source())
    tls._by_authority.cache_clear()
    assert len(threads) == 2
    assert threading.current_thread() not in threads


def test_the_source_tells_nothing() -> None:
    assert "AB" not in repr(StreamSource("rtsps://host/", "name", "word", fingerprint="AB"))


@pytest.mark.parametrize("secure", [False, True])
@pytest.mark.parametrize("host", ["a..b", "a" * 64, "a\0b"])
async def test_a_name_that_no_resolver_takes_is_not_reached(host: str, secure: bool) -> None:
    nowhere = Endpoint(host, 554, "rtsp://x", "", "", secure)
    with pytest.raises(CaptureError) as caught:
        await tls.connect(nowhere, 554, asyncio.Protocol)
    assert caught.value.key == "camera_unreachable"
