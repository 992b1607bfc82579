"""RTP over UDP: from GStreamer's server and over a network that disorders, loses and lies."""

import asyncio
import socket
from contextlib import suppress
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bench import _media
from roomwitness.capture import CaptureError, StreamSource, Timeouts, carrier, probe, udp
from roomwitness.capture.carrier import sender_of, transport_of
from roomwitness.capture.errors import CameraUnreachable
from roomwitness.capture.source import Transport
from roomwitness.capture.udp import Sender, UdpMedia, bind_pair
from roomwitness.policy.words import GapCause
from tests.camera import Camera, CameraConfig
from tests.peers import gstreamer

from .memory import MemorySink, decode
from .test_recorder import Run, until

SLOW = Timeouts(request=2.0, bytes=8.0, picture=8.0, retries=(0.1,))


def places(film: _media.Film, sink: MemorySink) -> list[int | None]:
    """Which pictures of the film were recorded, in order."""
    return [
        place for segment in sink.closed for _, place in _media.pictures(film, bytes(segment.data))
    ]


def unbroken(film: _media.Film, sink: MemorySink) -> bool:
    """Whether it is the film's own access units, each followed by its next one."""
    found = places(film, sink)
    return len(found) > film.fps and all(
        a is not None and b == (a + 1) % len(film.places) for a, b in pairwise(found)
    )


async def test_every_access_unit_of_a_server_that_has_only_udp(film: _media.Film) -> None:
    with gstreamer(fps=film.fps, loop=film.folder, udp_only=True) as (url, _):
        source = StreamSource(url.replace("/cam", "/loop"))
        run = Run(source, segment_seconds=2.0, timeouts=SLOW)
        await run.segments(1)
        sink = await run.stop()
    assert unbroken(film, sink)
    assert [s.facts["lost_packets"] for s in sink.closed] == [0] * len(sink.closed)
    assert sink.causes == [GapCause.CONNECTING]


async def test_digest_sound_and_no_tcp_where_only_tcp_is_wanted() -> None:
    with gstreamer(user="staff", password='w"\\ x', udp_only=True) as (url, _):
        source = StreamSource(url, "staff", 'w"\\ x', audio=True)
        info = await probe(source, report_s=8.0)
        assert (info.codec, info.audio_codec) == ("H.264", "AAC")
        assert info.clock_offset_s == pytest.approx(0, abs=0.5)
        with pytest.raises(CaptureError) as caught:
            await probe(StreamSource(url, "staff", 'w"\\ x', transport=Transport.TCP))
        assert caught.value.key == "transport_refused"


def camera(**changes: object) -> Camera:
    size = {"width": 160, "height": 96, "fps": 20, "gop": 10}
    return Camera(CameraConfig(**{**size, "udp": True, **changes}))  # type: ignore[arg-type]


async def test_disorder_and_strangers_do_no_harm_and_loss_is_counted() -> None:
    async with camera() as found:
        found.faults.shuffle, found.faults.strangers = 4, True
        run = Run(found.source(), timeouts=SLOW)
        await run.segments(3)
        assert sum(s.facts["lost_packets"] for s in run.sink.closed) == 0
        assert GapCause.PACKET_LOSS not in run.sink.causes
        found.faults.shuffle, found.faults.lose = 0, 1
        await until(lambda: sum(lost for *_, lost in run.sink.gaps) > 0)
        sink = await run.stop()
    assert sum(lost for *_, lost in sink.gaps) == 1
    assert sink.errors == []
    for segment in sink.closed:
        assert decode(segment.data).first_is_key
        assert b"forged" not in segment.data


