"""The middle of a large NAL unit, taken at once: most of a camera's packets, at a fraction of the
work that each would be by itself.

A camera sends a picture as fragments that fill its packets (RFC 6184, 5.8; RFC 7798, 4.4.3): they
are alike but for their sequence number and the piece of the picture that they carry.
"""

from functools import lru_cache
from struct import Struct
from typing import Protocol, runtime_checkable

# "$", channel, length (RFC 2326, 10.12); then flags, payload type, sequence, time, source.
FRAMING = 4
RTP = 12
HEAD = Struct(">BBHBBHII")


@runtime_checkable
class Fragmented(Protocol):
    """A depacketizer that knows pieces of larger units."""

    def middle(self, view: memoryview, start: int) -> bytes | None:
        """How the payload after the one at ``start``, which was just pushed, begins if it is
        neither the last piece of the same unit nor of another one."""
        ...

    def more(self, pieces: list[bytes]) -> None:
        """Take what is behind that beginning in as many payloads of one size, in order; at
        least one. The list is the depacketizer's from now on."""
        ...


@lru_cache(64)
def _form(size: int, begins: int) -> Struct:
    """A packet's first six bytes, sequence number, all that stays alike, and the piece."""
    alike = RTP - 4 + begins
    return Struct(f">{FRAMING + 2}sH{alike}s{size - FRAMING - 4 - alike}s")


def alike(view: memoryview, first: int, at: int, end: int, begins: bytes) -> list[bytes]:
    """The pieces in the packets from ``at`` on that follow the one before, framed at ``first``, in
    sequence, are whole before ``end``, and are like it in all else: size, channel, marker, time,
    source."""
    size = at - first
    whole = (end - at) // size
    if whole < 1 or size <= FRAMING + RTP + len(begins):
        return []
    head = view[first : first + 6]
    sequence = view[first + 6] << 8 | view[first + 7]
    rest = bytes(view[first + 8 : first + FRAMING + RTP]) + begins
    pieces: list[bytes] = []
    form = _form(size, len(begins))
    for begun, number, same, piece in form.iter_unpack(view[at : at + whole * size]):
        sequence = sequence + 1 & 0xFFFF
        if number != sequence or same != rest or begun != head:
            break
        pieces.append(piece)
    return pieces
