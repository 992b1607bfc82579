"""Outages of a second: how long the recording's gap is, and whether each is declared.

A simulated camera refuses connections, cuts them, or goes silent while it stays connected; a
GStreamer server is frozen. The recorder is the real one, with its own time limits. Holes are looked
for in the recorded pictures, by an independent reader of MP4, and held against the declared gaps.
"""

import argparse
import asyncio
import io
import itertools
import signal
import statistics
from collections.abc import Awaitable, Callable, Sequence
from datetime import UTC, datetime, timedelta

import av

from bench import _report
from roomwitness.capture import Recorder, StreamSource, backoff
from tests.camera import Camera, CameraConfig
from tests.lib.capture.memory import MemorySink
from tests.peers import gstreamer

PEERS = True
GOALS = {"gap_p99_s": _report.Goal("<=", 3), "undeclared_gaps": _report.Goal("==", 0)}
_OUTAGE_S = 1.0  # Each befalls a steady connection; a camera that flaps is another matter.
_HOLE_S = 0.5  # Less is a late picture.

type Outage = Callable[[], Awaitable[None]]


def _holes(sink: MemorySink) -> list[tuple[datetime, datetime]]:
    """Where two pictures that follow each other are too far apart."""
    times: list[datetime] = []
    for segment in sink.closed:
        with av.open(io.BytesIO(segment.data), "r") as container:
            base = container.streams.video[0].time_base or 0
            times += [
                segment.facts["start"] + timedelta(seconds=float(packet.pts * base))
                for packet in container.demux(video=0)
                if packet.size and packet.pts is not None
            ]
    times.sort()
    return [(a, b) for a, b in itertools.pairwise(times) if (b - a).total_seconds() > _HOLE_S]


def _declared(sink: MemorySink, hole: tuple[datetime, datetime]) -> bool:
    """Whether gaps cover the hole, but for a late picture at either end."""
    slack = timedelta(seconds=_HOLE_S)
    inside = [(a, b) for a, b, _, _ in sink.gaps if b > hole[0] and a < hole[1]]
    at = hole[0]
    for begin, end in sorted(inside):
        if begin - at > slack:
            return False
        at = max(at, end)
    return bool(inside) and hole[1] - at <= slack


async def _run(source: StreamSource, outage: Outage, count: int) -> tuple[list[float], int, int]:
    """Seconds of each hole, how many are not declared, and how many gaps were declared."""
    sink = MemorySink()
    recorder = Recorder(source, sink, start=datetime.now(UTC), segment_seconds=10)
    task = asyncio.create_task(recorder.run())

    async def flowing() -> None:
        frames = sink.statuses[-1].frames if sink.statuses else 0
        async with asyncio.timeout(60):
            while not (  # noqa: ASYNC110 (the recorder reports to a sink, not to us)
                sink.statuses
                and sink.statuses[-1].state == "recording"
                and sink.statuses[-1].frames > frames
            ):
                await asyncio.sleep(0.05)

    await flowing()
    first = len(sink.gaps)
    for _ in range(count):
        await outage()
        await flowing()
        await asyncio.sleep(backoff.STEADY_S + 1)
    recorder.stop()
    await task
    holes = _holes(sink)
    lengths = [(end - begin).total_seconds() for begin, end in holes]
    return lengths, sum(not _declared(sink, hole) for hole in holes), len(sink.gaps) - first


async def _simulated(kind: str, count: int) -> tuple[list[float], int, int]:
    async with Camera(CameraConfig(width=320, height=180)) as camera:

        async def outage() -> None:
            if kind == "refuses":
                await camera.fault("refuse_rtsp")
                await asyncio.sleep(_OUTAGE_S)
                await camera.fault("accept_rtsp")
            elif kind == "cuts":
                await camera.fault("drop")
            else:
                await camera.fault("stall", True)
                await asyncio.sleep(_OUTAGE_S)
                await camera.fault("stall", False)

        return await _run(camera.source(audio=False), outage, count)


async def _frozen(count: int) -> tuple[list[float], int, int]:
    with gstreamer(size="320x180") as (url, process):

        async def outage() -> None:
            process.send_signal(signal.SIGSTOP)
            await asyncio.sleep(_OUTAGE_S)
            process.send_signal(signal.SIGCONT)

        return await _run(StreamSource(url.replace("/cam", "/silent")), outage, count)


async def _measure(count: int) -> None:
    rows: list[tuple[object, ...]] = []
    every: list[float] = []
    bare = 0
    kinds: tuple[tuple[str, Callable[[], Awaitable[tuple[list[float], int, int]]]], ...] = (
        ("camera refuses for 1 s", lambda: _simulated("refuses", count)),
        ("camera cuts the connection", lambda: _simulated("cuts", count)),
        ("camera silent for 1 s", lambda: _simulated("silent", count)),
        ("GStreamer frozen for 1 s", lambda: _frozen(count)),
    )
    for name, run in kinds:
        lengths, undeclared, gaps = await run()
        every += lengths
        bare += undeclared
        middle = statistics.median(lengths) if lengths else 0.0
        rows.append((name, count, len(lengths), gaps, undeclared, middle, max(lengths, default=0)))
    head = ("", "outages", "holes", "gaps declared", "undeclared", "p50 s", "max s")
    _report.table("Holes in the recording, after each outage", head, rows)
    p99 = statistics.quantiles(every, n=100)[98] if len(every) > 1 else max(every, default=0.0)
    figures: dict[str, float | None] = {
        "outages": 4 * count,
        "gap_p50_s": statistics.median(every) if every else 0.0,
        "gap_p99_s": min(p99, max(every, default=0.0)),
        "gap_max_s": max(every, default=0.0),
        "undeclared_gaps": bare,
    }
    _report.finish(figures, GOALS)


def _options(words: Sequence[str] | None) -> argparse.Namespace:
    found = _report.parser(__doc__)
    found.add_argument("--outages", type=int, help="of each kind (default 25; quick 5)")
    options = found.parse_args(words)
    options.outages = options.outages or (5 if options.quick else 25)
    return options


def main(words: Sequence[str] | None = None) -> None:
    """Measure and print."""
    options = _options(words)
    print(f"{_report.machine()}; {options.outages} outages of each kind", flush=True)
    asyncio.run(_measure(options.outages))
