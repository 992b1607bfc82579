"""The pieces of a large NAL unit, taken at once: most of a camera's packets, at a fraction of the
work that each would be by itself.

A camera sends a picture as fragments that fill its packets (RFC 6184, 5.8; RFC 7798, 4.4.3): they
are alike but for their sequence number and the piece of the picture that they carry; only the last
one is shorter.
"""

from functools import lru_cache
from struct import Struct
from typing import NamedTuple, Protocol, runtime_checkable

# "$", channel, length (RFC 2326, 10.12); then flags, payload type, sequence, time, source.
FRAMING = 4
RTP = 12
HEAD = Struct(">HHHHII")

# In a packet's first eight bytes as one number: what the last piece's may have otherwise.
_LENGTH, _MARKER = 0xFFFF << 32, 0x80 << 16


class Shape(NamedTuple):
    """How the payloads of a fragmented unit begin: those in the middle, and the ``last``.

    ``header`` is what the unit begins with, empty where it had begun before.
    """

    header: bytes
    kind: int
    middle: bytes
    last: bytes


@runtime_checkable
class Fragmented(Protocol):
    """A depacketizer that knows pieces of larger units."""

    def fragment(self, view: memoryview, start: int, end: int) -> Shape | None:
        """The shape of the unit that this payload is a piece of, unless it is its last or empty."""
        ...

    def take(
        self, shape: Shape, pieces: list[bytes], time: int, *, whole: bool, marker: bool
    ) -> None:
        """Take what such payloads have behind their beginnings, in order; ``whole`` says that the
        last one was among them, and ``marker`` is that one's."""
        ...


@lru_cache(64)
def _form(size: int, begins: int) -> Struct:
    """Up to the sequence number, time and source and beginning, and the piece."""
    return Struct(f">Q{8 + begins}s{size - FRAMING - RTP - begins}s")


@lru_cache(8)
def _start(begins: int) -> Struct:
    return Struct(f">Q{8 + begins}s")


def gather(
    view: memoryview, first: int, at: int, end: int, shape: Shape
) -> tuple[list[bytes], int, bool, bool]:
    """The pieces of one unit in the packet framed at ``first`` and in those from ``at`` on that
    follow in sequence, are whole before ``end``, and are like it in all else: size, channel, time,
    source. The last of the unit may be shorter and have the marker.

    Gives them, where it stopped, whether the last one is there, and whether it had the marker.
    """
    size, begins = at - first, len(shape.middle)
    pieces = [bytes(view[first + FRAMING + RTP + begins : at])]
    start = _start(begins)
    number, same = start.unpack_from(view, first)
    source = same[:8]
    # The sequence number goes on in the same eight bytes; where it wraps round is for others.
    room = 0xFFFF - (number & 0xFFFF)
    if (whole := min((end - at) // size, room)) > 0:
        alike = source + shape.middle
        for found, same, piece in _form(size, begins).iter_unpack(view[at : at + whole * size]):
            number += 1
            if found != number or same != alike:
                number -= 1
                break
            pieces.append(piece)
        at += (len(pieces) - 1) * size
    if len(pieces) <= room and at + start.size <= end:
        found, same = start.unpack_from(view, at)
        length = found >> 32 & 0xFFFF
        stop = at + FRAMING + length
        if (
            same == source + shape.last
            and (found ^ number + 1) & ~(_LENGTH | _MARKER) == 0
            and length > RTP + begins
            and stop <= end
        ):
            pieces.append(bytes(view[at + start.size : stop]))
            return pieces, stop, True, found & _MARKER != 0
    return pieces, at, False, False
