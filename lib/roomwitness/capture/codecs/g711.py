"""G.711 A-law and mu-law over RTP (RFC 3551, 4.5.14), kept bit for bit in QuickTime's entries."""

from dataclasses import dataclass

from ..boxes import sound_entry
from ..errors import StreamUnsupported
from ..sdp import Media
from .base import MAX_SOUND_BYTES, EmitSound, Thrower

# QuickTime File Format, "Sound sample description": ISO's MP4 has no entry for G.711.
_KINDS = {"PCMA": ("G.711 A-law", b"alaw"), "PCMU": ("G.711 µ-law", b"ulaw")}
_MAX_CHANNELS = 8


@dataclass(frozen=True, slots=True)
class G711Format:
    """One byte a channel and sample; the RTP clock is the sample rate."""

    kind: bytes
    clock_rate: int
    channels: int

    def sample_entry(self) -> bytes:
        """``alaw`` or ``ulaw``."""
        return sound_entry(self.kind, self.channels, self.clock_rate)


@dataclass(frozen=True, slots=True)
class G711:
    """The codec by its session description."""

    name: str
    format: G711Format

    def depacketizer(self, emit: EmitSound) -> G711Depacketizer:
        """A fresh depacketizer."""
        return G711Depacketizer(emit, self.format.channels)


def codec(media: Media) -> G711:
    """Read the parameters of ``PCMA`` or ``PCMU``.

    Raises:
        StreamUnsupported: a rate or number of channels that is none.
    """
    if not 0 < media.channels <= _MAX_CHANNELS or media.clock_rate >= 1 << 16:
        raise StreamUnsupported("G.711 at an impossible rate")
    name, kind = _KINDS[media.encoding]
    return G711(name, G711Format(kind, media.clock_rate, media.channels))


class G711Depacketizer(Thrower):
    """Each payload is a number of samples."""

    def __init__(self, emit: EmitSound, channels: int) -> None:
        super().__init__()
        self._emit = emit
        self._channels = channels

    def push(self, view: memoryview, start: int, end: int, time: int, marker: bool) -> None:
        """Take one payload; the marker only begins a talk spurt."""
        del marker
        size = end - start
        if 0 < size <= MAX_SOUND_BYTES and size % self._channels == 0:
            self._known = False
            self._emit(time, bytes(view[start:end]))
        else:
            self._throw()
