"""The pieces of a large NAL unit, taken at once: most of a camera's packets, at a fraction of the
work that each would be by itself.

A camera sends a picture as fragments that fill its packets (RFC 6184, 5.8; RFC 7798, 4.4.3): they
are alike but for their sequence number and the piece of the picture that they carry; only the last
one is shorter.
"""

from functools import lru_cache
from struct import Struct
from typing import NamedTuple, Protocol, runtime_checkable

FRAMING = 4
RTP = 12

# In a packet's first eight bytes as one number: what the last piece's may have otherwise.
_MARKER = 0x80 << 16
_OTHERWISE = ~(0xFFFF << 32 | _MARKER)


class Shape(NamedTuple):
    """How the payloads of a fragmented unit of this ``kind`` begin: those in the middle, and the
    ``last``.

    ``header`` is what the unit begins with, empty where it had begun before. ``start`` reads a
    packet up to its piece.
    """

    kind: int
    header: bytes
    middle: bytes
    last: bytes
    start: Struct


def shape(kind: int, header: bytes, middle: bytes, last: bytes) -> Shape:
    """The shape of a unit; ``middle`` and ``last`` are of one size."""
    return Shape(kind, header, middle, last, Struct(f">Q{8 + len(middle)}s"))


def head(begins: int) -> Struct:
    """Reads a packet's "$" and channel, length (RFC 2326, 10.12), flags and payload type,
    sequence, time, source (RFC 3550, 5.1), and the first bytes of its payload."""
    return Struct(f">HHHHII{begins}s")


@runtime_checkable
class Fragmented(Protocol):
    """A depacketizer that knows pieces of larger units, by the first ``begins`` bytes of their
    payloads."""

    begins: int

    @staticmethod
    def shape(begin: bytes) -> Shape | None:
        """The shape of the unit that such a payload is a piece of, unless it is its last."""
        ...

    def take(
        self, shape: Shape, pieces: list[bytes], size: int, time: int, *, whole: bool, marker: bool
    ) -> None:
        """Take what such payloads have behind their beginnings, in order, ``size`` bytes in all;
        ``whole`` says that the last one was among them, and ``marker`` is that one's."""
        ...


@lru_cache(64)
def _form(size: int, begins: int) -> Struct:
    """Up to the sequence number, time and source and beginning, and the piece."""
    return Struct(f">Q{8 + begins}s{size - FRAMING - RTP - begins}s")


def gather(
    view: memoryview, at: int, size: int, number: int, end: int, shape: Shape
) -> tuple[list[bytes], int, bool, bool]:
    """The pieces of one unit in the packet of sequence ``number`` that is framed at ``at``,
    ``size`` bytes, and in those that follow it in sequence, are whole before ``end``, and are like
    it in all else: size, channel, time, source. The last of the unit may be shorter and have the
    marker.

    Gives them, where it stopped, whether the last one is there, and whether it had the marker.
    """
    begins, start = len(shape.middle), shape.start
    size += FRAMING
    # A sequence number that wraps round is for others to understand.
    whole = min((end - at) // size, 0x10000 - number)
    packets = _form(size, begins).iter_unpack(view[at : at + whole * size])
    half, same, piece = next(packets)
    pieces, source = [piece], same[:8]
    alike = source + shape.middle
    for found, same, piece in packets:
        half += 1  # The sequence number is the end of it.
        if found != half or same != alike:
            break
        pieces.append(piece)
    else:
        half += 1
    at += len(pieces) * size
    if at + start.size <= end and number + len(pieces) <= 0xFFFF:
        found, same = start.unpack_from(view, at)
        if same == source + shape.last and (found ^ half) & _OTHERWISE == 0:
            length = found >> 32 & 0xFFFF
            stop = at + FRAMING + length
            if stop <= end and length > RTP + begins:
                pieces.append(bytes(view[at + start.size : stop]))
                return pieces, stop, True, found & _MARKER != 0
    return pieces, at, False, False
