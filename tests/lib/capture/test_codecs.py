"""Codecs by their standards: what comes out, what is refused, and whatever bytes come."""

import base64
import contextlib
import io
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from fractions import Fraction
from itertools import pairwise

import av
import pytest
from hypothesis import given
from hypothesis import strategies as st

from roomwitness.capture import sdp
from roomwitness.capture.codecs import (
    AccessUnit,
    base,
    bits,
    gather,
    h265,
    latm,
    mpeg4,
    nal,
    registry,
    shown_name,
    sound_codec,
    video_codec,
)
from roomwitness.capture.codecs.h264 import H264Depacketizer
from roomwitness.capture.coverage import Coverage
from roomwitness.capture.errors import CaptureError, StreamProtocolError, StreamUnsupported
from roomwitness.capture.rtp import Depacketizer, Track
from roomwitness.capture.segmenter import Segmenter
from roomwitness.capture.stream import choose_media
from roomwitness.policy.words import GapCause
from tests.camera.media import split_nals

from .memory import MemorySink, decode

T = datetime(2026, 11, 2, 9, 0, tzinfo=UTC)
VPS = base64.b64decode("QAEMAf//BAgAAAMAmAgAAAMAAD+6AkA=")
SPS = base64.b64decode("QgEBBAgAAAMAmAgAAAMAAD+QAKBALj4kpS3SUmF/+AAIAAtQYGBgQAAAAwBAAAADAoI=")
PPS = base64.b64decode("RAHAcDBgMSA=")
SETS = f"sprop-vps={base64.b64encode(VPS).decode()};sprop-sps={base64.b64encode(SPS).decode()}"


def media(kind: str, encoding: str, rate: int, channels: int = 1, **parameters: str) -> sdp.Media:
    return sdp.Media(kind, 96, encoding, rate, channels, "", parameters)


def push(target: Depacketizer, payload: bytes, time: int = 0, marker: bool = True) -> None:
    target.push(memoryview(payload), 0, len(payload), time, marker)


def encode(
    codec: str, params: str, count: int, size: tuple[int, int] = (320, 192)
) -> list[tuple[int, tuple[bytes, ...]]]:
    """Pictures in decoding order: presentation time in ticks of 90 kHz, NAL units."""
    encoder = av.CodecContext.create(f"lib{codec}", "w")
    encoder.width, encoder.height = size
    encoder.pix_fmt, encoder.time_base = "yuv420p", Fraction(1, 10)
    encoder.framerate = Fraction(10)
    encoder.options = {"preset": "ultrafast", f"{codec}-params": params}
    found = []
    for number in range(count + 1):
        frame = None
        if number < count:
            frame = av.VideoFrame(*size, "yuv420p")
            for plane in frame.planes:
                plane.update(bytes([(number * 7) % 255]) * plane.buffer_size)
            frame.pts = number
        found += [(int(p.pts) * 9000, split_nals(bytes(p))) for p in encoder.encode(frame)]
    return found


def run(
    depacketizer: Callable[[Callable[[AccessUnit], None]], Depacketizer],
    pictures: list[tuple[int, tuple[bytes, ...]]],
    segment_seconds: float = 1.0,
) -> MemorySink:
    sink = MemorySink()
    coverage = Coverage(T, GapCause.CONNECTING, sink.gap)
    segmenter = Segmenter(sink, coverage, segment_seconds=segment_seconds, sound=None)
    units: list[AccessUnit] = []
    packets = depacketizer(units.append)
    track = Track(96, 90000, packets)
    for time, nals in pictures:
        for number, one in enumerate(nals, 1):
            push(packets, one, time + 900_000, number == len(nals))
    for unit in units:
        now = T + timedelta(seconds=unit.time / 90000)
        segmenter.picture(unit, track, now)
    segmenter.finish(track, GapCause.RESTART)
    return sink


