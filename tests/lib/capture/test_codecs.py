"""Codecs by their standards: what comes out, and what is refused."""

import base64
import io
from itertools import pairwise

import av
import pytest
from hypothesis import given
from hypothesis import strategies as st

from roomwitness.capture import sdp
from roomwitness.capture.codecs import (
    AccessUnit,
    bits,
    h265,
    latm,
    mpeg4,
    shown_name,
    sound_codec,
    video_codec,
)
from roomwitness.capture.codecs.h264 import H264Depacketizer
from roomwitness.capture.errors import StreamUnsupported
from roomwitness.capture.stream import choose_media
from roomwitness.policy.words import GapCause

from .codec_kit import encode, media, push, run
from .memory import decode

VPS = base64.b64decode("QAEMAf//BAgAAAMAmAgAAAMAAD+6AkA=")
SPS = base64.b64decode("QgEBBAgAAAMAmAgAAAMAAD+QAKBALj4kpS3SUmF/+AAIAAtQYGBgQAAAAwBAAAADAoI=")
PPS = base64.b64decode("RAHAcDBgMSA=")
SETS = f"sprop-vps={base64.b64encode(VPS).decode()};sprop-sps={base64.b64encode(SPS).decode()}"


def test_h265_in_units_aggregates_and_fragments() -> None:
    out: list[AccessUnit] = []
    h = h265.H265Depacketizer(out.append)
    packed = b"".join(len(n).to_bytes(2) + n for n in (VPS, SPS, PPS))
    push(h, b"\x60\x01" + packed + b"\x00\x09short", 5, marker=False)
    idr = b"\x26\x01\x80" + bytes(range(199))
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
