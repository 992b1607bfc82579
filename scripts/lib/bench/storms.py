"""Restart storms: short meetings, a SIGKILL every few seconds, a clock that steps both ways.

One site with several rooms, a camera in each. The conductor runs in a process that is killed again
and again; its clock is ours plus an offset that we step, up to an hour, while it runs and between.
Meetings follow one another on that clock; some are reported as a threat. At the end the clock is
stepped past every deadline, and what is left after a minute counts as overdue.

Latency of an erasure: from its deadline, or from the step that jumped over it, to the erasure.
"""

import asyncio
import multiprocessing
import os
import random
import signal
import struct
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from mmap import mmap
from pathlib import Path

from bench import _report
from bench._camera import simulated_camera
from roomwitness.capture import StreamSource
from roomwitness.errors import WitnessError
from roomwitness.policy.words import Booking, MeetingState, RoomPolicy
from roomwitness.vault import age
from roomwitness.vault.inspect import inspect
from roomwitness.witness import Witness
from tests.lib.witness.house import House

_fork = multiprocessing.get_context("forkserver")
_EVERY_S, _LONG_S = 4, 2
_POLICY = RoomPolicy(review_window=timedelta(seconds=2), preflight_lead=timedelta(0))
_STEPS = (0, 0, 1, -1, 5, -5, 30, -30, 3600, -3600)


class Clock:
    """Ours plus an offset in a file that both processes have mapped."""

    def __init__(self, path: Path) -> None:
        if not path.exists():
            path.write_bytes(bytes(8))
        with path.open("r+b") as file:
            self._map = mmap(file.fileno(), 8)

    @property
    def offset(self) -> float:
        return float(struct.unpack("d", self._map[:8])[0])

    def step(self, seconds: float) -> None:
        self._map[:8] = struct.pack("d", self.offset + seconds)

    def __call__(self) -> datetime:
        return datetime.now(UTC) + timedelta(seconds=self.offset)


@dataclass
class Storm:
    """What happened to the clock: from when to when it stepped, in its own time."""

    restarts: int = 0
    jumps: list[tuple[float, float]] = field(default_factory=list)

    def step(self, clock: Clock, seconds: float) -> None:
        before = clock().timestamp()
        clock.step(seconds)
        if seconds > 0:
            self.jumps.append((before, before + seconds))

    def latency(self, deadline: float, erased: float) -> float:
        over = [end for start, end in self.jumps if start <= deadline <= end and erased >= end]
        return erased - max([deadline, *over])


def main(words: Sequence[str] | None = None) -> None:
    parser = _report.parser(__doc__)
    parser.add_argument("--seconds", type=float, default=600.0)
    parser.add_argument("--rooms", type=int, default=6)
    parser.add_argument("--drain", type=float, default=60.0, help="seconds to finish what is due")
    parser.add_argument("--seed", type=int, default=1)
    args = parser.parse_args(words)
    seconds = min(args.seconds, 90.0) if args.quick else args.seconds
    rng = random.Random(args.seed)
    _fork.set_forkserver_preload(["bench.storms"])
    storm = Storm()
    with tempfile.TemporaryDirectory() as folder, simulated_camera() as url:
        root = Path(folder)
        house = House(root / "site")
        house.root.mkdir()
        clock = Clock(root / "clock")
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            child = _start(house, root, url, args.rooms, rng.random())
            for _ in range(rng.randint(1, 3)):
                child.join(rng.uniform(0.5, 2.0))
                storm.step(clock, rng.choice(_STEPS))
            _kill(child)
            storm.restarts += 1
            print(f"\r{storm.restarts} restarts", end="", file=sys.stderr)
        print(file=sys.stderr)
        storm.step(clock, 3 * 3600)
        child = _start(house, root, url, 0, rng.random())
        child.join(args.drain)
        _kill(child)
        _tell(house, root, storm)


def _start(
    house: House, root: Path, url: str, rooms: int, seed: float
) -> multiprocessing.context.ForkServerProcess:
    child = _fork.Process(target=_live, args=(house, root, url, rooms, seed))
    child.start()
    return child


def _kill(child: multiprocessing.context.ForkServerProcess) -> None:
    if child.exitcode is not None:
        raise SystemExit("the conductor ended by itself")
    assert child.pid is not None
    os.kill(child.pid, signal.SIGKILL)
    child.join()


def _live(house: House, root: Path, url: str, rooms: int, seed: float) -> None:
    asyncio.run(_conduct(house, root, url, rooms, random.Random(seed)))


async def _conduct(house: House, root: Path, url: str, rooms: int, rng: random.Random) -> None:
    """The conductor with its rooms; without rooms it only finishes what there is."""
    clock = Clock(root / "clock")
    witness = Witness(house.config, clock=clock, segment_seconds=1.0)
    await witness.start()
    source = StreamSource(url, None, None, False)
    ids = [f"r{number}" for number in range(rooms)]
    await witness.set_rooms([house.room(source, room_id=i, policy=_POLICY) for i in ids])
    while True:
        for number, room_id in enumerate(ids):
            try:
                await witness.reconcile(room_id, _bookings(clock().timestamp() + number))
                if rng.random() < 0.05:
                    held = await witness.report_threat(room_id)
                    with (root / "held").open("a") as file:
                        file.write(held + "\n")
            except WitnessError:
                continue
        await asyncio.sleep(0.3)


def _bookings(now: float) -> list[Booking]:
    """Meetings on a grid of time, so that every restart knows the same ones."""
    grid = int(now // _EVERY_S)
    return [
        Booking(
            uid=str(n),
            start=datetime.fromtimestamp(n * _EVERY_S, UTC),
            end=datetime.fromtimestamp(n * _EVERY_S + _LONG_S, UTC),
        )
        for n in range(grid - 15, grid + 15)
    ]


def _tell(house: House, root: Path, storm: Storm) -> None:
    meetings = {m["id"]: m for m in inspect(house.config.root)["meeting"]}
    erased = [m for m in meetings.values() if m["state"] == MeetingState.ERASED and m["started"]]
    late = sorted(storm.latency(m["deadline"], m["erased"]) for m in erased if m["deadline"])
    held = set((root / "held").read_text().split()) if (root / "held").exists() else set()
    left = [
        m
        for m in meetings.values()
        if m["state"] in (MeetingState.REVIEW, MeetingState.RELEASED, MeetingState.RECORDING)
    ]
    rows = [
        ("meetings that were recorded", sum(bool(m["started"]) for m in meetings.values())),
        ("restarts", storm.restarts),
        ("steps of the clock", len(storm.jumps)),
        ("held", len(held)),
        ("erased before their deadline", sum(value < 0 for value in late)),
    ]
    _report.table("The storm", ("what", "count"), rows)
    figures = {
        "erasure_p99_s": late[len(late) * 99 // 100] if late else None,
        "overdue": len(left),
        "held_erased": sum(not _opens(house, meetings.get(name), name) for name in held),
    }
    goals = {
        "erasure_p99_s": _report.Goal("<=", 60),
        "overdue": _report.Goal("==", 0),
        "held_erased": _report.Goal("==", 0),
    }
    _report.finish(figures, goals)


def _opens(house: House, meeting: dict[str, object] | None, name: str) -> bool:
    """Whether the held meeting is there and its custodian can open it."""
    if meeting is None or meeting["state"] == MeetingState.ERASED:
        return False
    vault = house.vault()
    try:
        vault.export_identities(name, age.Identity.from_string(house.keys.custodian_identity))
    except WitnessError:
        return False
    finally:
        vault.close()
    return True
