"""How long a segment's pictures are shown, as its text says: of one that a kill or a power cut left
open nobody else knows."""

import struct
from collections.abc import Iterator
from itertools import pairwise

from .mp4 import VIDEO, VIDEO_TIMESCALE

_LONGEST = 86400 * VIDEO_TIMESCALE  # No segment of ours is nearly a day long.
_HEAD = struct.Struct(">I4s")
_ROW = struct.Struct(">IIIi")  # Duration, size, flags, composition offset: as mp4.py writes them.


def length(text: bytes) -> float | None:
    """Seconds from its first picture to the end of the last one that is there as a whole.

    ``text`` is what ``mp4.py`` wrote, or as much of it as there is (ISO/IEC 14496-12, 8.8): what is
    behind the last whole box counts for nothing. None if it is something else; 0.0 if there is no
    picture in it.
    """
    boxes = list(_boxes(text, 0, len(text)))
    if not boxes or boxes[0][0] != b"ftyp":
        return None
    last = 0
    for (kind, start, stop), (follows, _, _) in pairwise(boxes):
        if (kind, follows) == (b"moof", b"mdat"):
            try:
                last = max(last, _shown_until(text, start, stop))
            except KeyError, struct.error:
                return None
    return last / VIDEO_TIMESCALE if last <= _LONGEST else None


def _boxes(text: bytes, at: int, end: int) -> Iterator[tuple[bytes, int, int]]:
    """Kind of each whole box, and where what it has begins and ends."""
    while at + _HEAD.size <= end:
        size, kind = _HEAD.unpack_from(text, at)
        if size < _HEAD.size or at + size > end:
            return
        yield kind, at + _HEAD.size, at + size
        at += size


def _shown_until(text: bytes, start: int, stop: int) -> int:
    last = 0
    for kind, at, end in _boxes(text, start, stop):
        if kind != b"traf":
            continue
        parts = {name: (place, ends) for name, place, ends in _boxes(text, at, end)}
        track, time, run = (parts[name] for name in (b"tfhd", b"tfdt", b"trun"))
        if int.from_bytes(text[track[0] + 4 : track[0] + 8]) != VIDEO:
            continue
        decoded = int.from_bytes(text[time[0] + 4 : time[1]])
        for duration, _size, _flags, offset in _ROW.iter_unpack(text[run[0] + 12 : run[1]]):
            last = max(last, decoded + offset + duration)
            decoded += duration
    return last
