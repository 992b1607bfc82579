"""RTP and RTCP (RFC 3550): sequence and timestamp accounting, sender reports."""

import copy
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Protocol, Self

from .burst import FRAMING, RTP, Fragmented, gather, head

_NTP_EPOCH = datetime(1900, 1, 1, tzinfo=UTC)
_SENDER_REPORT, _BYE = 200, 203
# RFC 3550, A.1: a packet at most so late is out of order; a later one is another count.
_MAX_MISORDER = 100
# So many packets of another source, in sequence and with none of ours between, are a new sender
# (RFC 3550, A.1, has two).
_MIN_SEQUENTIAL = 3


class Depacketizer(Protocol):
    """Turns the payloads of one track into access units.

    ``let_go`` is called where something that came is given to nobody, though no packet is missing.
    """

    let_go: Callable[[], None]

    def push(self, view: memoryview, start: int, end: int, time: int, marker: bool) -> None:
        """Take one payload; ``time`` is the unwrapped RTP timestamp."""
        ...

    def lose(self) -> None:
        """Packets are missing before the next payload."""
        ...

    def end(self) -> None:
        """The next payload is of another count: what is unfinished is given now, or let go."""
        ...


@dataclass(frozen=True, slots=True)
class SenderReport:
    """The camera's wall clock ``wall`` at the unwrapped RTP timestamp ``time``."""

    wall: datetime
    time: int
    arrived: datetime


@dataclass(slots=True)
class _Stranger:
    """Another source's packets, kept until it is known to be our sender's new count.

    ``missed`` are those of it that came or should have come before them.
    """

    ssrc: int
    sequence: int
    packets: list[bytes]
    missed: int = 0


