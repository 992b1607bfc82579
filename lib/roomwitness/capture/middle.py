"""The median. Python's ``statistics`` would bring ``decimal`` and ``fractions`` into the recording
process, which has no other use for them: three quarters of a megabyte."""

from collections.abc import Iterable


def median(values: Iterable[float]) -> float:
    """The one in the middle, or the mean of the two; there is at least one."""
    ordered = sorted(values)
    half, odd = divmod(len(ordered), 2)
    return ordered[half] if odd else (ordered[half - 1] + ordered[half]) / 2
