"""MPEG-4 audio's own description, shared by both ways of sending AAC (ISO/IEC 14496-3, 1.6.2.1)."""

import struct
from dataclasses import dataclass

from ..boxes import full, sound_entry
from ..errors import StreamUnsupported
from .bits import Bits

_RATES = (
    96000, 88200, 64000, 48000, 44100, 32000, 24000, 22050, 16000, 12000, 11025, 8000, 7350,
)  # fmt: skip
_CHANNELS = {1: 1, 2: 2, 3: 3, 4: 4, 5: 5, 6: 6, 7: 8, 11: 7, 12: 8, 14: 8}
_GA = frozenset({1, 2, 3, 4})  # Main, LC, SSR, LTP: GASpecificConfig without extension
_SBR, _PS, _LD, _ELD, _ESCAPE = 5, 29, 23, 39, 31
_NAMES = {_SBR: "HE-AAC", _PS: "HE-AAC v2", _LD: "AAC-LD", _ELD: "AAC-ELD"}


@dataclass(frozen=True, slots=True)
class AudioConfig:
    """What an AudioSpecificConfig says; ``rate`` is the core's, in Hz, ``bits`` its length.

    ``frame`` is the number of the core's samples in a frame; ``channels`` is 0 if it does not say.
    ``bits`` is 0 for objects whose end we do not know.
    """

    name: str
    rate: int
    channels: int
    frame: int
    bits: int


def read_config(data: bytes) -> AudioConfig:
    """Read an AudioSpecificConfig.

    Raises:
        StreamUnsupported: it is none, or not of AAC.
    """
    bits = Bits(data)
    kind = _object_type(bits)
    rate = _rate(bits)
    channels = bits.take(4)
    name = _NAMES.get(kind, "AAC")
    if kind in (_SBR, _PS):
        _rate(bits)
        kind = _object_type(bits)
    short = bits.take(1)
    length = 0
    if kind in _GA:
        if bits.take(1):
            bits.take(14)  # coreCoderDelay
        extended = bits.take(1)
        if channels and not extended:
            length = bits.position
        frame = 960 if short else 1024
    elif kind in (_LD, _ELD):
        frame = 480 if short else 512
    else:
        raise StreamUnsupported("MPEG-4 audio that is not AAC")
    if not rate:
        raise StreamUnsupported("sound without a rate")
    return AudioConfig(name, rate, _CHANNELS.get(channels, 0), frame, length)


def _object_type(bits: Bits) -> int:
    kind = bits.take(5)
    return 32 + bits.take(6) if kind == _ESCAPE else kind


def _rate(bits: Bits) -> int:
    index = bits.take(4)
    if index == 15:
        return bits.take(24)
    if index >= len(_RATES):
        raise StreamUnsupported("a reserved sample rate")
    return _RATES[index]


@dataclass(frozen=True, slots=True)
class Mpeg4Format:
    """``config`` is the AudioSpecificConfig, ``frame_ticks`` a frame's length in RTP ticks."""

    config: bytes
    clock_rate: int
    channels: int
    rate: int
    frame_ticks: int

    def sample_entry(self) -> bytes:
        """``mp4a`` with its ``esds`` (ISO/IEC 14496-14, 5.6)."""

        # ISO/IEC 14496-1, 7.2.6: object type 0x40 is MPEG-4 audio, stream type 5 is sound.
        decoder = _descriptor(
            4, struct.pack(">BB3xII", 0x40, 5 << 2 | 1, 0, 0), _descriptor(5, self.config)
        )
        es = _descriptor(3, struct.pack(">HB", 0, 0), decoder, _descriptor(6, b"\x02"))
        return sound_entry(b"mp4a", self.channels, self.rate, full(b"esds", 0, 0, es))


def mpeg4_format(config: bytes, read: AudioConfig, clock_rate: int, channels: int) -> Mpeg4Format:
    """The track of a stream; its RTP clock may be the core's rate or the doubled one of SBR."""
    return Mpeg4Format(
        config,
        clock_rate,
        read.channels or channels,
        read.rate,
        max(1, read.frame * clock_rate // read.rate),
    )


def _descriptor(tag: int, *parts: bytes) -> bytes:
    """A descriptor with its size in four bytes (ISO/IEC 14496-1, 8.3.3)."""
    body = b"".join(parts)
    size = bytes((len(body) >> shift & 0x7F) | (0x80 if shift else 0) for shift in (21, 14, 7, 0))
    return bytes((tag,)) + size + body
