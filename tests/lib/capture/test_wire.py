"""Whatever the wire does: each picture is as it was sent, or inside a declared gap."""

from datetime import timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from .wire import START, Wire, film

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
            "cut",
            "headless",
            "unknown",
        ]
    ),
    st.integers(1, 60),
)


READS = st.sampled_from([0, 1, 5, 30, 200])


def _run(
    name: str,
    script: list[tuple[int, str, int]],
    *,
    marked: bool,
    together: int,
    one_by_one: bool = False,
) -> Wire:
    wire = Wire(film(*FILMS[name]), marked=marked, together=together, one_by_one=one_by_one)
    wire.send()  # What was sent before the first that arrives is nobody's loss.
    for after, fault, value in script:
        wire.send(after)
        wire.apply(fault, value)
    wire.end()
    return wire


@pytest.mark.parametrize("name", FILMS)
@pytest.mark.parametrize("marked", [True, False])
@pytest.mark.parametrize("together", [0, 50])
def test_a_good_wire_loses_nothing(name: str, marked: bool, together: int) -> None:
    wire = _run(name, [], marked=marked, together=together)
    assert wire.undeclared() == []
    assert [cause for cause in wire.sink.causes if cause != "connecting"] == []


@pytest.mark.parametrize("name", FILMS)
@settings(max_examples=40, deadline=None)
@given(script=st.lists(faults, max_size=8), marked=st.booleans(), together=READS)
def test_nothing_is_missing_in_silence(
    name: str, script: list[tuple[int, str, int]], marked: bool, together: int
) -> None:
    assert _run(name, script, marked=marked, together=together).undeclared() == []


@pytest.mark.parametrize("name", FILMS)
@settings(max_examples=30, deadline=None)
@given(
    script=st.lists(faults, max_size=6), marked=st.booleans(), together=st.sampled_from([1, 30, 90])
)
def test_together_or_one_by_one_is_the_same_recording(
    name: str, script: list[tuple[int, str, int]], marked: bool, together: int
) -> None:
    ours, plain = (
        _run(name, script, marked=marked, together=together, one_by_one=one_by_one)
        for one_by_one in (False, True)
    )
    assert ours.recorded() == plain.recorded()
    assert ours.sink.gaps == plain.sink.gaps
    assert [s.facts["lost_packets"] for s in ours.sink.closed] == [
        s.facts["lost_packets"] for s in plain.sink.closed
    ]


@pytest.mark.parametrize(
    ("name", "header", "begins"), [("h264", 1, {0x85}), ("h265", 2, {0x93, 0x94, 0x95})]
)
def test_a_stream_that_is_joined_between_a_keyframes_slices_begins_with_the_next(
    name: str, header: int, begins: set[int]
) -> None:
    wire = Wire(film(*FILMS[name]))
    joined = next(
        index
        for index, packet in enumerate(wire.film.packets)
        if packet.payload[header] in begins  # The first fragment of a slice ...
        and len(packet.payload) > header + 1
        and packet.payload[header + 1] < 0x80  # ... that is not the picture's first.
        and wire.film.pictures[packet.picture].key
    )
    wire.apply("drop", joined)
    wire.end()
    assert wire.undeclared() == []
    assert wire.sink.closed[0].facts["start"] >= START + timedelta(seconds=1)
