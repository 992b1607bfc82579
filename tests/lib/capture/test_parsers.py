"""RTP, H.264, AAC, SDP, SPS: by their standards, and whatever bytes come."""

import asyncio
import base64
import contextlib
from datetime import UTC, datetime, timedelta
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from roomwitness.capture import sdp
from roomwitness.capture.codecs import AccessUnit, aac
from roomwitness.capture.codecs.h264 import H264Depacketizer, picture_size
from roomwitness.capture.errors import CaptureError, StreamProtocolError, StreamUnsupported
from roomwitness.capture.rtp import Track
from roomwitness.capture.source import StreamSource
from roomwitness.capture.transport import RtspTransport
from tests.camera.media import Unit
from tests.camera.rtp import Sender

T = datetime(2026, 11, 2, 9, 0, tzinfo=UTC)

nals = st.binary(min_size=1, max_size=5000).map(lambda body: bytes((0x61,)) + body)


def feed(track: Track, packet: bytes) -> None:
    track.rtp(memoryview(packet), 0, len(packet))


@given(st.lists(nals, min_size=1, max_size=6), st.integers(0, 65535))
def test_what_a_sender_packs_comes_out_unchanged(units: list[bytes], sequence: int) -> None:
    out: list[AccessUnit] = []
    track = Track(96, 90000, H264Depacketizer(out.append))
    sender = Sender("video")
    sender.sequence = sequence
    for number, nal in enumerate(units):
        for packet in sender.pack(Unit("video", 1000 + number * 20.0, (nal,), False)):
            feed(track, packet)
    assert [b"".join(unit.parts) for unit in out] == [len(n).to_bytes(4) + n for n in units]
    assert track.lost == 0
    times = [unit.time for unit in out]
    assert [b - a for a, b in pairwise(times)] == [1_800_000] * (len(units) - 1)


@given(st.lists(nals, min_size=3, max_size=8), st.data())
def test_every_lost_packet_is_counted(units: list[bytes], data: st.DataObject) -> None:
    out: list[AccessUnit] = []
    track = Track(96, 90000, H264Depacketizer(out.append))
    sender = Sender("video")
    packets = [
        packet
        for number, nal in enumerate(units)
        for packet in sender.pack(Unit("video", float(number), (nal,), False))
    ]
    lost = data.draw(st.sets(st.integers(1, len(packets) - 2)))
    for number, packet in enumerate(packets):
        if number not in lost:
            feed(track, packet)
    assert track.lost == len(lost)
    whole = {len(nal).to_bytes(4) + nal for nal in units}
    for unit in out:
        joined = b"".join(unit.parts)
        assert joined in whole or any(joined.startswith(piece) for piece in whole)


def test_late_repeated_and_foreign_packets_are_let_go() -> None:
    out: list[AccessUnit] = []
    track = Track(96, 90000, H264Depacketizer(out.append))
    sender = Sender("video")
    packets = [
        next(iter(sender.pack(Unit("video", float(i), (b"\x61" + bytes((i,)),), False))))
        for i in range(4)
    ]
    for packet in (packets[0], packets[1], packets[1], packets[0], packets[2]):
        feed(track, packet)
    other = bytearray(packets[3])
    other[1] = other[1] & 0x80 | 98
    feed(track, bytes(other))
    feed(track, b"\x80\x60")
    feed(track, b"\x00" * 20)
    feed(track, packets[3])
    assert [unit.parts[1][1] for unit in out] == [0, 1, 2, 3]
    assert track.lost == 0


def test_header_extensions_contributors_and_padding_are_left_out() -> None:
    out: list[AccessUnit] = []
    track = Track(96, 90000, H264Depacketizer(out.append))
    head = bytes((0x80 | 0x20 | 0x10 | 1, 0x80 | 96)) + (7).to_bytes(2) + bytes(4) + bytes(4)
    extension = b"\xbe\xde\x00\x01" + bytes(4)
    feed(track, head + bytes(4) + extension + b"\x65\x88ody" + b"\x00\x00\x03")
    assert out[0].parts == [(5).to_bytes(4), b"\x65\x88ody"]
    assert out[0].key
    feed(track, bytes((0x90, 0xE0, 0, 8)) + bytes(8) + b"\xbe\xde")
    assert len(out) == 1


