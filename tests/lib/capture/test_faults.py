"""Every fault, in the real recorder: each picture is recorded, or in a declared gap."""

import asyncio
import io
import random
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import av
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from roomwitness.capture import Recorder, StreamSource
from roomwitness.policy.words import GapCause
from tests.camera.faulty import CODING, PACKETS, Fault, FaultyCamera, Kind
from tests.camera.media import Unit
from tests.camera.rtp import Form

from .memory import MemorySink
from .scripted import FILM, FILM_H265, PICTURES, joined, marked
from .swift import swiftly

EPOCH = datetime(2026, 11, 2, 9, 0, tzinfo=UTC)
FPS = 25
# A gap ends where the next picture begins; times are known to 100 ms (docs/time.md).
_SLACK = timedelta(seconds=0.1)
# What was sent when the recording ends, and is not read yet (batch.py).
_ON_ITS_WAY = timedelta(seconds=0.2)


def film(number: int) -> Unit:
    return marked(FILM[number % PICTURES], number)


def film_h265(number: int) -> Unit:
    return marked(FILM_H265[number % PICTURES], number, "x265")


FILMS: dict[Form, Callable[[int], Unit]] = {"h264": film, "h265": film_h265}
# So that a picture of each film is sent in pieces.
MTU: dict[Form, int] = {"h264": 60, "h265": 20}


@dataclass(frozen=True)
class Outcome:
    """``late`` is by how much the line may have delayed what came."""

    sink: MemorySink
    camera: FaultyCamera
    start: datetime
    end: datetime
    late: timedelta

    def in_gap(self, at: datetime, until: datetime | None = None) -> bool:
        slack = _SLACK + (self.late if until is None else timedelta(0))
        return any(a - slack <= (until or at) and at <= b + slack for a, b, _, _ in self.sink.gaps)

    def recorded(self) -> list[tuple[datetime, bytes]]:
        found = []
        for segment in self.sink.closed:
            with av.open(io.BytesIO(segment.data)) as container:
                stream = container.streams.video[0]
                for packet in container.demux(stream):
                    if packet.size:
                        at = float((packet.dts or 0) * (packet.time_base or 0))
                        start, length = segment.facts["start"], segment.facts["media_seconds"]
                        # As wall_time (vault/walltime.py) does.
                        shown = start + (segment.end - start) * (at / length)
                        found.append((shown, bytes(packet)))
        return found

    def prove(self) -> None:
        """What was sent is there byte for byte or declared; what else is there is declared too."""
        recorded = self.recorded()
        assert len(self.sink.opened) == len(self.sink.closed), "nothing is left open"
        assert list(self.undeclared(recorded)) == []
        sent = {joined(unit) for unit in self.camera.film.sent}
        damaged = [at - EPOCH for at, data in recorded if data not in sent and not self.in_gap(at)]
        assert damaged == [], "pictures that were never sent so"
        whole = Counter(data for _, data in recorded if data in sent)
        assert whole.total() == len(whole), "nothing is recorded twice"
        assert self.sink.uncovered(self.start, self.end) <= _ON_ITS_WAY + _SLACK

    def undeclared(self, recorded: list[tuple[datetime, bytes]]) -> Iterator[timedelta]:
        """When pictures were sent that are neither there nor missing by a gap.

        Where the line was slow they are sought between the ones that did come, by their times.
        """
        there = {data: at for at, data in recorded}
        ends = [*(there.get(joined(unit)) for unit in self.camera.film.sent), self.end]
        before = self.start
        for number, unit in enumerate(self.camera.film.sent):
            at, shown = at_of(unit), ends[number]
            if shown is not None:
                before = min(shown, self.end)
            elif self.start <= at < self.end - _ON_ITS_WAY:
                after = next(end for end in ends[number:] if end is not None)
                # Times run back where a camera began to count anew in what came at once.
                between = sorted((before, after))
                if not (self.in_gap(*between) if self.late else self.in_gap(at)):
                    yield at - EPOCH


def at_of(unit: Unit) -> datetime:
    return datetime.fromtimestamp(unit.time, UTC)


