"""Whether our clock can be believed for what cannot be undone and need not be done in haste.

A computer without a battery, or whose time server errs, may show another year for a moment.
"""

from datetime import datetime, timedelta

# A clock that goes on so long without a leap is believed; where it must, a time server acts sooner.
REST = timedelta(hours=1)
# By more than this, set forward, it leapt.
_LEAP = timedelta(minutes=10)
# Between the last sign of life and a start: while the computer was off anything may have happened.
_AWAY = timedelta(days=1)


class Steady:
    """Follows one clock beside a monotonic one."""

    def __init__(self, rest: timedelta = REST) -> None:
        self._rest = rest
        self._last: tuple[datetime, float] | None = None
        self._leapt: float | None = None

    def look(self, now: datetime, ticks: float, alive: datetime | None) -> bool:
        """Whether ``now`` can be believed; ``ticks`` are monotonic seconds.

        ``alive`` is when something was last noted before the first look, None if nothing was.
        """
        if self._last is None:
            leapt = alive is not None and now - alive > _AWAY
        else:
            before, then = self._last
            leapt = now - before - timedelta(seconds=ticks - then) > _LEAP
        self._last = now, ticks
        if leapt:
            self._leapt = ticks
        return self._leapt is None or timedelta(seconds=ticks - self._leapt) >= self._rest