def test_h265_in_units_aggregates_and_fragments() -> None:
    out: list[AccessUnit] = []
    h = h265.H265Depacketizer(out.append)
    packed = b"".join(len(n).to_bytes(2) + n for n in (VPS, SPS, PPS))
    push(h, b"\x60\x01" + packed + b"\x00\x09short", 5, marker=False)
    idr = b"\x26\x01" + bytes(range(200))
    fu = [b"\x62\x01" + bytes((flag | 19,)) + piece for flag, piece in
          ((0x80, idr[2:90]), (0, idr[90:150]), (0x40, idr[150:]))]  # fmt: skip
    for number, payload in enumerate(fu):
        push(h, payload, 6, marker=number == 2)
    (unit,) = out
    assert b"".join(unit.parts[-4:]) == idr
    assert (unit.key, unit.time) == (True, 6)
    assert unit.format is not None
    assert (unit.format.size, unit.format.nals) == ((640, 360), (VPS, SPS, PPS))
    assert unit.format.sample_entry()[4:8] == b"hev1"
    for kind in (16, 21):  # BLA, CRA
        push(h, bytes((kind << 1, 1, 5)), 7 + kind)
    push(h, b"\x02\x01x", 100)
    assert [u.key for u in out] == [True, True, True, False]
    push(h, fu[0], 200, marker=False)
    h.lose()
    push(h, fu[1], 200, marker=False)
    push(h, fu[2], 200)
    assert len(out) == 4


def test_h265_sets_of_the_description_and_what_is_refused() -> None:
    values = {
        "sprop-vps": base64.b64encode(VPS).decode(),
        "sprop-sps": base64.b64encode(SPS).decode() + ",%%%",
        "sprop-pps": base64.b64encode(PPS).decode(),
    }
    out: list[AccessUnit] = []
    push(
        video_codec(media("video", "H265", 90000, **values)).depacketizer(out.append), b"\x26\x01x"
    )
    assert out[0].format is not None
    entry = out[0].format.sample_entry()
    assert entry[4:8] == b"hvc1"
    assert out[0].format.nals == (VPS, SPS, PPS)
    for extra in ({"sprop-max-don-diff": "2"}, {"tx-mode": "MRST"}):
        with pytest.raises(StreamUnsupported):
            video_codec(media("video", "H265", 90000, **values, **extra))
    for bad in (
        media("video", "H265", 8000),
        media("video", "H264", 8000),
        media("video", "H264", 90000, **{"packetization-mode": "2"}),
        media("video", "JPEG", 90000),
    ):
        with pytest.raises(StreamUnsupported):
            video_codec(bad)


@pytest.mark.parametrize(
    ("codec", "params"),
    [
        ("x264", "keyint=10:min-keyint=10:scenecut=0:repeat-headers=1:bframes=2:b-adapt=0"),
        ("x265", "keyint=9:min-keyint=1:scenecut=0:repeat-headers=1:bframes=2:b-adapt=0:"
         "open-gop=1:log-level=none"),
    ],
)  # fmt: skip
def test_pictures_shown_in_another_order_keep_their_times(codec: str, params: str) -> None:
    make = H264Depacketizer if codec == "x264" else h265.H265Depacketizer
    sink = run(make, encode(codec, params, 35), 0.85)
    assert len(sink.closed) == 4
    leading = False
    for segment in sink.closed:
        with av.open(io.BytesIO(segment.data)) as container:
            packets = [p for p in container.demux(video=0) if p.size]
        assert len(packets) == segment.facts["frames"]
        times = sorted(int(p.pts) for p in packets)
        assert [b - a for a, b in pairwise(times)] == [9000] * (len(times) - 1)
        decoding = [int(p.dts) for p in packets]
        assert decoding == sorted(set(decoding))
        leading = leading or int(packets[0].pts) > times[0]
    assert leading == (codec == "x265")


