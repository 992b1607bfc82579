"""Our own clock, with its steps told apart from the time that passes.

The wall clock may be set at any moment (NTP, an administrator); the monotonic clock may not. So
time passes by the monotonic clock, and what the wall clock did besides is a step (docs/time.md).
"""

import time
from collections.abc import Callable
from datetime import UTC, datetime

_STEP_S = 0.05
_QUIET_S = 0.005


class HostClock:
    """Call it for the wall time; ``stepped_s`` is the sum of all steps so far, in seconds.

    A difference below 50 ms is followed without being called a step.
    """

    def __init__(
        self,
        wall: Callable[[], float] = time.time,
        steady: Callable[[], float] = time.monotonic,
    ) -> None:
        self._wall = wall
        self._steady = steady
        self._offset = wall() - steady()
        self.stepped_s = 0.0

    def __call__(self) -> datetime:
        """Our wall time now, aware, in UTC."""
        before = self._steady()
        wall = self._wall()
        after = self._steady()
        if after - before < _QUIET_S:  # Else we were interrupted between the two readings.
            offset = wall - (before + after) / 2
            step = offset - self._offset
            if abs(step) >= _STEP_S:
                self.stepped_s += step
            self._offset = offset
        return datetime.fromtimestamp(self._offset + after, UTC)
