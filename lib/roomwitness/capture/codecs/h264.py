"""H.264 over RTP (RFC 6184): single NAL units, STAP-A, FU-A. Bytes pass through unchanged."""

import struct
from dataclasses import dataclass, field
from functools import lru_cache

from ..boxes import box, visual_entry
from ..burst import Shape, shape
from ..errors import StreamUnsupported
from ..sdp import Media
from .base import EmitPicture, VideoCodec
from .bits import Bits, unescaped
from .nal import NalDepacketizer, ParameterSets, Sets, from_description

CLOCK_RATE = 90000  # RFC 6184, 8.2.1
_IDR, _SPS, _PPS = 5, 7, 8
_STAP_A, _FU_A = 24, 28
_KINDS = (_SPS, _PPS)
_MAX_SPS = 31  # avcC counts them in five bits.

# Profiles whose parameter sets carry the chroma format (ITU-T H.264, 7.3.2.1.1), and those whose
# avcC has it behind the sets (ISO/IEC 14496-15, 5.3.3.1.2).
_CHROMA = frozenset({100, 110, 122, 244, 44, 83, 86, 118, 128, 138, 139, 134, 135})
_CONFIG_CHROMA = frozenset({100, 110, 122, 144})


@dataclass(frozen=True, slots=True)
class H264Format:
    """Parameter sets; ``in_band`` says that the stream repeats them (14496-15: avc3, not avc1)."""

    sps: tuple[bytes, ...]
    pps: tuple[bytes, ...]
    in_band: bool = field(compare=False)

    @property
    def nals(self) -> tuple[bytes, ...]:
        """The sets in decoding order."""
        return (*self.sps, *self.pps)

    @property
    def size(self) -> tuple[int, int]:
        """Width and height of the newest sequence parameter set."""
        return _read(self.sps[-1]).size

    def sample_entry(self) -> bytes:
        """``avc1`` or ``avc3`` with its ``avcC`` (14496-15, 5.3.3.1)."""
        newest = _read(self.sps[-1])
        sps, pps = self.sps[-_MAX_SPS:], self.pps
        parts = [bytes((1, *self.sps[-1][1:4], 0xFF, 0xE0 | len(sps)))]
        parts += [struct.pack(">H", len(nal)) + nal for nal in sps]
        parts.append(bytes((len(pps),)))
        parts += [struct.pack(">H", len(nal)) + nal for nal in pps]
        if self.sps[-1][1] in _CONFIG_CHROMA:
            luma, chroma = newest.depth
            parts.append(bytes((0xFC | newest.chroma, 0xF8 | luma - 8, 0xF8 | chroma - 8, 0)))
        return visual_entry(b"avc3" if self.in_band else b"avc1", newest.size, box(b"avcC", *parts))


class H264:
    """The codec by its session description; it may leave the parameter sets to the stream."""

    name = "H.264"
    decoder = "h264"

    def __init__(self, media: Media) -> None:
        self._nals = from_description(media, "sprop-parameter-sets")

    def depacketizer(self, emit: EmitPicture) -> H264Depacketizer:
        """A fresh depacketizer that knows the description's sets."""
        return H264Depacketizer(emit, self._nals)


def codec(media: Media) -> VideoCodec:
    """Read the parameters of ``H264`` (RFC 6184, 8.1).

    Raises:
        StreamUnsupported: another clock, or interleaved packetization.
    """
    if media.clock_rate != CLOCK_RATE:
        raise StreamUnsupported("an H.264 clock that is not 90 kHz")
    if media.parameters.get("packetization-mode") == "2":
        raise StreamUnsupported("interleaved H.264")
    return H264(media)


