"""When to try a camera again: at once, then ever later, never all cameras at the same moment."""

from collections.abc import Callable

CAP_S = 5.0
_FIRST_S = 0.5
# Most outages are short (a switch port, a camera's own restart of its stream): for the first two
# to three seconds the next try is never more than half a second away.
_SHORT = 6


def delay(failures: int, random: Callable[[], float], cap_s: float = CAP_S) -> float:
    """Seconds before the next try after so many failures in a row (1 is the first).

    0, six times 0.5, then 1, 2, 4 and at last 5 s, each shortened at random by up to half
    (``random`` gives 0 to 1), so that cameras behind one switch do not return together.
    """
    if failures <= 1:
        return 0.0
    doublings = max(0, min(failures - 1 - _SHORT, 10))
    return min(cap_s, _FIRST_S * (1 << doublings)) * (1 - random() / 2)
