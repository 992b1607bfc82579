"""What lies between two segments: its cause, and where it ends as is known by and by."""

import pytest

from roomwitness.capture.coverage import Coverage
from roomwitness.capture.errors import StreamSilent, cause_of
from roomwitness.errors import WitnessError
from roomwitness.policy.words import GapCause

from .memory import MemorySink, SinkFailed
from .test_gaps import T, at


def test_the_gap_before_a_segment_moves_back_as_well() -> None:
    sink = MemorySink()
    coverage = Coverage(T, GapCause.CONNECTING, sink.gap)
    coverage.resumed(at(9))
    for moved in (8, 6, 9, 7):
        for gap in coverage.mended(at(moved)):
            sink.gap(gap)
        assert [(start, end) for start, end, _, _ in sink.gaps] == [(T, at(moved))]
    assert coverage.mended(at(7)) == []


def test_a_connection_that_broke_is_a_gap_also_where_the_times_meet() -> None:
    """A picture may be missing between them: nobody can know."""
    sink = MemorySink()
    coverage = Coverage(T, GapCause.CONNECTING, sink.gap)
    coverage.resumed(T)
    coverage.recorded(at(5), GapCause.CONNECTION_LOST)
    coverage.broken(GapCause.CONNECTION_LOST, at(5.2))
    coverage.resumed(at(5))
    assert sink.causes == [GapCause.CONNECTION_LOST]
    for gap in coverage.mended(at(4.9)):  # As late as that, the first packets were.
        sink.gap(gap)
    assert sink.gaps == [(at(5), at(5.001), GapCause.CONNECTION_LOST, 0)]
    coverage.recorded(at(9), GapCause.RESTART)
    coverage.resumed(at(9))
    assert len(sink.gaps) == 1, "nothing broke"


def test_a_full_disk_is_the_cause_from_then_on_though_that_could_not_be_written() -> None:
    sink = MemorySink()
    coverage = Coverage(T, GapCause.CONNECTING, sink.gap)
    sink.full = True
    with pytest.raises(SinkFailed):
        coverage.broken(GapCause.DISK_FULL, at(2))
    sink.full = False
    coverage.resumed(at(5))
    assert [(a, b, cause) for a, b, cause, _ in sink.gaps] == [
        (T, at(2), GapCause.CONNECTING),
        (at(2), at(5), GapCause.DISK_FULL),
    ]


@pytest.mark.parametrize(
    ("start", "left"),
    [
        (9.5, [(0, 2), (2, 6), (6, 9.5)]),
        (7.0, [(0, 2), (2, 6), (6, 7.0)]),
        (5.0, [(0, 2), (2, 5.0)]),
        (-1.0, []),
    ],
)
def test_what_was_missing_before_ends_where_the_media_truly_began(
    start: float, left: list[tuple[float, float]]
) -> None:
    sink = MemorySink()
    coverage = Coverage(T, GapCause.CONNECTING, sink.gap)
    coverage.broken(GapCause.CAMERA_UNREACHABLE, at(2))
    coverage.broken(GapCause.CONNECTION_LOST, at(6))
    coverage.resumed(at(9))
    for gap in coverage.mended(at(start)):
        sink.gap(gap)
    assert [(a, b) for a, b, _, _ in sink.gaps] == [(at(a), at(b)) for a, b in left]
    coverage.recorded(at(20), GapCause.RESTART)
    coverage.resumed(at(21))
    assert sink.gaps[-1][:2] == (at(20), at(21))
    assert coverage.mended(at(22))[0].end == at(22)


def test_nothing_that_was_missing_by_the_old_clock_is_moved_by_the_new() -> None:
    sink = MemorySink()
    coverage = Coverage(T, GapCause.CONNECTING, sink.gap)
    coverage.broken(GapCause.CAMERA_UNREACHABLE, at(60))
    coverage.stepped(-3600.0, recording=False)
    coverage.resumed(at(-3500))
    assert [gap.start for gap in coverage.mended(at(-3501))] == [at(-3540)]
    assert sink.gaps[0][:2] == (T, at(60))


def test_a_disk_that_is_not_full_is_another_cause() -> None:
    class Locked(WitnessError):
        key = "vault_unwritable"

    assert cause_of(Locked()) is GapCause.DISK_FAILED
    assert cause_of(SinkFailed()) is GapCause.DISK_FULL
    assert cause_of(StreamSilent()) is GapCause.STALLED
