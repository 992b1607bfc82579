"""The median, against Python's own."""

import statistics

from hypothesis import given
from hypothesis import strategies as st

from roomwitness.capture.middle import median


@given(st.lists(st.floats(allow_nan=False), min_size=1))
def test_it_is_pythons(values: list[float]) -> None:
    assert repr(median(iter(values))) == repr(statistics.median(values))