def record(
    faults: Sequence[Fault],
    seconds: float,
    drift_ppm: float = 0,
    seed: int = 1,
    udp: bool = False,
    form: Form = "h264",
    beside: bool = False,
) -> Outcome:
    async def run() -> Outcome:
        loop = asyncio.get_running_loop()

        def clock() -> datetime:
            return EPOCH + timedelta(seconds=loop.time())

        camera = FaultyCamera(
            FILMS[form], faults, epoch=EPOCH.timestamp(), drift_ppm=drift_ppm, fps=FPS,
            chance=random.Random(seed), udp=udp, form=form, mtu=MTU[form], beside=beside,
        )  # fmt: skip
        sink = MemorySink()
        await camera.start()
        start = clock()
        recorder = Recorder(
            StreamSource(camera.url, audio=beside), sink, start=start, segment_seconds=2.0,
            clock=clock, chance=lambda: 0.5,
        )  # fmt: skip
        task = asyncio.ensure_future(recorder.run())
        await asyncio.sleep(seconds)
        recorder.stop()
        await task
        end = clock()
        await camera.stop()
        slow = [fault.seconds for fault in faults if fault.kind in ("delay", "drip")]
        return Outcome(sink, camera, start, end, timedelta(seconds=sum(slow)))

    return swiftly(run())


def causes(outcome: Outcome) -> set[GapCause]:
    return set(outcome.sink.causes) - {GapCause.CONNECTING}


def test_without_a_fault_every_picture_is_there() -> None:
    outcome = record([], 12)
    outcome.prove()
    assert causes(outcome) == set()
    assert len(outcome.recorded()) >= 11 * FPS


AT_END = 5  # Pictures in that time.
# What a mangled packet reads as may look like another sender's.
LOSS = {GapCause.PACKET_LOSS, GapCause.DAMAGED, GapCause.STREAM_CHANGED}
LOST = {GapCause.CONNECTION_LOST}


@pytest.mark.parametrize(
    ("fault", "expected", "missing"),
    [
        (Fault("drop", 4.0), LOSS, 2),
        (Fault("drop", 4.03, count=40), LOSS, 15),
        (Fault("duplicate", 4.0, count=40), set(), 0),
        (Fault("reorder", 4.0), LOSS, 2),
        (Fault("runt", 4.0, count=3), LOSS, 2),
        (Fault("truncate", 4.0), LOSS, 6),
        (Fault("truncate", 4.0, count=5), LOSS, 12),
        (Fault("long", 4.0), LOSS, 20),
        (Fault("short", 4.0), LOSS, 6),
        (Fault("garbage", 4.0, count=3), LOSS, 6),
        (Fault("delay", 4.0, seconds=3.0), set(), 0),
        (Fault("drip", 4.0, count=20, seconds=2.0), set(), 0),
        (Fault("stall", 4.0, seconds=2.0), {GapCause.STALLED}, 0),
        (Fault("stall", 4.0, seconds=6.0), {GapCause.STALLED}, 8),
        (Fault("withhold", 4.0, seconds=3.0), set(), 0),
        (Fault("restart", 4.0), {GapCause.STREAM_CHANGED}, 6),
        (Fault("reset", 4.0), LOST, 12),
        (Fault("half-close", 4.0), LOST, 12),
    ],
    ids=lambda value: f"{value.kind}-{value.count}" if isinstance(value, Fault) else "",
)
def test_a_fault_loses_nothing_that_is_not_declared(
    fault: Fault, expected: set[GapCause], missing: int
) -> None:
    outcome = record([fault], 12)
    assert outcome.camera.happened == [fault]
    outcome.prove()
    assert bool(causes(outcome)) == bool(expected)
    assert causes(outcome) <= expected
    # Those before the first keyframe are missing in any case.
    assert len(outcome.camera.film.sent) - len(outcome.recorded()) <= missing + 6 + AT_END


@pytest.mark.parametrize(
    ("fault", "expected", "missing"),
    [
        (Fault("drop", 4.03, count=40), LOSS, 15),
        (Fault("duplicate", 4.0, count=40), set(), 0),
        (Fault("reorder", 4.0, count=40), set(), 0),
        (Fault("runt", 4.0, count=3), LOSS, 6),
        (Fault("stall", 4.0, seconds=6.0), {GapCause.STALLED}, 12),
        (Fault("restart", 4.0), {GapCause.STREAM_CHANGED}, 6),
        (Fault("reset", 4.0), LOST, 12),
    ],
    ids=lambda value: value.kind if isinstance(value, Fault) else "",
)
def test_a_fault_over_udp(fault: Fault, expected: set[GapCause], missing: int) -> None:
    outcome = record([fault], 12, udp=True)
    outcome.prove()
    assert bool(causes(outcome)) == bool(expected)
    assert causes(outcome) <= expected
    assert len(outcome.camera.film.sent) - len(outcome.recorded()) <= missing + 6 + AT_END


