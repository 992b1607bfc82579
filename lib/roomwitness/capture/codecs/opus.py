"""Opus over RTP (RFC 7587): every payload is one packet."""

import struct
from dataclasses import dataclass

from ..boxes import box, sound_entry
from ..errors import StreamUnsupported
from ..sdp import Media
from .base import MAX_SOUND_BYTES, EmitSound, Thrower

_RATE = 48000  # RFC 7587, 4.1: whatever the sound's bandwidth
# RFC 7587, 7: always two in the description; mono packets decode to both alike.
_CHANNELS = 2


@dataclass(frozen=True, slots=True)
class OpusFormat:
    """Nothing is to be told: a packet describes itself (RFC 6716, 3.1)."""

    clock_rate: int = _RATE

    def sample_entry(self) -> bytes:
        """``Opus`` with ``dOps`` (Encapsulation of Opus in ISO BMFF, 4.3.2).

        There is nothing to skip: the recording begins in the midst of the sound.
        """
        specific = struct.pack(">BBHIhB", 0, _CHANNELS, 0, _RATE, 0, 0)
        return sound_entry(b"Opus", _CHANNELS, _RATE, box(b"dOps", specific))


@dataclass(frozen=True, slots=True)
class Opus:
    """The codec by its session description."""

    name: str
    format: OpusFormat

    def depacketizer(self, emit: EmitSound) -> OpusDepacketizer:
        """A fresh depacketizer."""
        return OpusDepacketizer(emit)


def codec(media: Media) -> Opus:
    """Read the parameters of ``opus``.

    Raises:
        StreamUnsupported: another clock than the standard's.
    """
    if media.clock_rate != _RATE:
        raise StreamUnsupported("an Opus clock that is not 48 kHz")
    return Opus("Opus", OpusFormat())


class OpusDepacketizer(Thrower):
    """Gives single Opus packets to ``emit(time, data)``; ``time`` is in RTP ticks."""

    def __init__(self, emit: EmitSound) -> None:
        super().__init__()
        self._emit = emit

    def push(self, view: memoryview, start: int, end: int, time: int, marker: bool) -> None:
        """Take one payload."""
        del marker
        if 0 < end - start <= MAX_SOUND_BYTES:
            self._known = False
            self._emit(time, bytes(view[start:end]))
        else:
            self._throw()
