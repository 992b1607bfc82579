"""When to try a camera again: at once, then ever later, never all cameras at the same moment.

A password that was refused is tried seldom: many cameras lock the account, or our address, after
five to seven wrong ones, for up to half an hour.
"""

import math
from collections.abc import Callable

CAP_S = 5.0
# A connection that gave pictures for less ended for a reason that may well come again.
STEADY_S = 5.0
_FIRST_S = 0.5
# Most outages are short (a switch port, a camera's own restart of its stream): for the first two
# to three seconds the next try is never more than half a second away.
_SHORT = 6
# The first soon: a camera that starts may refuse everybody. The fifth is more than 7 minutes later.
_REFUSED_S = (2.0, 30.0, 120.0, 300.0)
REFUSED_CAP_S = 300.0
# While no meeting runs.
IDLE_REFUSED_CAP_S = 1800.0


class Row:
    """The failures in a row of one camera.

    One that ends a steady connection is the first. A camera that gives a keyframe and then closes,
    again and again (two recorders that evict each other, a disk that fails), is not: the brief
    connections count on. What an outage before such a connection cost in tries is forgotten.

    ``cap_s`` is how long to wait at most: connections with pictures begin every ``STEADY_S`` at the
    latest, for the longer they live the more is lost between them.
    """

    def __init__(self) -> None:
        self.cap_s = math.inf
        self._failures = self._brief = 0

    def failed(self, lived_s: float, *, pictures: bool) -> int:
        """Count one more, of a connection that was tried ``lived_s`` ago; how many there are."""
        self.cap_s = max(0.0, STEADY_S - lived_s) if pictures else math.inf
        if not pictures:
            self._failures += 1
        else:
            self._brief = 1 if lived_s >= STEADY_S else self._brief + 1
            self._failures = self._brief
        return self._failures


def delay(failures: int, random: Callable[[], float], cap_s: float = CAP_S) -> float:
    """Seconds before the next try after so many failures in a row (1 is the first).

    0, six times 0.5, then 1, 2, 4 and at last 5 s, each shortened at random by up to half
    (``random`` gives 0 to 1), so that cameras behind one switch do not return together.
    """
    if failures <= 1:
        return 0.0
    doublings = max(0, min(failures - 1 - _SHORT, 10))
    return min(cap_s, _FIRST_S * (1 << doublings)) * (1 - random() / 2)


def refused(refusals: int, random: Callable[[], float], cap_s: float = REFUSED_CAP_S) -> float:
    """Seconds before the next try after the camera refused the password so many times in a row.

    2, 30, 120, 300, then twice as much each time up to the cap, each shortened at random by up to
    an eighth (``random`` gives 0 to 1).
    """
    place = max(1, refusals) - 1
    doublings = max(0, min(place - len(_REFUSED_S) + 1, 10))
    wait = _REFUSED_S[min(place, len(_REFUSED_S) - 1)] * (1 << doublings)
    return min(cap_s, wait) * (1 - random() / 8)