def test_parameter_sets_and_stap_a() -> None:
    out: list[AccessUnit] = []
    h264 = H264Depacketizer(out.append)
    sps, pps = base64.b64decode("Z0LAHtkDxWhAAAADAEAAAAwDxYuS"), base64.b64decode("aMuMsg==")
    packed = b"".join(len(nal).to_bytes(2) + nal for nal in (sps, pps))
    stap = b"\x78" + packed + b"\x00\x09short"
    h264.push(memoryview(stap), 0, len(stap), 5, False)
    idr = b"\x65\x88"
    h264.push(memoryview(idr), 0, 2, 6, True)
    (unit,) = out
    assert (unit.key, unit.time, unit.parts[-1]) == (True, 6, idr)
    assert unit.format is not None
    assert (unit.format.nals, unit.format.size) == ((sps, pps), (240, 160))


def test_sender_reports_give_wall_clock_over_the_wrap() -> None:
    track = Track(96, 90000, H264Depacketizer(lambda _unit: None))
    sender = Sender("video")
    for packet in sender.pack(Unit("video", 100.0, (b"\x61x",), False)):
        feed(track, packet)
    assert track.clock_offset_s is None
    assert track.wall(0) is None
    report = sender.report(T.timestamp(), -2.0)
    sender.epoch = T.timestamp() - 3
    report = sender.report(T.timestamp(), -2.0)
    assert not track.rtcp(memoryview(report), 0, len(report), T)
    assert track.clock_offset_s == pytest.approx(-2.0, abs=0.001)
    assert track.report is not None
    later = track.wall(track.report.time + 90000)
    assert later is not None
    assert abs(later - (T - timedelta(seconds=1))) < timedelta(milliseconds=1)
    assert track.rtcp(memoryview(sender.goodbye()), 0, 8, T)
    no_clock = bytearray(report)
    no_clock[8:12] = bytes(4)
    track.report = None
    assert not track.rtcp(memoryview(no_clock), 0, len(no_clock), T)
    assert track.report is None


def test_aac_frames_whole_several_and_in_pieces() -> None:
    media = sdp.Media(
        "audio", 97, "MPEG4-GENERIC", 16000, 1, "", {"mode": "AAC-hbr", "config": "1408"}
    )
    out: list[tuple[int, bytes]] = []
    sounds = aac.codec(media).depacketizer(lambda time, data: out.append((time, data)))

    def push(payload: bytes, time: int, marker: bool = True) -> None:
        sounds.push(memoryview(payload), 0, len(payload), time, marker)

    push(b"\x00\x10" + (3 << 3).to_bytes(2) + b"one", 0)
    push(b"\x00\x20" + (3 << 3).to_bytes(2) + (2 << 3).to_bytes(2) + b"twoxy", 1024)
    assert out == [(0, b"one"), (1024, b"two"), (2048, b"xy")]
    out.clear()
    head = b"\x00\x10" + (6 << 3).to_bytes(2)
    push(head + b"abc", 5000, marker=False)
    push(head + b"def", 5000)
    assert out == [(5000, b"abcdef")]
    push(head + b"abc", 6000, marker=False)
    sounds.lose()
    push(head + b"def", 6000)
    push(b"\x00", 0)
    push(b"\x00\x00", 0)
    push(b"\x00\x20" + (30 << 3).to_bytes(2) * 2 + b"short", 0)
    assert len(out) == 1
    for parameters in (
        {"mode": "CELP-vbr", "config": "1408"},
        {"mode": "AAC-hbr", "config": "1408", "maxdisplacement": "2"},
        {"mode": "AAC-hbr", "config": "zz"},
        {"mode": "AAC-hbr"},
    ):
        with pytest.raises(StreamUnsupported):
            aac.codec(sdp.Media("audio", 97, "MPEG4-GENERIC", 16000, 1, "", parameters))


