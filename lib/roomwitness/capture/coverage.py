"""Up to when a recording is accounted for, and why the rest is missing."""

from collections import deque
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta

from roomwitness.policy.words import GapCause

from .gaps import Gap, Gaps

_A_PICTURE = timedelta(seconds=1)
# How much is missing where a connection breaks, or a camera begins to count anew, cannot be known,
# also where the times before and after meet.
_MOMENT = timedelta(milliseconds=1)
_BROKEN = frozenset(
    {
        GapCause.CAMERA_AUTH,
        GapCause.CAMERA_UNREACHABLE,
        GapCause.CONNECTION_LOST,
        GapCause.NO_KEYFRAME,
        GapCause.PROTOCOL_ERROR,
        GapCause.STALLED,
    }
)
# So many of the newest gaps may end later, or earlier, than they were declared to.
_MENDED = 8


class Coverage:
    """Declares every interval that no segment covers, cause by cause; ``write`` keeps a gap."""

    def __init__(self, start: datetime, cause: GapCause, write: Callable[[Gap], None]) -> None:
        self.gaps = Gaps(write)
        self._until = start
        self._cause = cause
        self._since: deque[Gap] = deque(maxlen=_MENDED)
        self._ends: dict[str, datetime] = {}  # Where one of them was moved to.
        self._failing = True  # Nothing is recorded yet.
        self._lost = 0
        self._anew = False

    def broken(self, cause: GapCause, now: datetime) -> None:
        """From ``now`` on the cause is this; what was missing before keeps its own."""
        before, self._cause = self._cause, cause
        self._failing = True
        self._anew = self._anew or cause in _BROKEN
        if cause is not before:
            self._missing_until(now, before)

    def resumed(self, start: datetime) -> None:
        """Media goes on from here: what is missing before it is declared."""
        self._missing_until(start, self._cause)

    def _missing_until(self, end: datetime, cause: GapCause) -> None:
        if self._anew:
            end = max(end, self._until + _MOMENT)
        if end > self._until or self._lost:
            end = max(end, self._until)
            gap = Gaps.new(self._until, end, cause, self._lost)
            # Before it is written, which may fail: it is not forgotten then.
            self._until, self._lost, self._anew = end, 0, False
            self._since.append(gap)
            self.gaps.put(gap)

    def mended(self, start: datetime) -> list[Gap]:
        """The media that followed began at ``start``, as is known by now: what changes by that."""
        if not self._since:
            late = start > self._until
            gap = Gaps.new(self._until, start, self._cause)
            self._until = max(self._until, start)
            return [gap] if late else []
        found, newest = [], self._since[-1]
        for gap in self._since:
            least = _least(gap, first=gap is self._since[0])
            end = max(least, start if gap is newest else min(gap.end, start))
            if end != self._ends.get(gap.id, gap.end):
                self._ends[gap.id] = end
                found.append(replace(gap, end=end))
        self._until = max(self._since[0].start, start)
        return found

    def recorded(self, end: datetime, next_cause: GapCause, lost: int = 0) -> None:
        """A segment covers up to ``end``; if nothing follows, it is for ``next_cause``.

        ``lost`` packets are known to be missing from then on.
        """
        self._until = max(self._until, end)
        self._forget()
        self._cause = next_cause
        self._lost = lost
        self._failing = False

    def stepped(self, seconds: float, *, recording: bool) -> None:
        """Our own clock was set by so much, and times from here on are by the new one.

        Set forward while ``recording``, an interval that never was is declared as such; set back,
        what follows must be accounted for although the hour was there before.
        """
        until = self._until + timedelta(seconds=seconds)
        self._forget()  # By the old clock.
        if seconds < 0:
            self._until = until
        elif recording and seconds > 0:
            gap = Gaps.new(self._until, until, GapCause.CLOCK_STEP)
            self._until = until
            self.gaps.put(gap)

    def _forget(self) -> None:
        self._since.clear()
        self._ends.clear()

    def missed(self, lost: int) -> None:
        """So many packets more are known to be missing in the interval that is not declared yet."""
        self._lost += lost

    def anew(self) -> None:
        """The camera counts anew from here: whether something is missing nobody can know."""
        self._anew = True

    def dropped(self) -> None:
        """Something came that is kept nowhere: what is missing is more than was on its way."""
        self._failing = True

    def finish(self, now: datetime) -> None:
        """Nothing more comes: declare the rest, unless it is only a picture that was on its way."""
        if self._failing or self._lost or now - self._until > _A_PICTURE:
            self.resumed(now)


def _least(gap: Gap, *, first: bool) -> datetime:
    """When it ends at the earliest; ``first``: media was there until it began."""
    unknown = gap.cause is GapCause.STREAM_CHANGED or (first and gap.cause in _BROKEN)
    return gap.start + _MOMENT if unknown and gap.end > gap.start else gap.start
