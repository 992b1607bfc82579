"""Faults of what comes beside the picture: each sound, each document is there or said to be not."""

import io
from datetime import UTC, datetime, timedelta

import av
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from roomwitness.policy.words import GapCause
from tests.camera.faulty import Fault, Kind
from tests.camera.media import Unit

from .test_faults import Outcome, record

SOUND, METADATA = 2, 4
# Sound comes in frames of 64 ms.
_SLACK = timedelta(seconds=0.2)
_ON_ITS_WAY = timedelta(seconds=0.4)


def sounds(outcome: Outcome) -> list[bytes]:
    found = []
    for segment in outcome.sink.closed:
        with av.open(io.BytesIO(segment.data)) as container:
            found += [bytes(packet) for packet in container.demux(audio=0) if packet.size]
    return found


def prove(outcome: Outcome) -> None:
    outcome.prove()
    sink, heard = outcome.sink, sounds(outcome)
    there = set(heard)
    assert len(heard) == len(there), "nothing is heard twice"
    began, documents, left_out = sink.closed[0].facts["start"], 0, 0
    told = b"".join(bytes(file.data) for file in sink.metadata)

    def declared(unit: Unit) -> bool:
        at = datetime.fromtimestamp(unit.time, UTC)
        late = _SLACK + outcome.late
        return any(a - late <= at <= b + late for a, b, _, _ in sink.gaps)

    for unit in outcome.camera.film.sent_beside:
        at = datetime.fromtimestamp(unit.time, UTC)
        if not began + _SLACK <= at <= outcome.end - _ON_ITS_WAY:
            continue
        if unit.kind == "audio":
            assert unit.nals[0] in there or declared(unit), at - outcome.start
        elif not declared(unit):
            documents += 1
            left_out += unit.nals[0].replace(b'"', b'\\"') not in told
    lost = sum(file.facts["lost_packets"] for file in sink.metadata)
    assert left_out <= lost, "what is left out is counted"
    assert documents > 0


def test_without_a_fault_all_is_there() -> None:
    outcome = record([], 8, beside=True)
    prove(outcome)
    assert set(outcome.sink.causes) == {GapCause.CONNECTING}
    assert len(sounds(outcome)) >= 7 * 16
    assert sum(file.facts["lost_packets"] for file in outcome.sink.metadata) == 0


@pytest.mark.parametrize("udp", [False, True], ids=["tcp", "udp"])
@pytest.mark.parametrize("kind", ["drop", "runt"])
def test_lost_sound_is_declared_and_lost_metadata_is_counted(kind: Kind, udp: bool) -> None:
    faults = [Fault(kind, 4.0, 5, channel=SOUND), Fault(kind, 5.0, 5, channel=METADATA)]
    outcome = record(faults, 8, udp=udp, beside=True)
    prove(outcome)
    assert set(outcome.sink.causes) == {GapCause.CONNECTING, GapCause.SOUND_LOSS}
    assert sum(file.facts["lost_packets"] for file in outcome.sink.metadata) == 5


# Not what ends a connection: of sound that was on its way then nobody can know, nor of what was
# sent before the first that came (docs/time.md).
KINDS: tuple[Kind, ...] = ("drop", "duplicate", "reorder", "runt", "cut", "withhold", "restart")


@settings(max_examples=10, deadline=None)
@given(
    st.lists(
        st.builds(
            Fault,
            st.sampled_from(KINDS),
            st.floats(1, 7).map(lambda at: round(at, 2)),
            st.integers(1, 10),
            st.sampled_from([0.3, 1.0]),
            st.sampled_from([0, SOUND, METADATA]),
        ),
        min_size=1,
        max_size=3,
    ),
    st.booleans(),
)
def test_faults_together(found: list[Fault], udp: bool) -> None:
    prove(record(found, 12, udp=udp, beside=True))