@pytest.mark.parametrize("codec", ["x264", "x265"])
@pytest.mark.parametrize("in_band", [True, False])
def test_another_size_begins_another_segment_with_its_own_header(codec: str, in_band: bool) -> None:
    params = "keyint=5:min-keyint=5:scenecut=0:repeat-headers=1:bframes=0:log-level=none"
    small, large = encode(codec, params, 8), encode(codec, params, 8, (640, 384))
    pictures = small + [(time + 72000, nals) for time, nals in large]
    make = H264Depacketizer if codec == "x264" else h265.H265Depacketizer
    if not in_band:  # The description's sets alone: none in the stream.
        sets = [n for n in small[0][1] if len(n) < 120 and kind(codec, n) in (7, 8, 32, 33, 34)]
        bare = [(t, tuple(n for n in ns if kind(codec, n) not in (7, 8, 32, 33, 34)))
                for t, ns in small]  # fmt: skip
        sink = run(lambda emit: make(emit, sets), bare, 60.0)
        (segment,) = sink.closed
        assert decode(segment.data).frames == 8
        assert (b"avc1" if codec == "x264" else b"hvc1") in segment.data
        return
    sink = run(make, pictures, 60.0)
    assert [decode(s.data).size for s in sink.closed] == [(320, 192), (640, 384)]
    assert [s.facts["frames"] for s in sink.closed] == [8, 8]
    assert sink.causes == [GapCause.CONNECTING]


def kind(codec: str, one: bytes) -> int:
    return one[0] & 31 if codec == "x264" else one[0] >> 1 & 63


def test_new_sets_without_a_keyframe_wait_for_one() -> None:
    params = "keyint=5:min-keyint=5:scenecut=0:repeat-headers=1:bframes=0"
    small, large = encode("x264", params, 5), encode("x264", params, 5, (640, 384))
    sets = tuple(n for n in large[0][1] if n[0] & 31 in (7, 8))
    early = (small[3][0], (*sets, *small[3][1]))
    later = [(time + 45000, nals) for time, nals in large]
    sink = run(H264Depacketizer, [*small[:3], early, small[4], *later], 60.0)
    assert [s.facts["frames"] for s in sink.closed] == [5, 5]
    assert decode(sink.closed[1].data).size == (640, 384)


@given(st.binary(min_size=1, max_size=3000))
def test_a_cameras_signature_in_sei_is_kept_byte_for_byte(payload: bytes) -> None:
    for codec, head in (("x264", b"\x06\x05"), ("x265", b"\x4e\x01\x05")):
        first = SEI_MEDIA[codec]
        sei = head + payload.replace(b"\x00", b"\x01") + b"\x80"
        make = H264Depacketizer if codec == "x264" else h265.H265Depacketizer
        sink = run(make, [(0, (*first[:-1], sei, first[-1]))])
        assert len(sei).to_bytes(4) + sei in bytes(sink.closed[0].data)


SEI_MEDIA = {
    codec: encode(codec, "keyint=5:repeat-headers=1:bframes=0:log-level=none", 1)[0][1]
    for codec in ("x264", "x265")
}


def test_g711_opus_and_what_is_refused_by_name() -> None:
    out: list[tuple[int, bytes]] = []
    for encoding, name in (("PCMA", "G.711 A-law"), ("PCMU", "G.711 µ-law")):
        codec = sound_codec(media("audio", encoding, 8000))
        assert codec.name == name
        packets = codec.depacketizer(lambda time, data: out.append((time, data)))
        packets.lose()
        push(packets, b"\xd5" * 160, 7)
        push(packets, b"", 8)
    assert out == [(7, b"\xd5" * 160)] * 2
    opus = sound_codec(media("audio", "OPUS", 48000, 2))
    assert b"dOps" in opus.format.sample_entry()
    packets = opus.depacketizer(lambda time, data: out.append((time, data)))
    packets.lose()
    push(packets, b"\x78abc", 9)
    push(packets, b"", 9)
    assert out[2:] == [(9, b"\x78abc")]
    for bad in (
        media("audio", "OPUS", 8000),
        media("audio", "PCMA", 8000, 0),
        media("audio", "PCMA", 96000),
        media("audio", "G726-32", 8000),
        media("audio", "MPEG4-GENERIC", 8000),
    ):
        with pytest.raises(StreamUnsupported):
            sound_codec(bad)
    assert shown_name(media("audio", "G726-32", 8000)) == "G726-32"
    assert shown_name(media("audio", "<b>\n" + "x" * 99, 8000)) == "b" + "x" * 23
    assert shown_name(media("audio", "", 8000)) == "RTP 96"


