"""H.265 over RTP (RFC 7798): single NAL units, AP, FU. Bytes pass through unchanged."""

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

CLOCK_RATE = 90000  # RFC 7798, 7.1
_VPS, _SPS, _PPS = 32, 33, 34
_AP, _FU, _PACI = 48, 49, 50
_NONE = 63
_KINDS = (_VPS, _SPS, _PPS)
_PICTURES = range(32)  # ITU-T H.265, table 7-1: VCL NAL unit types
_IRAP = range(16, 24)  # BLA, IDR, CRA
_PROFILE_BITS = 96  # general_profile_space to general_level_idc (7.3.3)
_SUB_LAYER_PROFILE_BITS, _SUB_LAYER_LEVEL_BITS = 88, 8


@dataclass(frozen=True, slots=True)
class H265Format:
    """Parameter sets; ``in_band`` says that the stream repeats them (14496-15: hev1, not hvc1)."""

    vps: tuple[bytes, ...]
    sps: tuple[bytes, ...]
    pps: tuple[bytes, ...]
    in_band: bool = field(compare=False)

    @property
    def nals(self) -> tuple[bytes, ...]:
        """The sets in decoding order."""
        return (*self.vps, *self.sps, *self.pps)

    @property
    def size(self) -> tuple[int, int]:
        """Width and height of the newest sequence parameter set."""
        return _read(self.sps[-1]).size

    def sample_entry(self) -> bytes:
        """``hvc1`` or ``hev1`` with its ``hvcC`` (14496-15, 8.3.3.1)."""
        sps = _read(self.sps[-1])
        luma, chroma = sps.depth
        # No hints about slices or frame rates; NAL lengths of four bytes.
        head = b"\x01" + sps.profile + struct.pack(
            ">HBBBBHBB", 0xF000, 0xFC, 0xFC | sps.chroma, 0xF8 | luma - 8, 0xF8 | chroma - 8, 0,
            sps.layers << 3 | sps.nested << 2 | 3, len(_KINDS),
        )  # fmt: skip
        complete = 0 if self.in_band else 0x80
        arrays = b"".join(
            struct.pack(">BH", complete | kind, len(nals))
            + b"".join(struct.pack(">H", len(nal)) + nal for nal in nals)
            for kind, nals in zip(_KINDS, (self.vps, self.sps, self.pps), strict=True)
        )
        name = b"hev1" if self.in_band else b"hvc1"
        return visual_entry(name, sps.size, box(b"hvcC", head, arrays))


class H265:
    """The codec by its session description; it may leave the parameter sets to the stream."""

    name = "H.265"
    decoder = "hevc"

    def __init__(self, media: Media) -> None:
        self._nals = from_description(media, "sprop-vps", "sprop-sps", "sprop-pps")

    def depacketizer(self, emit: EmitPicture) -> H265Depacketizer:
        """A fresh depacketizer that knows the description's sets."""
        return H265Depacketizer(emit, self._nals)


def codec(media: Media) -> VideoCodec:
    """Read the parameters of ``H265`` (RFC 7798, 7.1).

    Raises:
        StreamUnsupported: another clock, reordered NAL units (DONL fields), or several streams.
    """
    values = media.parameters
    if media.clock_rate != CLOCK_RATE:
        raise StreamUnsupported("an H.265 clock that is not 90 kHz")
    if any(
        values.get(name, "0") != "0" for name in ("sprop-max-don-diff", "sprop-depack-buf-nalus")
    ):
        raise StreamUnsupported("H.265 with reordered NAL units")
    if values.get("tx-mode", "SRST").upper() != "SRST":
        raise StreamUnsupported("H.265 over several streams")
    return H265(media)


