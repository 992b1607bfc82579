"""What goes on over several packets until the RTP marker, in bounded memory."""

from .base import Thrower

_MAX_PIECES = 1 << 14


class Gatherer(Thrower):
    """Joins payloads of one timestamp; tells of what has no marker or is too large."""

    def __init__(self, max_bytes: int) -> None:
        super().__init__()
        self._max_bytes = max_bytes
        self._pieces: list[bytes] = []
        self._gathered = 0
        self._time: int | None = None
        self._broken = False

    def lose(self) -> None:
        """Packets are missing: what comes up to the next marker may lack its beginning."""
        super().lose()
        self._pieces.clear()
        self._broken = True

    def _join(self, piece: memoryview, time: int, marker: bool) -> bytes | None:
        """Take one payload; returns what the marker completes."""
        if self._pieces and time != self._time:  # The marker was forgotten.
            self._pieces.clear()
            self._throw()
            self._known = False
        if not self._pieces:
            self._gathered = 0
        self._time = time
        self._gathered += len(piece)
        if self._gathered > self._max_bytes or len(self._pieces) >= _MAX_PIECES:
            self._broken = True
            self._throw()
        if self._broken:
            self._pieces.clear()
            if marker:
                self._broken = self._known = False
            return None
        self._pieces.append(bytes(piece))
        if not marker:
            return None
        data = b"".join(self._pieces)
        self._pieces.clear()
        self._known = False
        return data