def test_the_first_sound_that_we_record_is_taken_and_a_loudspeaker_is_last() -> None:
    text = (
        "v=0\nm=video 0 RTP/AVP 96\na=rtpmap:96 H264/90000\n"
        "m=audio 0 RTP/AVP 0\na=sendonly\n"
        "m=audio 0 RTP/AVP 2\nm=audio 0 RTP/AVP 8\n"
    )
    found = sdp.parse(text, "rtsp://cam/")
    offer = choose_media(found, audio=True)
    assert offer.audio is not None
    assert (offer.audio.encoding, offer.sound_refused) == ("PCMA", None)
    assert choose_media(found, audio=False).audio is None
    refused = choose_media(sdp.parse(text.rsplit("m=", 1)[0].replace("AVP 0\n", "AVP 9\n"), ""),
                           audio=True)  # fmt: skip
    assert (refused.sound, refused.sound_refused) == (None, "G726-32")
    with pytest.raises(StreamUnsupported):
        choose_media(sdp.parse("v=0\nm=video 0 RTP/AVP 26\n", ""), audio=True)
    with pytest.raises(StreamUnsupported):
        choose_media(sdp.parse("v=0\nm=audio 0 RTP/AVP 0\n", ""), audio=True)


@pytest.mark.parametrize(
    ("config", "name", "rate", "channels", "frame"),
    [
        ("1408", "AAC", 16000, 1, 1024),
        ("1210", "AAC", 44100, 2, 1024),
        ("2b098800", "HE-AAC", 24000, 1, 1024),  # 24 kHz core, 48 kHz with SBR
        ("eb098800", "HE-AAC v2", 24000, 1, 1024),
        ("b988", "AAC-LD", 48000, 1, 512),
    ],
)
def test_audio_configurations(config: str, name: str, rate: int, channels: int, frame: int) -> None:
    read = mpeg4.read_config(bytes.fromhex(config))
    assert (read.name, read.rate, read.channels, read.frame) == (name, rate, channels, frame)


def test_he_aac_frames_are_as_long_as_they_sound() -> None:
    codec = sound_codec(media("audio", "MPEG4-GENERIC", 48000, mode="AAC-hbr", config="2b098800"))
    out: list[int] = []
    packets = codec.depacketizer(lambda time, _data: out.append(time))
    push(packets, b"\x00\x20" + (2 << 3).to_bytes(2) * 2 + b"abcd")
    assert out == [0, 2048]
    low = sound_codec(media("audio", "MPEG4-GENERIC", 8000, mode="AAC-lbr", config="1588",
                            sizelength="6", indexlength="2", indexdeltalength="2"))  # fmt: skip
    frames: list[bytes] = []
    packets = low.depacketizer(lambda _time, data: frames.append(data))
    push(packets, b"\x00\x10" + bytes((3 << 2, 2 << 2)) + b"onexy")
    assert frames == [b"one", b"xy"]


