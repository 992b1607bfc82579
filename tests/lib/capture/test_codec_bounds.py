"""Whatever bytes come: only our own errors, and memory that stays bounded."""

import base64
import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from roomwitness.capture import sdp
from roomwitness.capture.codecs import (
    AccessUnit,
    base,
    gather,
    h265,
    latm,
    mpeg4,
    nal,
    registry,
    sound_codec,
    video_codec,
)
from roomwitness.capture.codecs.h264 import H264Depacketizer
from roomwitness.capture.errors import CaptureError, StreamProtocolError, StreamUnsupported
from roomwitness.capture.rtp import Depacketizer

from .codec_kit import encode, media, push, run

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
