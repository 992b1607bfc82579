"""Up to when a recording is accounted for, and why the rest is missing."""

from collections.abc import Callable
from datetime import datetime, timedelta

from roomwitness.policy.words import GapCause

_A_PICTURE = timedelta(seconds=1)

type Declare = Callable[[datetime, datetime, GapCause, int], None]


class Coverage:
    """Declares every interval that no segment covers, cause by cause."""

    def __init__(self, start: datetime, cause: GapCause, declare: Declare) -> None:
        self._until = start
        self._cause = cause
        self._declare = declare
        self._failing = False
        self._lost = 0

    def broken(self, cause: GapCause, now: datetime) -> None:
        """From ``now`` on the cause is this; what was missing before keeps its own."""
        if cause is not self._cause:
            self.resumed(now)
            self._cause = cause
        self._failing = True

    def resumed(self, start: datetime) -> None:
        """Media goes on from here: what is missing before it is declared."""
        if start > self._until or self._lost:
            start, lost = max(start, self._until), self._lost
            self._lost = 0
            self._declare(self._until, start, self._cause, lost)
            self._until = start

    def recorded(self, end: datetime, next_cause: GapCause, lost: int = 0) -> None:
        """A segment covers up to ``end``; if nothing follows, it is for ``next_cause``.

        ``lost`` packets are known to be missing from then on.
        """
        self._until = max(self._until, end)
        self._cause = next_cause
        self._lost = lost
        self._failing = False

    def stepped(self, seconds: float, *, recording: bool) -> None:
        """Our own clock was set by so much, and times from here on are by the new one.

        Set forward while ``recording``, an interval that never was is declared as such; set back,
        what follows must be accounted for although the hour was there before.
        """
        until = self._until + timedelta(seconds=seconds)
        if seconds < 0:
            self._until = until
        elif recording and seconds > 0:
            self._declare(self._until, until, GapCause.CLOCK_STEP, 0)
            self._until = until

    def missed(self, lost: int) -> None:
        """So many packets more are known to be missing in the interval that is not declared yet."""
        self._lost += lost

    def dropped(self) -> None:
        """Something came that is kept nowhere: what is missing is more than was on its way."""
        self._failing = True

    def finish(self, now: datetime) -> None:
        """Nothing more comes: declare the rest, unless it is only a picture that was on its way."""
        if self._failing or self._lost or now - self._until > _A_PICTURE:
            self.resumed(now)
