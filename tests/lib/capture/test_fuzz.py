"""Whatever bytes come: nothing but our own errors, in time and in bounded memory.

``scripts/fuzz NAME`` goes on for as long as one likes, over the same targets and corpus.
"""

import faulthandler
import sys
from collections.abc import Iterator

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from roomwitness.capture.codecs import registry
from tests.fuzz import targets
from tests.fuzz.targets import TARGETS, corpus

# A reader that stands still would hold all cameras: it is no slow test, but a failed one.
_STANDS_S = 60


@pytest.fixture(autouse=True)
def in_time() -> Iterator[None]:
    faulthandler.dump_traceback_later(_STANDS_S, exit=True, file=sys.__stderr__)
    yield
    faulthandler.cancel_dump_traceback_later()


def test_every_codec_is_fuzzed() -> None:
    assert targets.MEDIA.keys() == registry.VIDEO.keys() | registry.SOUND.keys()
    assert TARGETS.keys() >= {name.lower() for name in targets.MEDIA}


@pytest.mark.parametrize("name", TARGETS)
def test_what_was_once_found(name: str) -> None:
    found = corpus(name)
    assert found
    for data in found:
        TARGETS[name](data)


@pytest.mark.parametrize("name", TARGETS)
def test_any_bytes(name: str) -> None:
    """Known inputs, cut, joined and changed in places."""
    known = st.sampled_from(corpus(name))
    cut = st.tuples(known, st.integers(0, 1024), st.integers(0, 1024)).map(
        lambda found: found[0][min(found[1:]) : max(found[1:])]
    )
    changed = st.tuples(known, st.integers(0, 1023), st.binary(min_size=1, max_size=4)).map(
        lambda found: found[0][: found[1]] + found[2] + found[0][found[1] + 1 :]
    )
    piece = st.one_of(known, cut, changed, st.binary(max_size=64))

    @settings(max_examples=40, deadline=None)
    @given(st.lists(piece, max_size=4).map(b"".join))
    def run(data: bytes) -> None:
        TARGETS[name](data[:2048])

    run()


def test_what_is_held_is_measured() -> None:
    """A depacketizer that kept everything would be noticed."""

    class Keeps:
        def __init__(self) -> None:
            self.pieces: list[bytes] = []

    keeper = Keeps()
    keeper.pieces = [bytes(100)] + [bytes(range(100)) for _ in range(9)]
    assert targets.held(keeper) >= 1000
    assert targets.held({"a": (b"12345", [b"678"])}) >= 8
