"""How far off the wall-clock time of a picture may be: drift, steps, DST, jitter, our own host.

Hours of recording in injected time through the real segmenter, then some seconds of a real
stream. Each picture's time, asked as anybody may ask it (``roomwitness.vault.wall_time``),
is compared with the moment at which the simulated camera took it.
"""

import asyncio
from collections.abc import Sequence
from dataclasses import replace

from bench import _report
from roomwitness.capture import Recorder
from roomwitness.capture.hostclock import HostClock
from tests.camera import Camera, CameraConfig
from tests.lib.capture.clockworld import SCENES, percentile, run
from tests.lib.capture.memory import MemorySink


async def _real(seconds: float) -> float:
    """The greatest error of the camera's offset, in ms, of a real stream on this machine."""
    sink, clock = MemorySink(), HostClock()
    async with Camera(CameraConfig(width=160, height=96, gop=5)) as camera:
        await camera.fault("clock_offset_s", -37.5)
        recorder = Recorder(camera.source(), sink, start=clock(), segment_seconds=1.0, clock=clock)
        task = asyncio.create_task(recorder.run())
        await asyncio.sleep(seconds)
        recorder.stop()
        await task
    known = [s.facts["clock_offset_s"] for s in sink.closed]
    return float(max(abs(offset + 37.5) * 1000 for offset in known if offset is not None))


def main(words: Sequence[str] | None = None) -> None:
    args = _report.parser(__doc__).parse_args(words)
    rows, p99, worst, offset, uncovered = [], 0.0, 0.0, 0.0, 0.0
    for name, weather in SCENES.items():
        scene = replace(weather, fps=5.0, gop=10) if args.quick else weather
        found = run(scene)
        first, last = percentile(found.errors, 0.99) * 1000, percentile(found.errors, 1) * 1000
        camera = percentile(found.offsets, 1) * 1000 if found.offsets else None
        written = percentile(found.uncorrected, 1) * 1000
        hole = found.sink.uncovered(found.start, found.end).total_seconds()
        p99, worst = max(p99, first), max(worst, last)
        offset, uncovered = max(offset, camera or 0.0), max(uncovered, hole)
        rows.append((name, first, last, written, camera, len(found.sink.clocks), len(found.errors)))
    _report.table(
        "One hour of each, on this: " + _report.machine(),
        ("scene", "p99 ms", "max ms", "max ms as first written", "camera's offset, max ms",
         "clock events", "pictures"),
        rows,
    )  # fmt: skip
    real = asyncio.run(_real(6.0 if args.quick else 12.0))
    goal = _report.Goal("<=", 100)
    _report.finish(
        {
            "error_p99_ms": p99,
            "error_max_ms": worst,
            "camera_offset_error_max_ms": offset,
            "real_stream_offset_error_max_ms": real,
            "uncovered_max_s": uncovered,
        },
        {
            "error_p99_ms": goal,
            "error_max_ms": goal,
            "camera_offset_error_max_ms": goal,
            "real_stream_offset_error_max_ms": goal,
        },
    )
