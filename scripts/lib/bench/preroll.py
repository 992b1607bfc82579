"""Memory of pre-roll: what a watched camera keeps in memory, at several bit rates.

Pictures of the right size go through the real ring in injected time, a minute of each camera; then
the process's own growth (resident memory) is divided by the cameras, beside what the ring counts.
"""

import gc
import itertools
import os
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from datetime import UTC, datetime, timedelta
from multiprocessing import get_context
from pathlib import Path

from bench import _report
from roomwitness.capture import PreRoll
from roomwitness.capture.codecs import AccessUnit
from roomwitness.capture.codecs.h264 import H264Depacketizer
from roomwitness.capture.preroll import MAX_BYTES, MAX_SECONDS
from roomwitness.capture.rtp import Track

GOALS = {
    "memory_mb_per_camera_at_4_mbit": _report.Goal("<=", 10),
    "memory_mb_per_camera_max": _report.Goal("<=", MAX_BYTES / 1e6 * 1.15),
}
_RATES = (2.0, 4.0, 8.0, 16.0, 32.0)
_FPS, _GOP, _SOUND_S = 25, 50, 0.064
_START = datetime(2026, 1, 1, tzinfo=UTC)


def _resident() -> int:
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def _fill(ring: PreRoll, mbit: float, seconds: float) -> None:
    """A keyframe is as heavy as ten other pictures."""
    share = mbit * 1e6 / 8 * (_GOP / _FPS) / (_GOP + 9)
    video = Track(96, 90000, H264Depacketizer(lambda _unit: None))
    sound = Track(97, 16000, H264Depacketizer(lambda _unit: None))
    next_sound = 0.0
    for number in itertools.count():
        at = number / _FPS
        if at >= seconds:
            return
        key, now = number % _GOP == 0, _START + timedelta(seconds=at)
        size = round(share * (10 if key else 1))
        packets = [os.urandom(16) * (size // 64) for _ in range(4)]
        unit = AccessUnit(round(at * 90000), packets, size, key=key, picture=True)
        ring.picture(unit, video, now, at)
        while next_sound <= at:
            ring.sound(round(next_sound * 16000), bytes(256), sound, video, now, at)
            next_sound += _SOUND_S


def _one(mbit: float, cameras: int) -> tuple[object, ...]:
    gc.collect()
    before = _resident()
    rings = [PreRoll(MAX_SECONDS) for _ in range(cameras)]
    for ring in rings:
        ring.connected(None)
        _fill(ring, mbit, 60.0)
    grown = (_resident() - before) / cameras / 1e6
    counted = sum(ring.bytes for ring in rings) / cameras / 1e6
    newest = 60.0 - 1 / _FPS
    kept = newest - min((r.since - _START).total_seconds() for r in rings if r.since)
    return mbit, cameras, kept, counted, grown


def main(words: Sequence[str] | None = None) -> None:
    """Measure and print."""
    options = _report.parser(__doc__).parse_args(words)
    cameras = 4 if options.quick else 16
    print(_report.machine(), flush=True)
    # Each in a process of its own: what one let go of would be used by the next.
    with ProcessPoolExecutor(1, get_context("spawn"), max_tasks_per_child=1) as pool:
        rows = list(pool.map(_one, _RATES, itertools.repeat(cameras)))
    head = ("Mbit/s", "cameras", "seconds kept", "counted MB a camera", "resident MB a camera")
    _report.table("Pre-roll in memory", head, rows)
    figures: dict[str, float | None] = {
        "memory_mb_per_camera_at_4_mbit": float(str(rows[_RATES.index(4.0)][4])),
        "memory_mb_per_camera_max": max(float(str(row[4])) for row in rows),
        "seconds_max": max(float(str(row[2])) for row in rows),
    }
    _report.finish(figures, GOALS)
