"""AAC over RTP, modes AAC-hbr and AAC-lbr (RFC 3640, 3.3.5 and 3.3.6)."""

from dataclasses import dataclass

from ..errors import StreamUnsupported
from ..sdp import Media
from .base import MAX_SOUND_BYTES, EmitSound, Thrower
from .mpeg4 import Mpeg4Format, mpeg4_format, read_config

_MODES = {"aac-hbr": (13, 3, 3), "aac-lbr": (6, 2, 2)}
# Header fields that these modes do not have, and senders that shuffle their frames.
_ABSENT = (
    "ctsdeltalength", "dtsdeltalength", "randomaccessindication", "streamstateindication",
    "auxiliarydatasizelength", "maxdisplacement",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Aac:
    """The codec by its session description; lengths are bits of an AU header."""

    name: str
    format: Mpeg4Format
    size_length: int
    index_length: int
    delta_length: int

    def depacketizer(self, emit: EmitSound) -> AacDepacketizer:
        """A fresh depacketizer."""
        return AacDepacketizer(self, emit)


def codec(media: Media) -> Aac:
    """Read the parameters of ``mpeg4-generic`` (RFC 3640, 4.1).

    Raises:
        StreamUnsupported: a mode other than AAC-hbr and AAC-lbr, interleaving, no configuration.
    """
    values = media.parameters
    lengths = _MODES.get(values.get("mode", "").lower())
    if lengths is None:
        raise StreamUnsupported("an audio mode that is neither AAC-hbr nor AAC-lbr")
    try:
        config = bytes.fromhex(values.get("config", ""))
        size, index, delta = (
            int(values.get(name, usual))
            for name, usual in zip(
                ("sizelength", "indexlength", "indexdeltalength"), lengths, strict=True
            )
        )
        absent = any(int(values.get(name, "0") or "0") for name in _ABSENT)
    except ValueError:
        raise StreamUnsupported("malformed audio parameters") from None
    if absent or not (0 < size <= 16 and 0 <= index <= 16 and 0 <= delta <= 16):
        raise StreamUnsupported("audio headers or an order of frames that we do not read")
    read = read_config(config)
    form = mpeg4_format(config, read, media.clock_rate, media.channels)
    return Aac(read.name, form, size, index, delta)


class AacDepacketizer(Thrower):
    """Gives single AAC frames to ``emit(time, data)``; ``time`` is in RTP ticks."""

    def __init__(self, aac: Aac, emit: EmitSound) -> None:
        super().__init__()
        self._aac = aac
        self._emit = emit
        self._pieces: list[bytes] | None = None
        self._wanted = 0, 0
        self._gathered = 0

    def lose(self) -> None:
        """Packets are missing: an unfinished frame stays unfinished."""
        super().lose()
        self._pieces = None

    def push(self, view: memoryview, start: int, end: int, time: int, marker: bool) -> None:
        """Take one payload: AU-headers-length, AU-headers, access units (3.2.1)."""
        if end - start < 2:
            self._throw()
            return
        aac = self._aac
        left = view[start] << 8 | view[start + 1]
        at = start + 2 + (left + 7) // 8
        width = aac.size_length + aac.index_length
        if left < width or at > end:
            self._throw()
            return
        headers = int.from_bytes(view[start + 2 : at])
        total = (at - start - 2) * 8
        sizes, place = [], 0
        while left >= width:
            place += width
            field = headers >> total - place & (1 << width) - 1
            sizes.append(field >> width - aac.size_length)
            left -= width
            width = aac.size_length + aac.delta_length
        if len(sizes) == 1 and (sizes[0] > end - at or (self._pieces is not None and marker)):
            self._fragment(sizes[0], bytes(view[at:end]), time, marker)
            return
        if self._pieces is not None:  # A frame without its end.
            self._pieces = None
            self._throw()
        for number, size in enumerate(sizes):
            if at + size > end:
                self._throw()
                return
            self._known = False
            self._emit(time + number * aac.format.frame_ticks, bytes(view[at : at + size]))
            at += size

    def _fragment(self, size: int, piece: bytes, time: int, marker: bool) -> None:
        """A frame over several packets (3.2.3.2)."""
        if self._pieces is not None and self._wanted != (size, time):
            self._throw()
            self._pieces = None
        if self._pieces is None:
            self._pieces, self._wanted, self._gathered = [], (size, time), 0
        self._pieces.append(piece)
        self._gathered += len(piece)
        if marker:
            frame = b"".join(self._pieces)
            self._pieces = None
            if len(frame) == size:
                self._known = False
                self._emit(time, frame)
            else:
                self._throw()
        elif self._gathered > MAX_SOUND_BYTES or len(self._pieces) > MAX_SOUND_BYTES:
            self._pieces = None
            self._throw()
