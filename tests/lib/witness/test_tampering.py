"""What the custody log says of tampering: in which meetings, once, also if the log fails once."""

from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from roomwitness.witness.tampering import Tampering, TamperNote

NOW = datetime(2026, 11, 25, 12, tzinfo=UTC)
BEGAN, ENDED = "camera_tampered", "camera_tamper_ended"


def at(seconds: int) -> datetime:
    return NOW + timedelta(seconds=seconds)


def test_each_meeting_with_the_camera_is_told_and_no_other() -> None:
    tampering = Tampering()
    tampering.happened("c1", at(1), began=True)
    running = {"m1": {"c1"}, "m2": {"c2"}, "m3": {"c1", "c2"}}
    notes = tampering.due(running, {"c1"}, at(2))
    assert notes == [TamperNote(BEGAN, at(1), "m1", "c1"), TamperNote(BEGAN, at(1), "m3", "c1")]
    # The log could not be written: it is due still.
    assert tampering.due(running, {"c1"}, at(3)) == notes
    tampering.happened("c1", at(3), began=False)
    tampering.noted(notes)
    assert tampering.due(running, set(), at(4)) == [
        TamperNote(ENDED, at(3), "m1", "c1"),
        TamperNote(ENDED, at(3), "m3", "c1"),
    ]


def test_what_was_so_before_the_meeting_is_noted_when_it_begins() -> None:
    tampering = Tampering()
    tampering.happened("c1", at(1), began=True)
    tampering.noted(tampering.due({}, {"c1"}, at(2)))
    notes = tampering.due({"m1": {"c1"}}, {"c1"}, at(9))
    assert notes == [TamperNote(BEGAN, at(9), "m1", "c1")]
    tampering.noted(notes)
    assert tampering.due({"m1": {"c1"}}, {"c1"}, at(10)) == []
    tampering.noted(tampering.due({}, {"c1"}, at(11)))
    assert tampering.due({"m2": {"c1"}}, {"c1"}, at(12)) != []


def test_a_short_one_between_two_looks_is_noted_too() -> None:
    tampering = Tampering()
    tampering.happened("c1", at(1), began=True)
    tampering.happened("c1", at(2), began=False)
    notes = tampering.due({"m1": {"c1"}}, set(), at(3))
    assert [note.kind for note in notes] == [BEGAN, ENDED]


@given(st.lists(st.tuples(st.booleans(), st.booleans(), st.booleans()), max_size=40))
def test_begins_and_ends_alternate(steps: list[tuple[bool, bool, bool]]) -> None:
    tampering, kinds, active = Tampering(), [], False
    for number, (change, look, fails) in enumerate(steps):
        if change:
            active = not active
            tampering.happened("c", at(number), began=active)
        if look:
            notes = tampering.due({"m": {"c"}}, {"c"} if active else set(), at(number))
            if not fails:
                tampering.noted(notes)
                kinds += [note.kind for note in notes]
    assert all(kind == (ENDED if n % 2 else BEGAN) for n, kind in enumerate(kinds))
