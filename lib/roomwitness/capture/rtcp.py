"""Receiver reports (RFC 3550, 6.4.2): without them some cameras stop sending over UDP. Pure."""

from secrets import randbits, token_hex

_SENDER_REPORT, _RECEIVER_REPORT, _DESCRIPTION = 200, 201, 202
_CNAME = 1


class Reception:
    """What a report says of one sender (6.4.1, A.1, A.3, A.8); times are monotonic seconds.

    The canonical name is made of chance (RFC 7022): it tells nothing of this computer.
    """

    def __init__(self, clock_rate: int) -> None:
        self._clock_rate = clock_rate
        self._ours = randbits(32)
        self._name = token_hex(12).encode()
        self._ssrc: int | None = None
        self._first = self._highest = self._received = 0
        self._before = (0, 0)
        self._transit: float | None = None
        self._jitter = 0.0
        self._reported: tuple[bytes, float] | None = None

    def rtp(self, view: memoryview, start: int, end: int, now: float) -> None:
        """Take note of a packet."""
        if end - start < 12:
            return
        sequence = view[start + 2] << 8 | view[start + 3]
        ssrc = int.from_bytes(view[start + 8 : start + 12])
        if ssrc != self._ssrc:
            self._ssrc, self._first, self._highest = ssrc, sequence, sequence
            self._received, self._before = 0, (0, 0)
            self._transit, self._jitter, self._reported = None, 0.0, None
        self._received += 1
        ahead = (sequence - self._highest + 0x8000 & 0xFFFF) - 0x8000
        self._highest = max(self._highest, self._highest + ahead)
        ticks = int.from_bytes(view[start + 4 : start + 8])
        transit = now * self._clock_rate - ticks
        if self._transit is not None:
            moved = abs((transit - self._transit + 0x80000000) % 0x100000000 - 0x80000000)
            self._jitter += (moved - self._jitter) / 16
        self._transit = transit

    def rtcp(self, view: memoryview, start: int, end: int, now: float) -> None:
        """Take note of a sender report: the next report of ours names it."""
        if end - start >= 28 and view[start + 1] == _SENDER_REPORT:
            self._reported = bytes(view[start + 10 : start + 14]), now

    def report(self, now: float) -> bytes:
        """A compound packet: receiver report, with a block once there are packets, and CNAME."""
        block = self._block(now)
        report = bytes((0x80 | bool(block), _RECEIVER_REPORT)) + _words(4 + len(block))
        chunk = self._ours.to_bytes(4) + bytes((_CNAME, len(self._name))) + self._name
        chunk += bytes(4 - len(chunk) % 4)
        about = bytes((0x81, _DESCRIPTION)) + _words(len(chunk))
        return report + self._ours.to_bytes(4) + block + about + chunk

    def _block(self, now: float) -> bytes:
        if self._ssrc is None:
            return b""
        expected = self._highest - self._first + 1
        interval, got = expected - self._before[0], self._received - self._before[1]
        self._before = expected, self._received
        fraction = (interval - got) * 256 // interval if interval > max(got, 0) else 0
        lost = min(max(expected - self._received, -0x800000), 0x7FFFFF)
        last, since = self._reported or (bytes(4), now)
        return b"".join(
            (
                self._ssrc.to_bytes(4),
                bytes((min(fraction, 255),)),
                (lost & 0xFFFFFF).to_bytes(3),
                (self._highest & 0xFFFFFFFF).to_bytes(4),
                min(int(self._jitter), 0xFFFFFFFF).to_bytes(4),
                last,
                min(int((now - since) * 65536), 0xFFFFFFFF).to_bytes(4),
            )
        )


def _words(size: int) -> bytes:
    """The length field: 32-bit words minus one, the header's own word included."""
    return (size // 4).to_bytes(2)