def test_latm_elements_whole_several_and_in_pieces() -> None:
    codec = sound_codec(media("audio", "MP4A-LATM", 16000, cpresent="0", config="40002810"))
    assert codec.name == "AAC"
    assert isinstance(codec.format, mpeg4.Mpeg4Format)
    assert codec.format.config == b"\x14\x08"
    out: list[tuple[int, bytes]] = []
    packets = codec.depacketizer(lambda time, data: out.append((time, data)))
    long = bytes(300)
    push(packets, b"\x03one" + b"\x02xy", 0)
    push(packets, b"\xff\x2d" + long[:100], 5000, marker=False)
    push(packets, long[100:], 5000)
    assert out == [(0, b"one"), (1024, b"xy"), (5000, long)]
    out.clear()
    push(packets, b"\xff\x2d" + long[:100], 6000, marker=False)
    packets.lose()
    push(packets, long[100:], 6000)
    push(packets, b"\x09short", 7000)
    push(packets, b"\x03abc", 8000, marker=False)
    push(packets, b"\x03one", 9000)
    assert out == [(9000, b"one")]
    frames, config = latm.audio_config(bytes.fromhex("40002810"))
    assert (frames, config) == (1, b"\x14\x08")
    # Version 1 counts the configuration's bits (13): 1 0 | 00 ff | 1 000000 0000 000 | 00 0d | ...
    coded = "100011111111100000000000000000001101000101000000100011111111"
    data = int(coded.ljust(72, "0"), 2).to_bytes(9)
    assert latm.audio_config(data) == (1, b"\x14\x08")
    for values in (
        {"config": "40002810"},
        {"cpresent": "0"},
        {"cpresent": "0", "config": "zz"},
        {"cpresent": "0", "config": "ffff"},
        {"cpresent": "0", "config": "40402810"},
        {"cpresent": "0", "config": "4000"},
    ):
        with pytest.raises(StreamUnsupported):
            sound_codec(media("audio", "MP4A-LATM", 16000, 1, **values))


def test_a_header_of_high_profile_tells_its_chroma() -> None:
    """ISO/IEC 14496-15, 5.3.3.1.2; FFmpeg must take the header as well."""
    sps = base64.b64decode("Z2QAKKzZQHgCJ+XARAAAAwAEAAADAPA8YMZY")
    pps = base64.b64decode("aOvjyyLA")
    text = ",".join(base64.b64encode(one).decode() for one in (sps, pps))
    out: list[AccessUnit] = []
    found = media("video", "H264", 90000, **{"sprop-parameter-sets": text})
    push(video_codec(found).depacketizer(out.append), b"\x65x")
    assert out[0].format is not None
    entry = out[0].format.sample_entry()
    assert entry[4:8] == b"avc1"
    assert entry.endswith(pps + bytes((0xFC | 1, 0xF8, 0xF8, 0)))
    high = "keyint=5:min-keyint=5:scenecut=0:repeat-headers=1:bframes=0:8x8dct=1:cabac=1"
    sink = run(H264Depacketizer, encode("x264", high, 6))
    assert decode(sink.closed[0].data).frames == sink.closed[0].facts["frames"]


def test_numbers_without_end_are_refused() -> None:
    with pytest.raises(StreamUnsupported):
        bits.Bits(bytes(10)).ue()
    for config in ("40012810", "c0", "60", "17f8", "f800"):
        with pytest.raises(StreamUnsupported):
            latm.audio_config(bytes.fromhex(config))


ALL: dict[str, sdp.Media] = {
    "H264": media("video", "H264", 90000),
    "H265": media("video", "H265", 90000),
    "MPEG4-GENERIC": media("audio", "MPEG4-GENERIC", 16000, mode="AAC-hbr", config="1408"),
    "MP4A-LATM": media("audio", "MP4A-LATM", 16000, cpresent="0", config="40002810"),
    "PCMA": media("audio", "PCMA", 8000),
    "PCMU": media("audio", "PCMU", 8000),
    "OPUS": media("audio", "OPUS", 48000, 2),
}


def make(encoding: str) -> Depacketizer:
    if encoding in registry.VIDEO:
        return video_codec(ALL[encoding]).depacketizer(lambda unit: use(unit))
    return sound_codec(ALL[encoding]).depacketizer(lambda _time, _data: None)


def use(unit: AccessUnit) -> None:
    if unit.format is not None:
        with contextlib.suppress(StreamUnsupported):
            assert unit.format.sample_entry()


def test_every_codec_is_fuzzed() -> None:
    assert ALL.keys() == registry.VIDEO.keys() | registry.SOUND.keys()


headers = st.sampled_from([b"", b"\x67", b"\x68", b"\x78", b"\x7c\x85", b"\x40\x01", b"\x42\x01",
                           b"\x44\x01", b"\x60\x01", b"\x62\x01\x93", b"\x00\x10"])  # fmt: skip
payloads = st.tuples(headers, st.binary(max_size=200)).map(b"".join)


