"""A film in packets, a faulty wire, and a judge of what was recorded against what was sent."""

import io
import random
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from fractions import Fraction
from functools import cache

import av

from roomwitness.capture.codecs import AccessUnit
from roomwitness.capture.codecs.h264 import H264Depacketizer
from roomwitness.capture.codecs.h265 import H265Depacketizer
from roomwitness.capture.coverage import Coverage
from roomwitness.capture.rtp import Track
from roomwitness.capture.segmenter import Segmenter
from roomwitness.policy.words import GapCause
from tests.camera.media import split_nals
from tests.camera.rtp import Form, piece_of

from .memory import MemorySink

START = datetime(2026, 11, 2, 9, 0, tzinfo=UTC)
FPS = 10
_TRANSIT = timedelta(milliseconds=10)
_CALM = timedelta(seconds=2)  # Until then each packet is read as it comes (stream.py).
_CLOSE = timedelta(milliseconds=60)  # Less than a picture lasts.
_OFF_S = 0.5
_FRAGMENT = 90
_FORMS: dict[str, Form] = {"x264": "h264", "x265": "h265"}
# Of packets: STAP-B, MTAP16, MTAP24, FU-B, and those that nobody has defined.
UNKNOWN = {"x264": (25, 26, 27, 29, 30, 31), "x265": (51, 60, 63)}
_AUD = {"x264": 9, "x265": 35}  # The packets of tests have none.


@dataclass(frozen=True)
class Picture:
    """``shown`` in seconds."""

    shown: float
    nals: tuple[bytes, ...]
    key: bool

    @property
    def sample(self) -> bytes:
        return b"".join(len(nal).to_bytes(4) + nal for nal in self.nals)


@dataclass(frozen=True)
class Packet:
    """``picture`` is the index in decoding order."""

    picture: int
    time: int
    payload: bytes
    marker: bool


@dataclass(frozen=True)
class Film:
    codec: str
    pictures: tuple[Picture, ...]
    packets: tuple[Packet, ...]


