"""AAC as MP4A-LATM over RTP, its StreamMuxConfig in the description (RFC 6416, 6; cpresent=0)."""

from dataclasses import dataclass

from ..errors import StreamUnsupported
from ..sdp import Media
from .base import MAX_SOUND_BYTES, EmitSound
from .bits import Bits
from .gather import Gatherer
from .mpeg4 import Mpeg4Format, mpeg4_format, read_config


@dataclass(frozen=True, slots=True)
class Latm:
    """The codec by its session description; ``frames`` are in each AudioMuxElement."""

    name: str
    format: Mpeg4Format
    frames: int

    def depacketizer(self, emit: EmitSound) -> LatmDepacketizer:
        """A fresh depacketizer."""
        return LatmDepacketizer(self, emit)


def codec(media: Media) -> Latm:
    """Read the parameters of ``MP4A-LATM`` (RFC 6416, 7.3).

    Raises:
        StreamUnsupported: a configuration in the stream instead of the description, or one that
            is not a single AAC layer.
    """
    values = media.parameters
    if values.get("cpresent", "1") != "0":
        raise StreamUnsupported("LATM that carries its configuration in the stream")
    try:
        data = bytes.fromhex(values.get("config", ""))
    except ValueError:
        raise StreamUnsupported("malformed audio parameters") from None
    frames, config = audio_config(data)
    read = read_config(config)
    form = mpeg4_format(config, read, media.clock_rate, media.channels)
    return Latm(read.name, form, frames)


def audio_config(data: bytes) -> tuple[int, bytes]:
    """Frames an element and the AudioSpecificConfig of a StreamMuxConfig (14496-3, 1.7.3).

    Raises:
        StreamUnsupported: it is none, or more than one layer of sound.
    """
    bits = Bits(data)
    version = bits.take(1)
    if version and bits.take(1):
        raise StreamUnsupported("a reserved LATM version")
    if version:
        _value(bits)  # taraBufferFullness
    bits.take(1)  # allStreamsSameTimeFraming: there is only one
    frames = bits.take(6) + 1
    if bits.take(4) or bits.take(3):
        raise StreamUnsupported("LATM with several programs or layers")
    length = _value(bits) if version else None
    begin = bits.position
    if length is None:
        # Version 0 does not say how long the configuration is: only reading it tells.
        length = read_config(_slice(data, begin, len(data) * 8 - begin)).bits
    if not length or begin + length > len(data) * 8:
        raise StreamUnsupported("LATM with a configuration that we cannot delimit")
    bits.take(length)
    # GStreamer's payloader cuts the description off here.
    if bits.take(min(3, len(data) * 8 - bits.position)):
        raise StreamUnsupported("LATM frames of fixed length")
    return frames, _slice(data, begin, length)


def _value(bits: Bits) -> int:
    """LatmGetValue (14496-3, 1.7.3)."""
    return bits.take(8 * (bits.take(2) + 1))


def _slice(data: bytes, begin: int, length: int) -> bytes:
    """Bits moved to a byte's edge and filled with zeros."""
    bits = Bits(data)
    bits.take(begin)
    size = -(-length // 8)
    return (bits.take(length) << size * 8 - length).to_bytes(size)


class LatmDepacketizer(Gatherer):
    """Gives single AAC frames to ``emit(time, data)``; ``time`` is in RTP ticks."""

    def __init__(self, latm: Latm, emit: EmitSound) -> None:
        super().__init__(MAX_SOUND_BYTES)
        self._latm = latm
        self._emit = emit

    def push(self, view: memoryview, start: int, end: int, time: int, marker: bool) -> None:
        """Take one payload: elements, or a part of one; the marker ends it (RFC 6416, 6.1)."""
        data = self._join(view[start:end], time, marker)
        if data is not None:
            self._elements(data, time)

    def _elements(self, data: bytes, time: int) -> None:
        at, number = 0, 0
        while at < len(data):
            for _ in range(self._latm.frames):
                size = 0
                while at < len(data):  # PayloadLengthInfo
                    part = data[at]
                    size, at = size + part, at + 1
                    if part != 255:
                        break
                if not size or at + size > len(data):
                    self._throw()
                    return
                self._emit(time + number * self._latm.format.frame_ticks, data[at : at + size])
                at, number = at + size, number + 1
