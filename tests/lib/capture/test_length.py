"""How long a segment is, read out of its own text, whatever was cut off of it."""

import io
from functools import cache
from itertools import pairwise

import av
import pytest
from hypothesis import given
from hypothesis import strategies as st

from roomwitness.capture import mp4
from roomwitness.capture.boxes import box, full
from roomwitness.capture.codecs import h265
from roomwitness.capture.codecs.h264 import H264Depacketizer
from roomwitness.capture.length import length
from roomwitness.capture.mp4 import SoundFrame

from .codec_kit import encode, run
from .memory import MemorySegment

ORDINARY = "keyint=10:min-keyint=10:scenecut=0:repeat-headers=1:bframes=0"
REORDERED = "keyint=10:min-keyint=10:scenecut=0:repeat-headers=1:bframes=2:b-adapt=0"
LEADING = (
    "keyint=9:min-keyint=1:scenecut=0:repeat-headers=1:bframes=2:b-adapt=0:open-gop=1:"
    "log-level=none"
)


@cache
def segments(codec: str, params: str) -> list[MemorySegment]:
    make = H264Depacketizer if codec == "x264" else h265.H265Depacketizer
    return run(make, encode(codec, params, 35), 1.85).closed  # type: ignore[arg-type]


@pytest.mark.parametrize("params", [ORDINARY, REORDERED])
def test_of_a_whole_segment_it_is_what_was_listed(params: str) -> None:
    for segment in segments("x264", params):
        assert length(bytes(segment.data)) == pytest.approx(segment.facts["media_seconds"])


def test_pictures_that_the_next_segment_has_are_not_counted() -> None:
    """With open groups those shown just before a keyframe come behind it."""
    first, *_, last = segments("x265", LEADING)
    assert length(bytes(first.data)) == pytest.approx(first.facts["media_seconds"] - 0.2)
    assert length(bytes(last.data)) == pytest.approx(last.facts["media_seconds"])


@given(st.floats(0, 1))
def test_of_what_is_left_only_whole_fragments_count(part: float) -> None:
    whole = bytes(segments("x264", ORDINARY)[0].data)
    left = whole[: round(part * len(whole))]
    ends = [at for at in places(whole) if at <= len(left)]
    pictures = 0
    if ends and b"mdat" in whole[: ends[-1]]:
        with av.open(io.BytesIO(whole[: ends[-1]])) as container:
            pictures = sum(1 for packet in container.demux(video=0) if packet.size)
    if len(left) < places(whole)[0]:
        assert length(left) is None, "not even its first box"
    else:
        assert length(left) == pytest.approx(pictures / 10, abs=1e-6)


def places(data: bytes) -> list[int]:
    """Where each box ends."""
    found = [0]
    while found[-1] < len(data):
        found.append(found[-1] + int.from_bytes(data[found[-1] : found[-1] + 4]))
    assert all(a < b for a, b in pairwise(found))
    return found[1:]


def test_sound_alone_is_no_picture() -> None:
    start = box(b"ftyp", b"iso6")
    sound = mp4.fragment(1, [], 0, [SoundFrame(0, [b"x"], 1)], 1024)
    assert length(start) == 0.0
    assert length(start + sound) == 0.0


@given(st.binary(max_size=300))
def test_what_is_no_segment_has_no_length(text: bytes) -> None:
    assert length(text) is None


NUMBERS = st.integers(0, 2**32 - 1).map(lambda number: number.to_bytes(4))
PARTS = st.lists(
    st.tuples(st.sampled_from([b"tfhd", b"tfdt", b"trun", b"free"]), st.lists(NUMBERS, max_size=9)),
    max_size=5,
)


@given(PARTS)
def test_boxes_that_somebody_else_made_are_no_reason_to_fail(
    parts: list[tuple[bytes, list[bytes]]],
) -> None:
    traf = box(b"traf", *(full(kind, 1, 0, *numbers) for kind, numbers in parts))
    found = length(box(b"ftyp") + box(b"moof", traf) + box(b"mdat"))
    assert found is None or 0 <= found <= 86400
