"""H.264 over RTP (RFC 6184): single NAL units, STAP-A, FU-A. Bytes pass through unchanged."""

from collections.abc import Callable
from dataclasses import dataclass, field

_IDR, _SPS, _PPS = 5, 7, 8
_STAP_A, _FU_A = 24, 28


@dataclass(slots=True)
class AccessUnit:
    """One picture: NAL units, each behind its four-byte length. ``time`` is in RTP ticks."""

    time: int
    parts: list[bytes] = field(default_factory=list)
    size: int = 0
    key: bool = False
    picture: bool = False
    sps: bytes | None = None
    pps: bytes | None = None


class H264Depacketizer:
    """Gives whole access units to ``emit``; a NAL unit with a missing packet is left out."""

    def __init__(self, emit: Callable[[AccessUnit], None]) -> None:
        self._emit = emit
        self._unit: AccessUnit | None = None
        self._fragments: list[bytes] | None = None

    def lose(self) -> None:
        """Packets are missing: an unfinished NAL unit stays unfinished."""
        self._fragments = None

    def push(self, view: memoryview, start: int, end: int, time: int, marker: bool) -> None:
        """Take one payload."""
        unit = self._unit
        if unit is None:
            unit = self._unit = AccessUnit(time)
        elif unit.time != time:
            if unit.picture:
                self._emit(unit)
                unit = self._unit = AccessUnit(time)
            else:
                unit.time = time  # Parameter sets sent ahead of their picture.
        kind = view[start] & 31
        if kind == _FU_A:
            self._fragment(unit, view, start, end)
        elif kind == _STAP_A:
            at = start + 1
            while at + 2 < end:
                stop = at + 2 + (view[at] << 8 | view[at + 1])
                if stop > end:
                    break
                self._add(unit, [bytes(view[at + 2 : stop])])
                at = stop
        elif 0 < kind < _STAP_A:
            self._add(unit, [bytes(view[start:end])])
        if marker and unit.picture:
            self._emit(unit)
            self._unit = None

    def _fragment(self, unit: AccessUnit, view: memoryview, start: int, end: int) -> None:
        if end - start < 3:
            return
        header = view[start + 1]
        if header & 0x80:
            self._fragments = [bytes((view[start] & 0xE0 | header & 31,))]
        fragments = self._fragments
        if fragments is None:
            return
        fragments.append(bytes(view[start + 2 : end]))
        if header & 0x40:
            self._fragments = None
            self._add(unit, fragments)

    @staticmethod
    def _add(unit: AccessUnit, pieces: list[bytes]) -> None:
        size = sum(map(len, pieces))
        if not size:
            return
        kind = pieces[0][0] & 31
        unit.parts.append(size.to_bytes(4))
        unit.parts += pieces
        unit.size += size + 4
        if kind <= _IDR:
            unit.picture = True
            unit.key = unit.key or kind == _IDR
        elif kind == _SPS:
            unit.sps = b"".join(pieces)
        elif kind == _PPS:
            unit.pps = b"".join(pieces)