@pytest.mark.parametrize("ppm", [-500, 500])
def test_a_drifting_clock(ppm: float) -> None:
    outcome = record([Fault("reset", 20.0), Fault("drop", 25.0)], 60, drift_ppm=ppm)
    outcome.prove()
    assert len(outcome.recorded()) >= 59 * FPS
    facts = outcome.sink.closed[1].facts
    drifted = facts["frames"] / FPS * (1 + ppm / 1e6)
    assert facts["media_seconds"] == pytest.approx(drifted, abs=1e-4), "it did drift"


@pytest.mark.parametrize("form", FILMS)
@pytest.mark.parametrize("udp", [False, True], ids=["tcp", "udp"])
@pytest.mark.parametrize("count", [1, 3])
@pytest.mark.parametrize("kind", CODING)
def test_what_the_camera_leaves_out_and_numbers_on_is_declared(
    kind: Kind, count: int, udp: bool, form: Form
) -> None:
    # The second from 4.0 s on begins with the keyframe of 3.84 s, then one comes each 0.24 s.
    for at in (4.0, 4.06):
        outcome = record([Fault(kind, at, count)], 8, udp=udp, form=form)
        outcome.prove()
        assert causes(outcome), "it was noticed"
        assert causes(outcome) <= LOSS
        gone = len(outcome.camera.film.sent) - len(outcome.recorded())
        assert gone <= 6 * count + 6 + AT_END


KINDS: tuple[Kind, ...] = (
    *PACKETS,
    *CODING,
    *("delay", "drip", "stall", "withhold", "restart", "reset", "half-close"),
)
# A datagram comes whole or not at all, and none waits for another.
KINDS_UDP: tuple[Kind, ...] = (
    *("drop", "duplicate", "reorder", "runt"),
    *CODING,
    *("stall", "withhold", "restart", "reset", "half-close"),
)


def faults(kinds: tuple[Kind, ...]) -> st.SearchStrategy[Fault]:
    return st.builds(
        Fault,
        st.sampled_from(kinds),
        st.floats(0, 8).map(lambda at: round(at, 2)),
        st.integers(1, 30),
        st.sampled_from([0.3, 1.0, 2.5, 5.5]),
    )


# A pause makes no picture longer: what a reset loses right behind it is declared.
# It began to count anew in what came at once: times before and after are known by its end only.
@example(
    [Fault("runt", 1.31, 20), Fault("drip", 0.0, 16, 5.5), Fault("duplicate", 2.37, 29, 2.5),
     Fault("restart", 2.37, 16, 0.3)],
    96,
)  # fmt: skip
@example(
    [Fault("short", 2.08, 10), Fault("drip", 5.41, 3), Fault("delay", 0.0, 22, 2.5),
     Fault("withhold", 4.37, 23, 2.5), Fault("restart", 0.89, 12)],
    13,
)  # fmt: skip
# What came at once at the start is one segment: only its end tells when it began.
@example([Fault("drop", 3.0, 1, 0.3), Fault("drip", 0.0, 1, 5.5)], 0)
@example([Fault("stall", 4.82), Fault("reset", 5.87)], 68)
@example([Fault("short", 0.59, 28), Fault("reset", 1.0)], 468)
@example([Fault("cut", 3.34, 1, 0.3)], 0)
@settings(max_examples=25, deadline=None)
@given(st.lists(faults(KINDS), min_size=1, max_size=5), st.integers(0, 100))
def test_faults_together(found: list[Fault], seed: int) -> None:
    record(found, 12, seed=seed).prove()


@settings(max_examples=15, deadline=None)
@given(
    st.lists(faults(KINDS_UDP), min_size=1, max_size=5),
    st.integers(0, 100),
    st.sampled_from(sorted(FILMS)),
)
def test_faults_together_over_udp(found: list[Fault], seed: int, form: Form) -> None:
    record(found, 12, seed=seed, udp=True, form=form).prove()


@settings(max_examples=15, deadline=None)
@given(st.lists(faults(KINDS), min_size=1, max_size=5), st.integers(0, 100))
def test_faults_together_in_h265(found: list[Fault], seed: int) -> None:
    record(found, 12, seed=seed, form="h265").prove()