class H264Depacketizer(NalDepacketizer):
    """RFC 6184, 5.6 to 5.8, without the interleaved kinds."""

    begins = 2

    def __init__(self, emit: EmitPicture, nals: list[bytes] | None = None) -> None:
        sets = ParameterSets(_KINDS, _number, _make)
        for nal in nals or ():
            if (kind := _kind(nal[0])) in _KINDS:
                sets.take(kind, nal, in_band=False)
        super().__init__(emit, sets, _KINDS, range(1, _IDR + 1), range(_IDR, _IDR + 1), _kind, 1)

    def push(self, view: memoryview, start: int, end: int, time: int, marker: bool) -> None:
        """Take one payload."""
        if start >= end:
            return
        unit = self._at(time)
        kind = _kind(view[start])
        if kind == _FU_A:
            if end - start > 1:  # A piece may be empty (RFC 6184, 5.8).
                header = view[start + 1]
                if header & 0x80:
                    self._begin_fragments(bytes((view[start] & 0xE0 | header & 31,)))
                fragments = self._fragments
                if fragments is None:
                    self._throw()
                else:
                    self._gather(fragments, bytes(view[start + 2 : end]))
                    if header & 0x40:
                        self._whole(unit, fragments)
            else:
                self._throw()
        elif kind == _STAP_A:
            self._aggregate(unit, view, start + 1, end, least=1)
        elif 0 < kind < _STAP_A:
            self._add(unit, kind, [bytes(view[start:end])])
        else:  # Interleaved kinds, and those that nobody has defined (RFC 6184, 5.2).
            self._throw()
        if marker:
            self._marked(unit)

    @staticmethod
    @lru_cache(256)
    def shape(begin: bytes) -> Shape | None:
        """Of which unit this is a piece (burst.py; RFC 6184, 5.8)."""
        first, header = begin
        if _kind(first) != _FU_A or header & 0x40:
            return None
        kind, same = header & 31, header & 0x3F
        opens = bytes((first & 0xE0 | kind,)) if header & 0x80 else b""
        return shape(kind, opens, bytes((first, same)), bytes((first, same | 0x40)))


def _kind(first: int) -> int:
    """``nal_unit_type`` of a header."""
    return first & 31


def _make(sets: Sets, in_band: bool) -> H264Format:
    sps, pps = sets
    return H264Format(sps, pps, in_band=in_band)


def _number(kind: int, nal: bytes) -> int:
    """Own number of a set: ``seq_parameter_set_id`` or ``pic_parameter_set_id``."""
    bits = Bits(unescaped(nal[1:16]))
    if kind == _SPS:
        bits.take(24)
    return bits.ue()


@dataclass(frozen=True, slots=True)
class _Sps:
    size: tuple[int, int]
    chroma: int
    depth: tuple[int, int]


def picture_size(sps: bytes) -> tuple[int, int]:
    """Width and height in pixels, cropping applied.

    Raises:
        StreamUnsupported: it is not a parameter set.
    """
    return _read(sps).size


def _read(sps: bytes) -> _Sps:
    """A sequence parameter set (ITU-T H.264, 7.3.2.1.1)."""
    bits = Bits(unescaped(sps[1:]))
    profile = bits.take(8)
    bits.take(16)
    bits.ue()
    chroma, separate, depth = 1, 0, (8, 8)
    if profile in _CHROMA:
        chroma = bits.ue()
        if chroma == 3:
            separate = bits.take(1)
        depth = (8 + bits.ue(), 8 + bits.ue())
        bits.take(1)
        if bits.take(1):
            for index in range(12 if chroma == 3 else 8):
                if bits.take(1):
                    _scaling_list(bits, 16 if index < 6 else 64)
    bits.ue()
    order = bits.ue()
    if order == 0:
        bits.ue()
    elif order == 1:
        bits.take(1)
        bits.se()
        bits.se()
        for _ in range(bits.ue()):
            bits.se()
    bits.ue()
    bits.take(1)
    width = (bits.ue() + 1) * 16
    map_units = bits.ue() + 1
    frame_only = bits.take(1)
    if not frame_only:
        bits.take(1)
    bits.take(1)
    height = map_units * 16 * (2 - frame_only)
    if bits.take(1):
        array_type = 0 if separate else chroma
        unit_x = 2 if array_type in (1, 2) else 1
        unit_y = (2 if array_type == 1 else 1) * (2 - frame_only)
        left, right, top, bottom = (bits.ue() for _ in range(4))
        width -= unit_x * (left + right)
        height -= unit_y * (top + bottom)
    if not (0 < width < 1 << 16 and 0 < height < 1 << 16 and chroma < 4 and max(depth) < 16):
        raise StreamUnsupported("a picture without a size")
    return _Sps((width, height), chroma, depth)


def _scaling_list(bits: Bits, size: int) -> None:
    last = following = 8
    for _ in range(size):
        if following:
            following = (last + bits.se()) % 256
        last = following or last