@pytest.mark.parametrize("encoding", ALL)
@given(st.lists(st.tuples(payloads, st.integers(0, 5), st.booleans(), st.booleans()), max_size=20))
def test_no_bytes_raise_anything_but_our_errors(
    encoding: str, packets: list[tuple[bytes, int, bool, bool]]
) -> None:
    target = make(encoding)
    with contextlib.suppress(CaptureError):
        for payload, time, marker, lost in packets:
            if lost:
                target.lose()
            push(target, payload, time, marker)


@given(st.binary(max_size=80), st.sampled_from(sorted(ALL)))
def test_any_parameters_are_read_or_refused(data: bytes, encoding: str) -> None:
    values = {name: data.hex() for name in ("config", "sizelength")}
    values |= {"mode": "AAC-hbr", "cpresent": "0"}
    values |= {
        name: base64.b64encode(data).decode()
        for name in ("sprop-parameter-sets", "sprop-vps", "sprop-sps", "sprop-pps")
    }
    found = media(ALL[encoding].kind, encoding, ALL[encoding].clock_rate, 1, **values)
    with contextlib.suppress(StreamUnsupported):
        if encoding in registry.VIDEO:
            push(video_codec(found).depacketizer(use), b"\x65x")
        else:
            sound_codec(found).format.sample_entry()
    for parse in (mpeg4.read_config, latm.audio_config, h265.picture_size):
        with contextlib.suppress(StreamUnsupported):
            parse(data)


@pytest.mark.parametrize(
    ("encoding", "begin", "more"),
    [
        ("H264", b"\x7c\x85x", b"\x7c\x05" + bytes(60000)),
        ("H264", b"\x7c\x85x", b"\x7c\x05x"),
        ("H264", b"\x61x", b"\x61" + bytes(60000)),
        ("H265", b"\x62\x01\x93x", b"\x62\x01\x13" + bytes(60000)),
        ("H265", b"\x02\x01x", b"\x02\x01" + bytes(60000)),
    ],
)
def test_a_picture_without_end_ends_the_connection(
    encoding: str, begin: bytes, more: bytes
) -> None:
    target = make(encoding)
    push(target, begin, marker=False)
    limit = base.MAX_UNIT_PIECES + 10 if len(more) < 100 else base.MAX_UNIT_BYTES // 60000 + 10

    def endless() -> None:
        for _ in range(limit):
            push(target, more, marker=False)

    with pytest.raises(StreamProtocolError):
        endless()


@pytest.mark.parametrize(
    ("encoding", "piece"),
    [("MPEG4-GENERIC", b"\x00\x10\x7f\xf8" + bytes(1000)), ("MP4A-LATM", bytes(1000))],
)
def test_a_sound_without_end_is_let_go(encoding: str, piece: bytes) -> None:
    target = make(encoding)
    for _ in range(300):
        push(target, piece, marker=False)
    held = getattr(target, "_pieces", None) or []
    gatherer = getattr(target, "_gatherer", None)
    if isinstance(gatherer, gather.Gatherer):
        held = gatherer._pieces
    assert sum(map(len, held)) <= base.MAX_SOUND_BYTES + 1000


def test_parameter_sets_without_end_are_refused() -> None:
    sets = nal.ParameterSets((1,), lambda _kind, one: one[0], lambda _sets, _band: None)  # type: ignore[arg-type,return-value]
    with pytest.raises(StreamProtocolError):
        sets.take(1, bytes(nal.MAX_SET_BYTES + 1))
    for number in range(nal.MAX_SETS):
        sets.take(1, bytes((number,)))
    with pytest.raises(StreamProtocolError):
        sets.take(1, bytes((nal.MAX_SETS,)))


def test_times_that_stand_still_do_not_fill_memory() -> None:
    params = "keyint=5:min-keyint=5:scenecut=0:repeat-headers=1:bframes=0"
    key, other = encode("x264", params, 2)
    sink = run(H264Depacketizer, [key, *[(other[0], other[1])] * 9000])
    assert bytes(sink.closed[0].data).count(b"moof") >= 2
