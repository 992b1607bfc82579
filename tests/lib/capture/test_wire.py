"""Whatever the wire does: each picture is as it was sent, or inside a declared gap."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from .wire import Wire, film

FILMS = {
    "h264": ("x264", "slices=3:bframes=0"),
    "h264, a slice": ("x264", "slices=1:bframes=0"),
    "h264, b": ("x264", "slices=2:bframes=3:b-adapt=0:b-pyramid=2:rc-lookahead=4:ref=4"),
    "h265": ("x265", "slices=2:bframes=0:log-level=none"),
    "h265, b": ("x265", "bframes=3:b-adapt=0:open-gop=1:rc-lookahead=4:log-level=none"),
}
faults = st.tuples(
    st.integers(0, 400),
    st.sampled_from(
        [
            "drop",
            "drop",
            "runt",
            "twice",
            "late",
            "padded",
            "padding",
            "extended",
            "stray",
            "takeover",
        ]
    ),
    st.integers(1, 60),
)


def _run(name: str, script: list[tuple[int, str, int]], *, marked: bool) -> Wire:
    wire = Wire(film(*FILMS[name]), marked=marked)
    wire.send()  # What was sent before the first that arrives is nobody's loss.
    for after, fault, value in script:
        wire.send(after)
        wire.apply(fault, value)
    wire.end()
    return wire


@pytest.mark.parametrize("name", FILMS)
@pytest.mark.parametrize("marked", [True, False])
def test_a_good_wire_loses_nothing(name: str, marked: bool) -> None:
    wire = _run(name, [], marked=marked)
    assert wire.undeclared() == []
    assert [cause for cause in wire.sink.causes if cause != "connecting"] == []


@pytest.mark.parametrize("name", FILMS)
@settings(max_examples=40, deadline=None)
@given(script=st.lists(faults, max_size=8), marked=st.booleans())
def test_nothing_is_missing_in_silence(
    name: str, script: list[tuple[int, str, int]], marked: bool
) -> None:
    assert _run(name, script, marked=marked).undeclared() == []