class Track:
    """One RTP stream: counts what is lost, unwraps time, feeds the depacketizer.

    ``lost`` are packets that did not come, and what came in vain: a part of something that never
    was whole.
    ``epoch`` goes up when the sender begins to count anew (another SSRC, a sequence that jumps
    back): how much was lost at that moment cannot be known, and times before do not compare.
    ``settle`` is called before either changes: what was given until then belongs to what they are.
    """

    def __init__(
        self,
        payload_type: int,
        clock_rate: int,
        depacketizer: Depacketizer,
        settle: Callable[[], None] = lambda: None,
    ) -> None:
        self.clock_rate = clock_rate
        self.lost = 0
        self.epoch = 0
        self.report: SenderReport | None = None
        self.payload_type = payload_type
        self._settle = settle
        self._depacketizer = depacketizer
        depacketizer.let_go = self._let_go
        self._fragmented = depacketizer if isinstance(depacketizer, Fragmented) else None
        self._head = head(self._fragmented.begins if self._fragmented else 0)
        self._ssrc: int | None = None
        self._stranger: _Stranger | None = None
        self._sequence: int | None = None
        self._time: int | None = None

    def rtp(self, view: memoryview, start: int, end: int) -> None:
        """Take one RTP packet (section 5.1); what is malformed counts as not received."""
        if end - start < 12 or view[start] >> 6 != 2:
            return
        first, second, whole = view[start], view[start + 1], end
        if second & 0x7F != self.payload_type:
            return
        sequence = view[start + 2] << 8 | view[start + 3]
        body = start + 12 + 4 * (first & 15)
        if first & 0x10:
            if body + 4 > end:
                return
            body += 4 + 4 * (view[body + 2] << 8 | view[body + 3])
        if first & 0x20:
            end -= view[end - 1]
        if body > end:
            return
        ssrc = int.from_bytes(view[start + 8 : start + 12])
        if ssrc != self._ssrc:
            if self._ssrc is not None and not self._takes_over(
                ssrc, sequence, bytes(view[start:whole])
            ):
                return
            self._ssrc = ssrc
        elif self._stranger is not None:
            self._stranger = None
        previous = self._sequence
        if previous is not None:
            step = (sequence - previous) & 0xFFFF
            if step != 1:
                if step == 0 or step >= 0x10000 - _MAX_MISORDER:
                    return  # A repeated or late packet: over TCP only a confused sender's.
                if step > 0x8000:
                    self._begin_anew()
                else:
                    self._missing(step - 1)
                    self._depacketizer.lose()
        self._sequence = sequence
        if body == end:
            return  # Only padding: it counts, and has no time of its own.
        time = self._unwrap(int.from_bytes(view[start + 4 : start + 8]))
        self._depacketizer.push(view, body, end, time, second >= 0x80)

    def run(self, view: memoryview, at: int, end: int) -> int:
        """Take interleaved packets from ``at`` on, as long as each is the next of this stream and
        has nothing out of the ordinary; where it stopped.

        It does what ``rtp`` would do with each of them.
        """
        sequence, fragmented, bits, time = self._sequence, self._fragmented, -1, 0
        if sequence is None or self._stranger is not None:
            return at
        opens, plain = 0x2400 | view[at + 1], 0x8000 | self.payload_type
        marked, ours, push, read = plain | 0x80, self._ssrc, self._depacketizer.push, self._head
        least = read.size - FRAMING
        while at + read.size <= end:
            framing, size, form, number, low, source, begin = read.unpack_from(view, at)
            stop = at + FRAMING + size
            if (
                number != sequence + 1 & 0xFFFF
                or stop > end
                or (form != plain and form != marked)
                or source != ours
                or framing != opens
                or size <= RTP
            ):
                break
            self._sequence = sequence = number
            if low != bits:
                bits, time = low, self._unwrap(low)
            if form == plain and fragmented is not None and size > least:
                shape = fragmented.shape(begin)
                if shape is not None:
                    pieces, stop, whole, marker = gather(view, at, size, number, end, shape)
                    count = len(pieces)
                    self._sequence = sequence = sequence + count - 1 & 0xFFFF
                    came, at = stop - at - count * read.size, stop
                    fragmented.take(shape, pieces, came, time, whole=whole, marker=marker)
                    continue
            push(view, at + FRAMING + RTP, stop, time, form == marked)
            at = stop
        return at

    @property
    def begun(self) -> bool:
        """Whether a packet has come."""
        return self._sequence is not None

    def suspect(self) -> None:
        """The last packet may have been cut, or had something in it that was not its own."""
        self._missing(1)
        self._depacketizer.lose()

    def _let_go(self) -> None:
        self._missing(1)

    def _missing(self, packets: int) -> None:
        self._settle()
        self.lost += packets

    def _takes_over(self, ssrc: int, sequence: int, packet: bytes) -> bool:
        """Whether another source is ours from now on; then its kept packets are taken first."""
        stranger = self._stranger
        if stranger is None or (ssrc, sequence) != (stranger.ssrc, stranger.sequence + 1 & 0xFFFF):
            missed = 0
            if stranger is not None and ssrc == stranger.ssrc:
                between = sequence - stranger.sequence - 1 & 0xFFFF
                missed = stranger.missed + len(stranger.packets)
                missed += between if between <= _MAX_MISORDER else 0
            self._stranger = _Stranger(ssrc, sequence, [packet], missed)
            return False
        stranger.sequence = sequence
        stranger.packets.append(packet)
        if len(stranger.packets) < _MIN_SEQUENTIAL:
            return False
        self._stranger, self._ssrc, self._sequence = None, ssrc, None
        self._begin_anew()
        self._missing(stranger.missed)
        for kept in stranger.packets[:-1]:
            self.rtp(memoryview(kept), 0, len(kept))
        return True

    def _begin_anew(self) -> None:
        self._depacketizer.end()
        self._settle()
        self.epoch += 1
        self._time = self.report = None

    def _unwrap(self, low: int) -> int:
        last = self._time
        if last is None:
            self._time = low
            return low
        delta = (low - last + 0x80000000 & 0xFFFFFFFF) - 0x80000000
        time = last + delta
        if delta > 0:
            self._time = time
        return time

    def rtcp(self, view: memoryview, start: int, end: int, now: datetime) -> bool:
        """Take a compound RTCP packet (section 6); returns whether the sender said goodbye."""
        while end - start >= 8:
            if view[start] >> 6 != 2:
                return False
            kind = view[start + 1]
            stop = start + 4 + 4 * int.from_bytes(view[start + 2 : start + 4])
            if stop > end:
                return False
            if kind == _SENDER_REPORT and stop - start >= 28 and self._time is not None:
                self._take_report(view, start, now)
            elif kind == _BYE:
                return True
            start = stop
        return False

    def _take_report(self, view: memoryview, start: int, now: datetime) -> None:
        seconds = int.from_bytes(view[start + 8 : start + 12])
        fraction = int.from_bytes(view[start + 12 : start + 16])
        if not seconds:
            return  # Section 6.4.1: a sender without a wall clock.
        low, last = int.from_bytes(view[start + 16 : start + 20]), self._time or 0
        time = last + (low - last + 0x80000000 & 0xFFFFFFFF) - 0x80000000
        wall = _NTP_EPOCH + timedelta(seconds=seconds + fraction / (1 << 32))
        self.report = SenderReport(wall, time, now)

    def as_of_now(self) -> Self:
        """A copy that no later packet changes, for whoever looks at this moment afterwards."""
        return copy.copy(self)

    def wall(self, time: int) -> datetime | None:
        """The camera's wall clock at an unwrapped timestamp, once it has reported."""
        if self.report is None:
            return None
        return self.report.wall + timedelta(seconds=(time - self.report.time) / self.clock_rate)

    @property
    def clock_offset_s(self) -> float | None:
        """Camera's wall clock minus ours in seconds, as of the last report."""
        if self.report is None:
            return None
        return (self.report.wall - self.report.arrived).total_seconds()


def apart(track: Track, time: int, other: Track, moment: int) -> timedelta | None:
    """How long after the ``moment`` of another track it is, by the sender's reports for both; None
    until both have one."""
    wall, before = track.wall(time), other.wall(moment)
    return None if wall is None or before is None else wall - before
