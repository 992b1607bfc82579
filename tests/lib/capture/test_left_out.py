"""What came and is given to nobody is counted, once, like a lost packet."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from roomwitness.capture import sdp
from roomwitness.capture.codecs import AccessUnit, sound_codec
from roomwitness.capture.codecs.h264 import H264Depacketizer
from roomwitness.capture.codecs.h265 import H265Depacketizer
from roomwitness.capture.codecs.metadata import MAX_DOCUMENT_BYTES, MetadataDepacketizer
from roomwitness.capture.coverage import Coverage
from roomwitness.capture.rtp import Depacketizer, Track
from roomwitness.capture.segmenter import Segmenter
from roomwitness.policy.words import GapCause

from .clockworld import FORM
from .memory import MemorySink

T = datetime(2026, 11, 2, 9, 0, tzinfo=UTC)


def at(seconds: float) -> datetime:
    return T + timedelta(seconds=seconds)


class Line:
    """Packets of one track, numbered without a hole unless ``lose`` makes one."""

    def __init__(self, make: Callable[[Callable[..., None]], Depacketizer], rate: int = 90000):
        self.out: list[bytes] = []
        self.track = Track(96, rate, make(self._take))
        self.sequence = 1

    def _take(self, what: object, data: bytes = b"") -> None:
        self.out.append(b"".join(what.parts) if isinstance(what, AccessUnit) else data)

    def send(self, payload: bytes, time: int = 0, *, marker: bool = True) -> None:
        head = bytes((0x80, 0x80 * marker | 96)) + self.sequence.to_bytes(2) + time.to_bytes(4)
        packet = head + bytes(4) + payload
        self.track.rtp(memoryview(packet), 0, len(packet))
        self.sequence += 1

    def lose(self) -> None:
        self.sequence += 1


def sounds(encoding: str, rate: int, channels: int = 1, **parameters: str) -> Line:
    codec = sound_codec(sdp.Media("audio", 96, encoding, rate, channels, "", parameters))
    return Line(codec.depacketizer, rate)


def aac() -> Line:
    return sounds("MPEG4-GENERIC", 16000, mode="AAC-hbr", config="1408")


def unit(*nals: bytes) -> bytes:
    return b"".join(len(nal).to_bytes(4) + nal for nal in nals)


WHOLE = b"\x65\x80whole"
BEGIN, MIDDLE, END = b"\x7c\x85\x80one", b"\x7c\x05two", b"\x7c\x45three"
FRAGMENTED = b"\x65\x80onetwothree"


@pytest.mark.parametrize(
    "payloads",
    [
        [BEGIN],
        [BEGIN, MIDDLE],
        [MIDDLE, END],
        [BEGIN, WHOLE[:1] + b"\x00second slice"],
        [BEGIN, BEGIN, END],
        [b"\x7c"],
        [b"\x78\x00\x09\x65\x80short"],
        [b"\x78\x00\x03\x65\x80x\x01"],
        *([bytes((0x60 | kind,)) + b"\x80what"] for kind in (0, 25, 26, 27, 29, 30, 31)),
    ],
    ids=lambda payloads: b" ".join(p[:2].hex().encode() for p in payloads).decode(),
)
@pytest.mark.parametrize("marked", [True, False])
def test_a_unit_of_h264_that_never_was_whole_is_counted_before_the_next_picture(
    payloads: list[bytes], marked: bool
) -> None:
    line = Line(H264Depacketizer)
    line.send(WHOLE, 0)
    for number, payload in enumerate(payloads, 1):
        line.send(payload, 3000, marker=marked and number == len(payloads))
    line.send(WHOLE, 6000)
    assert line.track.lost == 1
    assert line.out[0] == line.out[-1] == unit(WHOLE)


def test_what_is_whole_is_given_and_nothing_is_counted() -> None:
    line = Line(H264Depacketizer)
    line.send(BEGIN, 1, marker=False)
    line.send(MIDDLE, 1, marker=False)
    line.send(END, 1)
    line.send(BEGIN, 2, marker=False)
    line.send(b"\x7c\x45", 2)  # The last piece is empty.
    line.send(b"\x78\x00\x03\x65\x80x\x00\x00\x00", 3)  # Zeros behind an aggregate.
    line.send(b"\x0a", 3)  # An end of sequence is a header alone.
    assert line.out == [unit(FRAGMENTED), unit(b"\x65\x80one"), unit(b"\x65\x80x")]
    assert line.track.lost == 0


@pytest.mark.parametrize("after", [[MIDDLE, END], [END], [BEGIN], [b"\x7dwhat"], []])
def test_what_follows_from_a_lost_packet_is_not_counted_again(after: list[bytes]) -> None:
    line = Line(H264Depacketizer)
    line.send(WHOLE, 0)
    line.lose()
    for payload in after:
        line.send(payload, 3000, marker=payload is after[-1])
    line.send(WHOLE, 6000)
    assert line.track.lost == 1


def test_a_stream_may_be_joined_in_the_midst_of_a_picture() -> None:
    line = Line(H264Depacketizer)
    line.send(MIDDLE, 0, marker=False)
    line.send(END, 0)
    line.send(WHOLE, 3000)
    assert (line.out, line.track.lost) == ([unit(WHOLE)], 0)


H265_WHOLE = b"\x26\x01\x80whole"


@pytest.mark.parametrize(
    "payload",
    [
        b"\x62\x01\x93\x80begun",
        b"\x62\x01\x53ended",
        b"\x62\x01",
        b"\x26",
        b"\x60\x01\x00\x09\x26\x01\x80short",
        b"\x60\x01\x00\x01\x26",
        b"\x64\x01\xa6",  # A PACI packet in a PACI packet, and those that are cut.
        b"\x64\x01\x64\x00\x01\x80x",
        b"\x64\x01\x27\xf0x",
        b"\x66\x01what",
        b"\x7e\x01what",
    ],
)
def test_a_unit_of_h265_that_never_was_whole_is_counted(payload: bytes) -> None:
    line = Line(H265Depacketizer)
    line.send(H265_WHOLE, 0)
    line.send(payload, 3000)
    line.send(H265_WHOLE, 6000)
    assert line.out == [unit(H265_WHOLE)] * 2
    assert line.track.lost == 1


@given(
    st.integers(0, 47),
    st.booleans(),
    st.integers(0, 511),
    st.binary(max_size=31),
    st.binary(min_size=1, max_size=50),
)
def test_a_unit_in_a_paci_packet_is_as_it_was(
    kind: int, forbidden: bool, layer: int, hints: bytes, body: bytes
) -> None:
    header = (forbidden << 15 | kind << 9 | layer).to_bytes(2)
    fields = (forbidden << 15 | kind << 9 | len(hints) << 4).to_bytes(2)
    plain, packed = Line(H265Depacketizer), Line(H265Depacketizer)
    plain.send(header + body, 0)
    packed.send((50 << 9 | layer).to_bytes(2) + fields + hints + body, 0)
    for line in (plain, packed):
        line.send(H265_WHOLE, 0)
    assert packed.out == plain.out
    assert packed.track.lost == plain.track.lost == 0


def test_fragments_in_paci_packets_and_units_that_are_headers_alone() -> None:
    line = Line(H265Depacketizer)
    for flags, piece, marker in ((0x93, b"\x80one", False), (0x53, b"two", False)):
        line.send(b"\x64\x01" + (49 << 9).to_bytes(2) + bytes((flags,)) + piece, 0, marker=marker)
    line.send(b"\x48\x01", 0)  # An end of sequence.
    assert line.out == [unit(b"\x26\x01\x80onetwo", b"\x48\x01")]
    line.send(b"\x60\x01\x00\x02\x4a\x01\x00\x05\x26\x01\x80xx", 3000)
    assert line.out[1:] == [unit(b"\x4a\x01", b"\x26\x01\x80xx")]
    assert line.track.lost == 0


def frame(size: int, data: bytes, *, units: int = 1) -> bytes:
    return (16 * units).to_bytes(2) + (size << 3).to_bytes(2) * units + data


@pytest.mark.parametrize(
    ("payloads", "lost"),
    [
        ([b"\x00"], 1),
        ([b"\x00\x08\x00\x00data"], 1),
        ([b"\x00\x20\x00\x08"], 1),
        ([frame(4, b"abcdef", units=2)], 1),  # The second of the two is cut.
        ([frame(9, b"half")], 1),
        ([frame(9, b"half"), frame(5, b"other")], 1),
        ([frame(1 << 12, bytes(1400))] * 60, 1),
        ([], 0),
    ],
)
def test_aac_that_is_left_out_is_counted(payloads: list[bytes], lost: int) -> None:
    line = aac()
    line.send(frame(5, b"whole"), 0)
    for number, payload in enumerate(payloads, 1):
        line.send(payload, 1024, marker=number == len(payloads))
    line.send(frame(5, b"whole"), 2048)
    assert line.track.lost == lost
    assert line.out[0] == line.out[-1] == b"whole"


def test_halves_of_two_aac_frames_are_none() -> None:
    line = aac()
    line.send(frame(8, b"half"), 0, marker=False)
    line.send(frame(8, b"rest"), 1024)
    assert line.out == []
    assert line.track.lost == 1


@pytest.mark.parametrize(
    ("line", "good", "bad"),
    [
        (sounds("PCMA", 8000, 2), b"even", b"odd"),
        (sounds("PCMU", 8000), b"much", bytes((1 << 16) + 1)),
        (sounds("OPUS", 48000, 2), b"much", bytes((1 << 16) + 1)),
        (sounds("MP4A-LATM", 16000, cpresent="0", config="40002810"), b"\x02ab", b"\x09cut"),
    ],
    ids=["A-law", "mu-law", "Opus", "LATM"],
)
def test_other_sounds_that_are_left_out_are_counted(line: Line, good: bytes, bad: bytes) -> None:
    line.send(good, 0)
    assert line.track.lost == 0
    line.send(bad, 1000)
    assert line.track.lost == 1
    line.send(good, 3000)
    line.send(bad, 4000)
    assert (len(line.out), line.track.lost) == (2, 2)


@given(st.lists(st.sampled_from(["good", "large", "unmarked", "holed"]), max_size=12))
def test_every_document_of_metadata_is_given_or_counted(kinds: list[str]) -> None:
    line = Line(MetadataDepacketizer)
    line.send(b"<begin/>")
    for number, kind in enumerate(kinds, 1):
        pieces = 24 if kind == "large" else 2
        for piece in range(pieces):
            if kind == "holed" and not piece:
                line.lose()
                continue
            last = piece == pieces - 1 and kind != "unmarked"
            data = bytes(MAX_DOCUMENT_BYTES // 20) if kind == "large" else b"<a/>"
            line.send(data, number, marker=last)
    line.send(b"<end/>", len(kinds) + 1)
    assert len(line.out) == 2 + kinds.count("good")
    # A hole behind a document without an end may be of that one.
    joint = sum(pair == ("unmarked", "holed") for pair in pairwise(kinds))
    assert line.track.lost == len(kinds) - kinds.count("good") - joint


class World:
    """A picture each 0.2 s, a keyframe each second, sound and metadata as told."""

    def __init__(self, seconds: float = 2.0) -> None:
        self.sink = MemorySink()
        codec = sound_codec(sdp.Media("audio", 8, "PCMA", 8000, 1, "", {}))
        coverage = Coverage(T, GapCause.CONNECTING, self.sink.gap)
        self.segmenter = Segmenter(self.sink, coverage, segment_seconds=seconds, sound=codec.format)
        self.pictures = Track(96, 90000, H264Depacketizer(lambda _unit: None))
        self.sounds = Track(8, 8000, H264Depacketizer(lambda _unit: None))
        self.about = Track(98, 90000, H264Depacketizer(lambda _unit: None))
        self.segmenter.beside(self.sounds, self.about)

    def play(self, begin: int, end: int, *, documents: bool = True) -> None:
        for number in range(begin, end):
            when = at(number / 5)
            key = number % 5 == 0
            picture = AccessUnit(number * 18000, [b"\x65"], 1, key=key, picture=True, format=FORM)
            self.segmenter.picture(picture, self.pictures, when)
            self.segmenter.sound(number * 1600, bytes(1600), self.sounds, self.pictures, when)
            if documents:
                time = number * 18000
                self.segmenter.metadata(time, b"<a/>", self.about, self.pictures, when)

    def lost(self) -> list[int]:
        return [segment.facts["lost_packets"] for segment in self.sink.metadata]


def test_metadata_that_is_lost_at_a_connections_end_is_in_its_row() -> None:
    world = World()
    world.play(0, 13)
    world.about.lost += 3
    world.segmenter.finish(world.pictures, GapCause.CONNECTION_LOST)
    assert world.lost() == [0, 3]


def test_metadata_of_which_nothing_is_whole_has_a_row_that_says_so() -> None:
    world = World()
    world.play(0, 10)
    world.play(10, 11, documents=False)
    world.about.lost += 2
    world.play(11, 21, documents=False)
    world.about.lost += 5
    world.play(21, 30, documents=False)
    world.play(30, 31)
    world.segmenter.finish(world.pictures, GapCause.CONNECTION_LOST)
    assert world.lost() == [0, 2, 5, 0]
    assert [segment.facts["frames"] for segment in world.sink.metadata] == [10, 0, 0, 1]


def test_what_was_lost_before_the_recording_is_not_of_it() -> None:
    world = World()
    world.about.lost = world.sounds.lost = world.pictures.lost = 9
    world.segmenter.forgive(9, 9, 9)
    world.play(0, 11)
    world.segmenter.finish(world.pictures, GapCause.CONNECTION_LOST)
    assert world.lost() == [0, 0]
    assert world.sink.gaps == []


def test_sound_that_is_lost_at_a_connections_end_is_declared() -> None:
    world = World(60)
    world.play(0, 11)
    world.sounds.lost += 4
    for number in (11, 12):
        picture = AccessUnit(number * 18000, [b"\x65"], 1, picture=True, format=FORM)
        world.segmenter.picture(picture, world.pictures, at(number / 5))
    world.segmenter.finish(world.pictures, GapCause.CONNECTION_LOST)
    ((start, end, _, lost),) = [g for g in world.sink.gaps if g[2] is GapCause.SOUND_LOSS]
    assert [(t - T).total_seconds() for t in (start, end)] == pytest.approx([2.0, 2.6], abs=0.01)
    assert lost == 4
