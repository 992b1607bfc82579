"""Pictures that came together: how far they are ordinary, and up to where they can be written."""

from collections.abc import Sequence

from .codecs import AccessUnit
from .mp4 import VIDEO_TIMESCALE

# Pictures are missing where there is none for longer. A shorter step is asked about by no rule: no
# setting of a clock is found in it either (mediaclock.py).
SILENCE_TICKS = VIDEO_TIMESCALE // 2


def ordinary(units: Sequence[AccessUnit], at: int, last: int) -> int:
    """Where those from ``at`` on stop being ordinary: each is whole, no keyframe, and is shown
    behind the one before it (the first: behind ``last``), by half a second at most."""
    for unit in units[at:]:
        if unit.key or unit.damaged or not 0 < unit.time - last <= SILENCE_TICKS:
            break
        last = unit.time
        at += 1
    return at


def begun(units: Sequence[AccessUnit]) -> int:
    """The place of the newest one that is shown after all before it: those before it can be
    written, for it says how long they are shown."""
    place, highest = 0, None
    for number, unit in enumerate(units):
        if highest is None or unit.time > highest:
            place, highest = number, unit.time
    return place