async def test_the_camera_hears_reports_and_the_ports_go_with_the_session(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(udp, "_REPORT_S", 0.5)
    async with camera(audio=False) as found:
        run = Run(found.source(audio=False), timeouts=SLOW)
        await run.segments(1)
        over = found.rtsp.over
        assert over is not None
        first = over.ears.heard[0]
        assert (first[0], first[1]) == (0x80, 201)  # Sent before the first packet came.
        await until(lambda: any(data[0] == 0x81 and data[1] == 201 for data in over.ears.heard))
        await run.stop()
        for port in over._ports:
            with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
                sock.bind(("127.0.0.1", port))


async def test_nothing_over_udp_has_a_name_of_its_own_and_is_tried_anew(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(carrier, "_SILENT_S", 0.7)
    async with camera() as found:
        found.faults.stall = True
        run = Run(found.source(), timeouts=SLOW)
        await until(lambda: "stream_udp_silent" in run.sink.errors)
        # The firewall is gone, and the camera speaks TCP now: automatic asks for that first.
        found.faults.stall, found.config.udp = False, False
        await run.segments(1)
        sink = await run.stop()
    assert sink.errors[0] == "stream_udp_silent"
    assert GapCause.STALLED in sink.causes


@pytest.mark.parametrize("channel", ["rtp", "rtcp", "later"])
async def test_what_handling_a_packet_raises_ends_the_connection(channel: str) -> None:
    pair = bind_pair(("127.0.0.1", 0), socket.AF_INET)
    told: list[CaptureError] = []

    def packet(*_: object) -> None:
        raise CameraUnreachable

    media = UdpMedia(pair, 0, 90000, packet, lambda: None, told.append)  # type: ignore[arg-type]
    rtp, rtcp = (int(port) for port in media.ports.split("-"))
    assert (rtp % 2, rtcp) == (0, rtp + 1)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.bind(("127.0.0.1", 0))
        media.start(Sender("127.0.0.1", None, None))
        count = {"rtp": 300, "rtcp": 1, "later": 1}[channel]
        for sequence in range(count):
            data = b"\x80\x60" + sequence.to_bytes(2) + bytes(20)
            sock.sendto(data, ("127.0.0.1", rtcp if channel == "rtcp" else rtp))
        await until(lambda: bool(told))
    media.close()
    media.close()
    assert isinstance(told[0], CameraUnreachable)


async def test_a_camera_that_sends_from_another_port_than_it_told() -> None:
    heard: list[int] = []
    media = UdpMedia(
        bind_pair(("127.0.0.1", 0), socket.AF_INET),
        0,
        90000,
        lambda _channel, view, start, _end: heard.append(view[start + 3]),
        lambda: None,
        lambda _error: None,
    )
    place = ("127.0.0.1", int(media.ports.split("-")[0]))
    kinds = (socket.AF_INET, socket.SOCK_DGRAM)
    with socket.socket(*kinds) as told, socket.socket(*kinds) as other, socket.socket(*kinds) as no:
        told.bind(("127.0.0.1", 0))
        media.start(Sender("127.0.0.1", told.getsockname()[1], None))
        for sender, sequence in ((other, 1), (no, 2), (other, 3), (told, 4), (other, 5), (told, 6)):
            sender.sendto(b"\x80\x60\x00" + bytes((sequence,)) + bytes(20), place)
        await until(lambda: len(heard) == 4)
    assert media.received == 4
    media.close()
    assert heard == [1, 3, 4, 6]


def test_no_free_ports_is_an_error_of_ours(monkeypatch: pytest.MonkeyPatch) -> None:
    class Odd(socket.socket):
        def getsockname(self) -> tuple[str, int]:
            return "127.0.0.1", 4711

    monkeypatch.setattr(socket, "socket", Odd)
    with pytest.raises(CameraUnreachable):
        bind_pair(("127.0.0.1", 0), socket.AF_INET)
    with pytest.raises(CameraUnreachable):
        bind_pair(("192.0.2.1", 0), socket.AF_INET)


@pytest.mark.parametrize(
    ("header", "sender"),
    [
        ("RTP/AVP;unicast;client_port=4-5;server_port=6-7", Sender("10.0.0.9", 6, 7)),
        ("RTP/AVP/UDP; Server_Port=6 ;source=10.0.0.4", Sender("10.0.0.4", 6, 7)),
        ("RTP/AVP;source=0.0.0.0;server_port=70000-x", Sender("10.0.0.9", None, None)),
        ("RTP/AVP;source=[2001:db8::1];server_port=0-9", Sender("2001:db8::1", None, 9)),
        (
            "RTP/AVP;source=camera.example,RTP/AVP/TCP;source=10.0.0.4",
            Sender("10.0.0.9", None, None),
        ),
        ("", Sender("10.0.0.9", None, None)),
    ],
)
def test_who_may_send(header: str, sender: Sender) -> None:
    assert sender_of(transport_of(header), "10.0.0.9") == sender


@settings(deadline=None)
@given(st.text(), st.sampled_from(("", "RTP/AVP;server_port=", "RTP/AVP;source=")))
def test_whatever_a_camera_answers(text: str, before: str) -> None:
    try:
        found = sender_of(transport_of(before + text), "10.0.0.9")
    except CaptureError:
        return
    assert found.host
    assert found.rtp is None or 0 < found.rtp < 65536


@pytest.mark.parametrize(
    ("answer", "transport", "key"),
    [
        ("RTP/SAVP;unicast;client_port=4-5", Transport.UDP, "stream_unsupported"),
        ("RTP/AVP;multicast;port=4-5", Transport.UDP, "transport_refused"),
        ("RTP/AVP/TCP;interleaved=0-1", Transport.UDP, "transport_refused"),
        ("RTP/AVP;unicast;client_port=4-5", Transport.TCP, "transport_refused"),
        ("RTP/AVP/TCP;interleaved=x", Transport.TCP, "stream_stalled"),
        ("", Transport.TCP, "stream_stalled"),
    ],
)
async def test_an_answer_that_is_not_what_was_asked(
    answer: str, transport: Transport, key: str
) -> None:
    sdp = "v=0\r\nm=video 0 RTP/AVP 96\r\na=rtpmap:96 H264/90000\r\na=control:track1\r\n"

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(asyncio.IncompleteReadError, ConnectionError):
            while head := (await reader.readuntil(b"\r\n\r\n")).decode():
                number = head.split("CSeq: ")[1].split("\r\n")[0]
                body = sdp if head.startswith("DESCRIBE") else ""
                said = f"CSeq: {number}\r\nTransport: {answer}\r\nContent-Length: {len(body)}"
                writer.write(f"RTSP/1.0 200 OK\r\n{said}\r\n\r\n{body}".encode())

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    source = StreamSource(f"rtsp://127.0.0.1:{port}/", transport=transport)
    with pytest.raises(CaptureError) as caught:
        await probe(source, timeout_s=1.0)
    server.close()
    assert caught.value.key == key