@given(st.binary(max_size=200), st.booleans())
def test_no_bytes_break_the_depacketizers(data: bytes, marker: bool) -> None:
    media = sdp.Media(
        "audio", 97, "MPEG4-GENERIC", 16000, 1, "", {"mode": "aac-hbr", "config": "1408"}
    )
    view = memoryview(data)
    aac.codec(media).depacketizer(lambda _t, _d: None).push(view, 0, len(data), 0, marker)
    if data:
        H264Depacketizer(lambda _u: None).push(view, 0, len(data), 0, marker)
    track = Track(data[1] & 0x7F if len(data) > 1 else 0, 90000, H264Depacketizer(lambda _u: None))
    track.rtp(view, 0, len(data))
    track.rtcp(view, 0, len(data), T)


@given(st.binary(max_size=64))
def test_a_parameter_set_gives_a_size_or_our_error(data: bytes) -> None:
    with contextlib.suppress(StreamUnsupported):
        width, height = picture_size(b"\x67" + data)
        assert width > 0
        assert height > 0


@pytest.mark.parametrize(
    ("sps", "size"),
    [
        ("Z0LAHtkDxWhAAAADAEAAAAwDxYuS", (240, 160)),
        ("Z2QAH6zZQFAFuwEQAAADABAAAAMDwPGDGWA=", (1280, 720)),
        ("Z2QAKKzZQHgCJ+XARAAAAwAEAAADAPA8YMZY", (1920, 1080)),
    ],
)
def test_sizes_of_known_parameter_sets(sps: str, size: tuple[int, int]) -> None:
    assert picture_size(base64.b64decode(sps)) == size


SDP = """v=0
o=- 1 1 IN IP4 0.0.0.0
s=x
a=control:*
m=video 0 RTP/AVP 96
a=rtpmap:96 H264/90000
a=fmtp:96 packetization-mode=1; sprop-parameter-sets=Z0LAHtkDxWhAAAADAEAAAAwDxYuS,aMuMsg==
a=control:trackID=1
m=audio 0 RTP/AVP 8
a=control:/abs/2
m=audio 0 RTP/AVP 97
a=rtpmap:97 mpeg4-generic/16000/2
a=control:rtsp://other/3
"""


def test_a_description() -> None:
    found = sdp.parse(SDP, "rtsp://cam:554/live/")
    assert found.control == "rtsp://cam:554/live/"
    video, alaw, mpeg4 = found.media
    assert (video.encoding, video.clock_rate) == ("H264", 90000)
    assert video.control == "rtsp://cam:554/live/trackID=1"
    assert (alaw.encoding, alaw.clock_rate) == ("PCMA", 8000)
    assert alaw.control == "rtsp://cam:554/abs/2"
    assert (mpeg4.channels, mpeg4.control) == (2, "rtsp://other/3")
    assert found.of("audio") == (alaw, mpeg4)
    assert found.of("application") == ()
    zero = "v=0\nm=video 0 RTP/AVP 96\na=rtpmap:96 H264/0"
    for bad in ("", "hello", "v=0\nm=video", zero, "v=0\na=control:rtsp://["):
        with pytest.raises(StreamProtocolError):
            sdp.parse(bad, "rtsp://cam/")


@given(st.text(max_size=300))
def test_any_text_is_a_description_or_our_error(text: str) -> None:
    with contextlib.suppress(CaptureError):
        sdp.parse("v=0\n" + text, "rtsp://cam/")


def test_addresses() -> None:
    found = StreamSource("rtsp://us%40er:p%3Aw@cam/live?x=1").endpoint()
    assert (found.host, found.port, found.username, found.password) == (
        "cam",
        554,
        "us@er",
        "p:w",
    )
    assert found.uri == "rtsp://cam:554/live?x=1"
    six = StreamSource("rtsp://[fe80::1]:8554/a", "u", "p").endpoint()
    assert (six.host, six.uri, six.username) == ("fe80::1", "rtsp://[fe80::1]:8554/a", "u")


@given(st.binary(max_size=400), st.integers(1, 50))
def test_whatever_a_server_sends_is_taken_or_ends_the_connection(data: bytes, step: int) -> None:
    async def run() -> None:
        transport = RtspTransport(lambda *_: None)
        for start in range(0, len(data), step):
            piece = data[start : start + step]
            room = transport.get_buffer(len(piece))
            room[: len(piece)] = piece
            transport.buffer_updated(len(piece))
        if transport.ended.done():
            assert isinstance(transport.ended.result(), CaptureError)

    asyncio.run(run())
