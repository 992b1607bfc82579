"""AAC over RTP, AAC-hbr mode (RFC 3640, 3.3.6)."""

from collections.abc import Callable
from dataclasses import dataclass

from .errors import StreamUnsupported
from .sdp import Media

_SAMPLES = 1024


@dataclass(frozen=True, slots=True)
class AacFormat:
    """``config`` is the AudioSpecificConfig (ISO/IEC 14496-3, 1.6.2.1)."""

    config: bytes
    clock_rate: int
    channels: int
    size_length: int
    index_length: int


def aac_format(media: Media) -> AacFormat:
    """Read the parameters of ``mpeg4-generic``.

    Raises:
        StreamUnsupported: a mode of RFC 3640 other than AAC-hbr, or no configuration.
    """
    values = media.parameters
    try:
        config = bytes.fromhex(values.get("config", ""))
        size = int(values.get("sizelength", "13"))
        index = int(values.get("indexlength", "3"))
    except ValueError:
        raise StreamUnsupported("malformed audio parameters") from None
    if values.get("mode", "").lower() != "aac-hbr" or len(config) < 2 or not 0 < size + index <= 16:
        raise StreamUnsupported("an audio mode that is not AAC-hbr")
    return AacFormat(config, media.clock_rate, media.channels, size, index)


class AacDepacketizer:
    """Gives single AAC frames to ``emit(time, data)``; ``time`` is in RTP ticks."""

    def __init__(self, form: AacFormat, emit: Callable[[int, bytes], None]) -> None:
        self._form = form
        self._emit = emit
        self._pieces: list[bytes] | None = None
        self._wanted = 0

    def lose(self) -> None:
        """Packets are missing: an unfinished frame stays unfinished."""
        self._pieces = None

    def push(self, view: memoryview, start: int, end: int, time: int, marker: bool) -> None:
        """Take one payload: AU-headers-length, AU-headers, access units (3.2.1)."""
        if end - start < 2:
            return
        width = self._form.size_length + self._form.index_length
        bits = view[start] << 8 | view[start + 1]
        at = start + 2 + (bits + 7) // 8
        count = bits // width
        if not count or at > end:
            return
        headers = int.from_bytes(view[start + 2 : at])
        total = (at - start - 2) * 8
        sizes = [
            (headers >> total - width * (i + 1) & (1 << width) - 1) >> self._form.index_length
            for i in range(count)
        ]
        if count == 1 and sizes[0] > end - at:
            self._fragment(sizes[0], bytes(view[at:end]), time, marker)
            return
        if self._pieces is not None and count == 1 and marker:
            self._fragment(sizes[0], bytes(view[at:end]), time, marker)
            return
        self._pieces = None
        for number, size in enumerate(sizes):
            if at + size > end:
                return
            self._emit(time + number * _SAMPLES, bytes(view[at : at + size]))
            at += size

    def _fragment(self, size: int, piece: bytes, time: int, marker: bool) -> None:
        """A frame over several packets (3.2.3.2)."""
        if self._pieces is None or self._wanted != size:
            self._pieces, self._wanted = [], size
        self._pieces.append(piece)
        if marker:
            frame = b"".join(self._pieces)
            self._pieces = None
            if len(frame) == size:
                self._emit(time, frame)
