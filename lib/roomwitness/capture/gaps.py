"""A recording's gaps on their way to where they are kept: declared at once, mended later."""

import secrets
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from roomwitness.policy.words import GapCause

from .mp4 import VIDEO_TIMESCALE

_NOISE = timedelta(milliseconds=1)  # Moving a gap by so little is worth no write.


@dataclass(frozen=True, slots=True, kw_only=True)
class Gap:
    """A known missing interval; ``id`` is its own in its recording, whatever becomes of its times.

    One of no length in which no packet is known to be lost is none.
    """

    id: str
    start: datetime
    end: datetime
    cause: GapCause
    lost_packets: int = 0


class Gaps:
    """Writes gaps. One that cannot be written now (the disk is full) is written later."""

    def __init__(self, write: Callable[[Gap], None]) -> None:
        self._write = write
        self._waiting: dict[str, Gap] = {}

    @staticmethod
    def new(start: datetime, end: datetime, cause: GapCause, lost_packets: int = 0) -> Gap:
        """A gap that nobody knows yet."""
        return Gap(
            id=secrets.token_hex(8), start=start, end=end, cause=cause, lost_packets=lost_packets
        )

    def put(self, gap: Gap) -> None:
        """Write one; it replaces what was written with its id.

        Raises:
            WitnessError: the sink failed; it waits for the next that is put.
        """
        self._waiting[gap.id] = gap
        for waiting in tuple(self._waiting.values()):
            self._write(waiting)
            del self._waiting[waiting.id]

    def written(self, gaps: Iterable[Gap]) -> None:
        """These were written in another way."""
        for gap in gaps:
            self._waiting.pop(gap.id, None)


class OpenGaps:
    """What is missing inside a segment that is being written; times are in its pictures' RTP ticks.

    The segment's ``start`` may prove to be another (docs/time.md), and all lies where its pictures
    lie then. One that a kill leaves open keeps the start of its last flush, and so do they.
    """

    def __init__(self, gaps: Gaps, start: datetime, first: int) -> None:
        self._gaps = gaps
        self._start = start
        self._first = first
        self._declared: dict[str, tuple[Gap, int, int]] = {}

    def declare(self, begin: int, end: int, cause: GapCause, lost_packets: int = 0) -> str:
        """Write a gap now; returns its id.

        Raises:
            WitnessError: the sink failed; it waits for the next gap.
        """
        end = max(begin, end)
        gap = Gaps.new(self._wall(begin), self._wall(end), cause, lost_packets)
        self._declared[gap.id] = (gap, begin, end)
        self._gaps.put(gap)
        return gap.id

    def extend(self, gap_id: str, end: int) -> None:
        """One of them goes on until ``end``.

        Raises:
            WitnessError: the sink failed; it waits for the next gap.
        """
        before, begin, until = self._declared[gap_id]
        if end > until:
            gap = replace(before, end=self._wall(end))
            self._declared[gap_id] = (gap, begin, end)
            self._gaps.put(gap)

    def moved(self, start: datetime) -> None:
        """The segment began at ``start``, as is known by now: they lie elsewhere.

        Raises:
            WitnessError: the sink failed; what could not be written waits for the next gap.
        """
        self._start = start
        for gap_id, (before, begin, end) in self._declared.items():
            gap = replace(before, start=self._wall(begin), end=self._wall(end))
            self._declared[gap_id] = (gap, begin, end)
            self._gaps.put(gap)

    def sealed(self, start: datetime, end: int, stop: datetime) -> list[Gap]:
        """The segment goes from ``start`` to ``stop``, at ``end``: those that lie elsewhere now."""
        length, ticks, first = stop - start, max(1, end - self._first), self._first
        found = []
        for gap, begin, until in self._declared.values():
            begins, ends = (start + length * (at - first) / ticks for at in (begin, until))
            if max(abs(begins - gap.start), abs(ends - gap.end)) > _NOISE:
                found.append(replace(gap, start=begins, end=ends))
        return found

    def _wall(self, ticks: int) -> datetime:
        return self._start + timedelta(seconds=(ticks - self._first) / VIDEO_TIMESCALE)