@cache
def film(codec: str, params: str, seconds: int = 5) -> Film:
    """Pictures that all differ, several slices each, keyframes every second."""
    encoder = av.CodecContext.create(f"lib{codec}", "w")
    encoder.width, encoder.height, encoder.pix_fmt = 128, 128, "yuv420p"
    encoder.framerate, encoder.time_base = Fraction(FPS), Fraction(1, FPS)
    gop = f"keyint={FPS}:min-keyint={FPS}:scenecut=0:repeat-headers=1"
    encoder.options = {"preset": "ultrafast", f"{codec}-params": f"{gop}:{params}"}
    chance, pictures = random.Random(1), []
    for number in range(seconds * FPS + 1):
        frame = None
        if number < seconds * FPS:
            frame = av.VideoFrame(128, 128, "yuv420p")
            for plane in frame.planes:
                plane.update(chance.randbytes(plane.buffer_size // 16) * 16)
            frame.pts = number
        for packet in encoder.encode(frame):
            sei = _unregistered(codec, len(pictures))
            nals = (sei, *(n for n in split_nals(bytes(packet)) if _kind(codec, n) != _AUD[codec]))
            pictures.append(Picture(int(packet.pts) / FPS, nals, bool(packet.is_keyframe)))
    packets = [p for index, picture in enumerate(pictures) for p in _pack(codec, index, picture)]
    return Film(codec, tuple(pictures), tuple(packets))


def _kind(codec: str, nal: bytes) -> int:
    return nal[0] & 31 if codec == "x264" else nal[0] >> 1 & 63


def _unregistered(codec: str, number: int) -> bytes:
    """User data that no two pictures share."""
    head = b"\x06" if codec == "x264" else b"\x4e\x01"
    return head + b"\x05\x14" + bytes(range(1, 17)) + f"{number:04}".encode() + b"\x80"


def _pack(codec: str, index: int, picture: Picture) -> list[Packet]:
    payloads: list[bytes] = []
    for nal in picture.nals:
        head = 1 if codec == "x264" else 2
        if len(nal) <= _FRAGMENT:
            payloads.append(nal)
            continue
        pieces = [nal[i : i + _FRAGMENT] for i in range(head, len(nal), _FRAGMENT)]
        for number, piece in enumerate(pieces):
            flags = 0x80 * (number == 0) | 0x40 * (number == len(pieces) - 1) | _kind(codec, nal)
            if codec == "x264":
                payloads.append(bytes((nal[0] & 0xE0 | 28, flags)) + piece)
            else:
                payloads.append(bytes((nal[0] & 0x81 | 49 << 1, nal[1], flags)) + piece)
    time = round(picture.shown * 90000)
    last = len(payloads) - 1
    return [Packet(index, time, p, i == last) for i, p in enumerate(payloads)]


@dataclass
class Wire:
    """From a camera to a segmenter in injected time; ``apply`` does what ``send`` does not.

    After a while so many packets are read ``together`` (0: each picture is given as it ends), and
    what they brought is given at once, or ``one_by_one`` with the same time of arrival.
    """

    film: Film
    marked: bool = True
    sequence: int = 65500
    ssrc: int = 7
    turned: int = 0xFFFF0000
    at: int = 0
    now: datetime = START
    ahead: float = 0.0
    cut_at: int = -1
    together: int = 0
    one_by_one: bool = False
    packets: int = 0
    came: list[AccessUnit] = field(default_factory=list)
    sink: MemorySink = field(default_factory=MemorySink)

    def __post_init__(self) -> None:
        make = {"x264": H264Depacketizer, "x265": H265Depacketizer}[self.film.codec]
        coverage = Coverage(START, GapCause.CONNECTING, self.sink.gap)
        segmenter = Segmenter(self.sink, coverage, segment_seconds=2, sound=None)
        # The session's description has the parameter sets, as most cameras' have.
        sets = list(self.film.pictures[0].nals)
        emit = (
            self.came.append
            if self.together
            else lambda unit: segmenter.picture(unit, track, self.now)
        )
        track = Track(96, 90000, make(emit, sets), self.settle)
        self.coverage, self.segmenter, self.track = coverage, segmenter, track
        # A picture cannot be sent before it is to be seen.
        self.ahead = max(p.shown - i / FPS for i, p in enumerate(self.film.pictures))

    def raw(self, data: bytes) -> None:
        self.track.rtp(memoryview(data), 0, len(data))
        self.packets += 1
        calm = self.now - START > _CALM
        if self.together and (not calm or self.packets % self.together == 0):
            self.settle()
            if not self.one_by_one:
                self.segmenter.flush()

    def settle(self) -> None:
        came = self.came[:]
        self.came.clear()
        if not self.one_by_one:
            self.segmenter.pictures(came, self.track, self.now)
            return
        for unit in came:
            self.segmenter.picture(unit, self.track, self.now)

    def head(self, packet: Packet, first: int = 0x80) -> bytes:
        marker = 0x80 if packet.marker and self.marked else 0
        time = packet.time + self.turned & 0xFFFFFFFF
        head = bytes((first, marker | 96)) + (self.sequence & 0xFFFF).to_bytes(2)
        return head + time.to_bytes(4) + self.ssrc.to_bytes(4)

    def _next(self) -> Packet:
        packet = self.film.packets[self.at]
        self.now = START + timedelta(seconds=packet.picture / FPS + self.ahead) + _TRANSIT
        self.at += 1
        self.sequence += 1
        return packet

    def send(self, count: int = 1) -> None:
        for _ in range(min(count, len(self.film.packets) - self.at)):
            packet = self._next()
            self.raw(self.head(packet) + packet.payload)

    def apply(self, fault: str, value: int) -> None:
        """Something between two packets, or to the next of them."""
        if self.at >= len(self.film.packets):
            return
        if fault == "drop":
            for _ in range(min(value, len(self.film.packets) - self.at)):
                self._next()
        elif fault == "runt":
            self.raw(self.head(self._next())[: value % 12])
        elif fault == "twice":
            packet = self._next()
            for _ in range(2):
                self.raw(self.head(packet) + packet.payload)
        elif fault == "late" and self.at + value % 5 + 2 < len(self.film.packets):
            late = self._next()
            data = self.head(late) + late.payload
            self.send(value % 5 + 1)
            self.raw(data)
        elif fault == "padded":
            packet = self._next()
            size = value % 255 + 1
            self.raw(self.head(packet, 0xA0) + packet.payload + bytes(size - 1) + bytes((size,)))
        elif fault == "padding":
            self.sequence += 1
            packet = self.film.packets[self.at - 1]
            self.raw(self.head(packet, 0xA0) + bytes(3) + b"\x04")
        elif fault == "extended":
            packet = self._next()
            self.raw(self.head(packet, 0x90) + b"\xbe\xde\x00\x01" + bytes(4) + packet.payload)
        elif fault == "cut":
            self._cut(value)
        elif fault == "headless":
            self._behead()
        elif fault == "unknown":
            packet = self._next()
            kinds = UNKNOWN[self.film.codec]
            kind, head = kinds[value % len(kinds)], packet.payload[0]
            head = head & 0xE0 | kind if self.film.codec == "x264" else head & 0x81 | kind << 1
            self.raw(self.head(packet) + bytes((head,)) + packet.payload[1:])
        elif fault == "stray":
            ours, self.ssrc = self.ssrc, value
            packet = self.film.packets[self.at]
            self.raw(self.head(packet) + packet.payload)
            self.ssrc = ours
        elif fault == "takeover":
            self.ssrc += 1 + value
            self.sequence += 1000 * value
            self.turned += 7919 * value

    def _piece(self, at: int) -> int | None:
        """Flags of a fragment, as ``tests.camera.rtp.piece_of`` has them."""
        return piece_of(_FORMS[self.film.codec], self.film.packets[at].payload)

    def _to_a_unit_in_pieces(self) -> bool:
        """Send up to the next unit that comes in pieces, if it is not of the last picture."""
        last = self.film.packets[-1].picture
        while self.at < len(self.film.packets) and self.film.packets[self.at].picture != last:
            if (self._piece(self.at) or 0) & 0x80:
                return True
            self.send()
        return False

    def _cut(self, value: int) -> None:
        """The encoder leaves out a unit's end, and numbers its packets on."""
        if not self._to_a_unit_in_pieces():
            return
        end = self.at
        while not (self._piece(end) or 0) & 0x40:
            end += 1
        self.send(value % (end - self.at))
        packet = self._next()
        if value & 1:  # The marker goes with the end, or comes with what is left.
            packet = replace(packet, marker=self.film.packets[end].marker)
        self.raw(self.head(packet) + packet.payload)
        self.at = self.cut_at = end + 1

    def _behead(self) -> None:
        """The encoder leaves out a unit's beginning, and numbers its packets on."""
        if self.at == self.cut_at:
            self.send()  # What follows a piece looks like another of it: nobody could tell.
        if self._to_a_unit_in_pieces():
            self.at += 1

    def end(self) -> None:
        """The camera goes away at the film's end."""
        self.send(len(self.film.packets))
        self.settle()
        self.segmenter.finish(self.track, GapCause.CONNECTION_LOST)
        self.now = START + timedelta(seconds=len(self.film.pictures) / FPS)
        self.coverage.finish(self.now)

    def undeclared(self) -> list[str]:
        """What is neither as it was sent, with all that it needs, nor inside a gap."""
        recorded = self.recorded()
        whole = {data for _, data in recorded}
        slices = {self._slices(data) for data in whole}
        sent = {picture.sample: picture for picture in self.film.pictures}
        # The last one may be on its way for ever: no marker, no next picture.
        owed = self.film.pictures if self.marked else self.film.pictures[:-1]
        # Without markers a picture is whole when the next begins.
        began = START + timedelta(seconds=0 if self.marked else 1 / FPS)
        found, good = [], False
        for picture in owed:
            good = self._slices(picture.sample) in slices and (good or picture.key)
            if good and picture.sample in whole:
                continue
            if not self._declared(began + timedelta(seconds=picture.shown)):
                found.append(f"{picture.shown} {'is incomplete' if good else 'is missing'}")
        for at, data in recorded:
            if data not in sent and not self._declared(at):
                found.append(f"{at - START} is not as it was sent")
            elif data in sent and abs((at - START).total_seconds() - sent[data].shown) > _OFF_S:
                found.append(f"{sent[data].shown} is said to be of {at - START}")
        return found

    def _slices(self, sample: bytes) -> bytes:
        """Without what only goes with them: parameter sets that are repeated, user data."""
        kinds = range(1, 6) if self.film.codec == "x264" else range(32)
        found, at = b"", 0
        while at < len(sample):
            stop = at + 4 + int.from_bytes(sample[at : at + 4])
            if _kind(self.film.codec, sample[at + 4 : stop]) in kinds:
                found += sample[at:stop]
            at = stop
        return found

    def _declared(self, at: datetime) -> bool:
        return any(a - _CLOSE <= at <= b + _CLOSE for a, b, _, _ in self.sink.gaps)

    def recorded(self) -> list[tuple[datetime, bytes]]:
        found = []
        for segment in self.sink.closed:
            with av.open(io.BytesIO(segment.data)) as container:
                packets = [p for p in container.demux(video=0) if p.pts is not None]
            for packet in packets:
                ahead = float((packet.pts - packets[0].pts) * packet.time_base)
                at = segment.facts["start"] + timedelta(seconds=ahead)
                found.append((at, bytes(packet)))
        return found
