"""What the log binds a recording by is found from its end, and no other rows have that head."""

import json
from collections.abc import Iterator
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from roomwitness.custody import encode_entry, last_bound, rows_root
from roomwitness.custody.adopted import ADOPTED, doubted, in_doubt
from roomwitness.custody.bound import bound_by

T = datetime(2026, 11, 2, 9, 0, tzinfo=UTC)


class Lines:
    """A log of these leaves."""

    def __init__(self, leaves: list[bytes]) -> None:
        self._data = b"".join(leaf + b"\n" for leaf in leaves)
        self.length = len(self._data)

    def since(self, position: int) -> Iterator[bytes]:
        yield from self._data[position:].split(b"\n")[:-1]


@given(
    st.lists(
        st.tuples(st.sampled_from("abc"), st.sampled_from(["end", "amend", "other", "adopt"])),
        max_size=30,
    ),
    st.integers(1, 400),
)
def test_the_newest_signed_binding_is_found_from_the_end(
    steps: list[tuple[str, str]], piece: int
) -> None:
    """As from the whole log, however it is cut, whatever of it nobody had signed."""
    leaves: list[bytes] = [
        encode_entry("recording_begun", T, {"recording": name, "meeting": "m"}) for name in "abc"
    ]
    for number, (name, what) in enumerate(steps):
        if what == "adopt":
            entry = encode_entry(ADOPTED, T, {"first": 0, "count": number % 4})
        elif what == "other":
            entry = encode_entry("segment_recovered", T, {"recording": name})
        else:
            fields = {"recording": name, "files": number, "files_root": str(number)}
            entry = encode_entry(f"recording_{what}ed", T, fields)
        leaves.append(entry)
    doubt = doubted(enumerate(leaves))
    signed = [json.loads(e) for n, e in enumerate(leaves) if not in_doubt(n, doubt)]
    bound = dict(found for entry in signed if (found := bound_by(entry)) is not None)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("roomwitness.custody.bound._PIECE", piece)
        for name in "abc":
            found = last_bound(Lines(leaves), name)  # type: ignore[arg-type]
            assert found == bound.get(name)


@given(st.lists(st.binary(max_size=6)), st.lists(st.binary(max_size=6)))
def test_other_rows_have_another_head(one: list[bytes], other: list[bytes]) -> None:
    assert (rows_root(one) == rows_root(other)) is (one == other)