class H265Depacketizer(NalDepacketizer):
    """RFC 7798, 4.4; of PACI packets (4.4.4) only the unit: they are hints for the network."""

    begins = 3

    def __init__(self, emit: EmitPicture, nals: list[bytes] | None = None) -> None:
        sets = ParameterSets(_KINDS, _number, _make)
        for nal in nals or ():
            if (kind := _kind(nal[0])) in _KINDS:
                sets.take(kind, nal, in_band=False)
        super().__init__(emit, sets, _KINDS, _PICTURES, _IRAP, _kind, 2)

    def push(self, view: memoryview, start: int, end: int, time: int, marker: bool) -> None:
        """Take one payload."""
        unit = self._at(time)
        kind = _kind(view[start]) if end - start > 1 else _NONE
        if kind == _PACI:
            found = _packed(view, start, end)
            if found is not None:
                self.push(memoryview(found), 0, len(found), time, marker)
                return
            kind = _NONE
        if kind == _FU and end - start > 2:
            header = view[start + 2]
            if header & 0x80:
                first = view[start] & 0x81 | (header & 63) << 1
                self._begin_fragments(bytes((first, view[start + 1])))
            fragments = self._fragments
            if fragments is None:
                self._throw()
            else:
                self._gather(fragments, bytes(view[start + 3 : end]))
                if header & 0x40:
                    self._whole(unit, fragments)
        elif kind == _AP:
            self._aggregate(unit, view, start + 2, end, least=2)
        elif kind < _AP:
            self._add(unit, kind, [bytes(view[start:end])])
        else:  # Too short, or of a kind that nobody has defined.
            self._throw()
        if marker:
            self._marked(unit)

    @staticmethod
    @lru_cache(256)
    def shape(begin: bytes) -> Shape | None:
        """Of which unit this is a piece (burst.py; RFC 7798, 4.4.3)."""
        first, second, header = begin
        if _kind(first) != _FU or header & 0x40:
            return None
        kind = header & 63
        opens = bytes((first & 0x81 | kind << 1, second)) if header & 0x80 else b""
        last = bytes((first, second, kind | 0x40))
        return shape(kind, opens, bytes((first, second, kind)), last)


def _packed(view: memoryview, start: int, end: int) -> bytes | None:
    """What a PACI packet carries, its header put together again; None if there is nothing.

    Behind the payload header: A (1 bit), cType (6), PHSsize (5), flags (4), so many bytes of hints,
    and the carried unit without its own header (RFC 7798, 4.4.4).
    """
    if end - start < 4:
        return None
    fields = view[start + 2] << 8 | view[start + 3]
    kind, body = fields >> 9 & 63, start + 4 + (fields >> 4 & 31)
    if kind == _PACI or body > end:
        return None
    first = fields >> 8 & 0x80 | kind << 1 | view[start] & 1
    return bytes((first, view[start + 1])) + view[body:end]


def _kind(first: int) -> int:
    """``nal_unit_type`` of a header's first byte."""
    return first >> 1 & 63


def _make(sets: Sets, in_band: bool) -> H265Format:
    vps, sps, pps = sets
    return H265Format(vps, sps, pps, in_band=in_band)


def _number(kind: int, nal: bytes) -> int:
    """Own number of a set (ITU-T H.265, 7.3.2.1 to 7.3.2.3)."""
    if kind == _SPS:
        return _read(nal).number
    bits = Bits(unescaped(nal[2:16]))
    return bits.take(4) if kind == _VPS else bits.ue()


@dataclass(frozen=True, slots=True)
class _Sps:
    number: int
    size: tuple[int, int]
    profile: bytes
    layers: int
    nested: int
    chroma: int
    depth: tuple[int, int]


def picture_size(sps: bytes) -> tuple[int, int]:
    """Width and height in pixels, conformance window applied.

    Raises:
        StreamUnsupported: it is not a parameter set.
    """
    return _read(sps).size


def _read(sps: bytes) -> _Sps:
    """A sequence parameter set (ITU-T H.265, 7.3.2.2.1)."""
    bits = Bits(unescaped(sps[2:]))
    bits.take(4)
    more = bits.take(3)
    nested = bits.take(1)
    profile = bits.take(_PROFILE_BITS).to_bytes(_PROFILE_BITS // 8)
    present = [(bits.take(1), bits.take(1)) for _ in range(more)]
    if more:
        bits.take(2 * (8 - more))
    for with_profile, with_level in present:
        bits.take(_SUB_LAYER_PROFILE_BITS * with_profile + _SUB_LAYER_LEVEL_BITS * with_level)
    number = bits.ue()
    chroma = bits.ue()
    separate = bits.take(1) if chroma == 3 else 0
    width, height = bits.ue(), bits.ue()
    if bits.take(1):
        unit_x = 2 if chroma in (1, 2) and not separate else 1
        unit_y = 2 if chroma == 1 else 1
        left, right, top, bottom = (bits.ue() for _ in range(4))
        width -= unit_x * (left + right)
        height -= unit_y * (top + bottom)
    depth = (8 + bits.ue(), 8 + bits.ue())
    if not (0 < width < 1 << 16 and 0 < height < 1 << 16 and chroma < 4 and max(depth) < 16):
        raise StreamUnsupported("a picture without a size")
    return _Sps(number, (width, height), profile, more + 1, nested, chroma, depth)
