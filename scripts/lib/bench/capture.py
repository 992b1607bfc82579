"""Our capture beside ``ffmpeg -c copy``: processor, memory, loss, and Home Assistant's loop.

One independent server (GStreamer) plays a 1080p film of 4 Mbit/s to N streams of ours, in the
recording process that encrypts to disk, and to N ffmpeg processes at the same time. Then a real
Home Assistant with the integration records the same N streams, and its event loop is watched. All
that was recorded is decrypted and compared with the film, picture by picture.
"""

import argparse
import contextlib
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import psutil

from bench import _media, _place, _report
from bench._account import Account, account
from bench._devices import devices
from roomwitness.recording.process import MEMORY
from roomwitness.vault import age
from roomwitness.vault.store import Vault
from tests.peers import gstreamer

PEERS = True
GOALS = {
    "cpu_ratio": _report.Goal("<=", 0.33),
    "memory_ratio": _report.Goal("<=", 0.1),
    "undeclared_lost": _report.Goal("==", 0),
    "loop_blocked_p99_ms": _report.Goal("<=", 5),
    "loop_blocked_max_ms": _report.Goal("<=", 20),
}
_SAMPLES = 10
_TICK_S = 0.01  # The kernel counts no less: a tiny run of ffmpeg may show none at all.


type Figures = dict[str, float | None]


@dataclass
class Side:
    """The processes of one side, and what they used."""

    processes: list[psutil.Process]
    cpu_s: float = 0.0
    pss: list[int] = field(default_factory=list)
    uss: list[int] = field(default_factory=list)
    _begun: float = 0.0

    def cpu(self) -> float:
        times = [p.cpu_times() for p in self.processes]
        return float(sum(t.user + t.system for t in times))

    def begin(self) -> None:
        self._begun = self.cpu()

    def sample(self) -> None:
        infos = [p.memory_full_info() for p in self.processes]
        self.pss.append(sum(i.pss for i in infos))
        self.uss.append(sum(i.uss for i in infos))

    def end(self) -> None:
        self.cpu_s = self.cpu() - self._begun


@contextlib.contextmanager
def _child(
    module: str, told: dict[str, Any], environment: dict[str, str] | None = None
) -> Iterator[subprocess.Popen[str]]:
    """A process of ours; it dies with the block, and its log is shown only if that fails."""
    with (
        tempfile.TemporaryFile("w+") as log,
        subprocess.Popen(
            [sys.executable, "-m", f"bench.{module}"],
            env={**os.environ, **(environment or {})},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=log,
            text=True,
        ) as process,
    ):
        try:
            assert process.stdin is not None
            process.stdin.write(json.dumps(told) + "\n")
            process.stdin.flush()
            yield process
        except BaseException:
            log.seek(0)
            sys.stderr.write(log.read())
            raise
        finally:
            process.kill()


def _line(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None
    line = process.stdout.readline()
    if not line:
        raise SystemExit("the recording process ended")
    return line


@contextlib.contextmanager
def _ffmpegs(url: str, count: int, folder: Path) -> Iterator[list[subprocess.Popen[bytes]]]:
    folder.mkdir()
    running = []
    try:
        for number in range(count):
            out = folder / f"{number}-%02d.mp4"
            command = ["ffmpeg", "-nostdin", "-v", "fatal", "-rtsp_transport", "tcp", "-i", url]
            command += ["-an", "-c", "copy", "-f", "segment", "-segment_time", "60"]
            command += ["-segment_wrap", "3", "-reset_timestamps", "1", str(out)]
            running.append(subprocess.Popen(command))
            time.sleep(0.05)
        while len(list(folder.glob("*.mp4"))) < count:
            time.sleep(0.1)
        yield running
    finally:
        for process in running:
            process.kill()
            process.wait()


def _beside(
    url: str, film: _media.Film, streams: int, seconds: float, root: Path
) -> tuple[Side, Side, Account]:
    """Ours and ffmpeg at the same time."""
    root.mkdir()
    identity = str(age.generate_identity())
    begun = datetime.now(UTC)
    told = {
        "url": url,
        "root": str(root / "vault"),
        "recordings": _place.begin(root / "vault", identity, streams),
        "segment_seconds": 60.0,
    }
    with _child("_ours", told, MEMORY) as child, _ffmpegs(url, streams, root / "ffmpeg") as peers:
        assert _line(child) == "ready\n"
        time.sleep(3)
        ours = Side([psutil.Process(child.pid)])
        theirs = Side([psutil.Process(p.pid) for p in peers])
        sides = (ours, theirs)
        for side in sides:
            side.begin()
        for _ in range(_SAMPLES):
            time.sleep(seconds / _SAMPLES)
            for side in sides:
                side.sample()
        for side in sides:
            side.end()
        if any(p.poll() is not None for p in peers):
            raise SystemExit("an ffmpeg process ended: there is nothing to compare with")
        assert child.stdin is not None
        child.stdin.write("\n")
        child.stdin.flush()
        ended = json.loads(_line(child))
    store = _place.vault(root / "vault", identity)
    return ours, theirs, _accounts(store, ended, film, begun)


def _accounts(
    store: Vault, ended: list[tuple[str, float]], film: _media.Film, begun: datetime
) -> Account:
    total = Account()
    try:
        started = {r.id: r.started for m in store.meetings() for r in store.recordings(m.id)}
        for recording, end in ended:
            stop = datetime.fromtimestamp(end, UTC)
            total.add(account(store, recording, film, started.get(recording, begun), stop))
    finally:
        store.close()
    return total


def _home(
    url: str, film: _media.Film, told: dict[str, Any], root: Path
) -> tuple[dict[str, Any], Account]:
    """Home Assistant records; nothing beside it but the cameras."""
    root.mkdir()
    begun = datetime.now(UTC)
    with _child("_home", {**told, "url": url, "root": str(root)}) as p:
        told = json.loads(_line(p))
    site = age.Identity.from_string(told["identity"])
    root, ephemeral, held = map(Path, told["places"])
    store = Vault(root, ephemeral, held, site, (site.recipient,))
    store.open()
    return told, _accounts(store, told["ended"], film, begun)


def _percentiles(late: Sequence[float]) -> tuple[float, float, float]:
    cuts = statistics.quantiles(late, n=100)
    return cuts[49], cuts[98], max(late)


def _options(words: Sequence[str] | None) -> argparse.Namespace:
    found = _report.parser(__doc__)
    found.add_argument("--streams", type=int, default=16)
    found.add_argument("--seconds", type=float, help="of each part (default 60; quick 15)")
    found.add_argument("--size", default="1920x1080")
    found.add_argument("--mbit", type=float, default=4.0, help="bit rate of a stream, Mbit/s")
    found.add_argument("--slices", type=int, default=2, help="slices, so NAL units, of a picture")
    found.add_argument("--no-home", action="store_true", help="leave Home Assistant's part out")
    found.add_argument("--home-only", action="store_true", help="only Home Assistant's part")
    found.add_argument(
        "--no-onvif",
        dest="onvif",
        action="store_false",
        help="cameras that have a stream and no more",
    )
    found.add_argument("--folder", type=Path, help="where to record (default: a temporary one)")
    options = found.parse_args(words)
    options.seconds = options.seconds or (15.0 if options.quick else 60.0)
    return options


def main(words: Sequence[str] | None = None) -> None:
    """Measure and print."""
    options = _options(words)
    n, seconds = options.streams, options.seconds
    print(f"{_report.machine()}; {n} streams of {options.size}, {seconds:g} s a part", flush=True)
    figures: Figures = {"streams": n, "seconds": seconds, **dict.fromkeys(GOALS)}
    accounts: dict[str, Account] = {}
    with contextlib.ExitStack() as stack:
        place = tempfile.TemporaryDirectory(prefix="rw-bench-", dir=options.folder)
        root = Path(stack.enter_context(place))
        film = _media.make(
            root / "film", size=options.size, mbit_s=options.mbit, slices=options.slices
        )
        url, server = stack.enter_context(gstreamer(fps=film.fps, loop=film.folder))
        url = url.replace("/cam", "/loop")
        if not options.home_only:
            ours, theirs, accounts["library"] = _beside(url, film, n, seconds, root / "beside")
            _compare(ours, theirs, film, figures)
            shutil.rmtree(root / "beside")  # It may be tens of gigabytes.
        if not options.no_home:
            ports = stack.enter_context(devices(n)) if options.onvif else []
            asked = {"streams": n, "seconds": seconds, "ports": ports, "server": server.pid}
            told, accounts["in Home Assistant"] = _home(url, film, asked, root / "home")
            _blocked(told, figures)
    figures["undeclared_lost"] = sum(a.lost_undeclared + a.damaged for a in accounts.values())
    rows = [
        (name, a.recorded, a.lost_declared, a.lost_undeclared, a.damaged, a.gaps)
        for name, a in accounts.items()
    ]
    head = ("pictures", "recorded", "lost, declared", "lost, undeclared", "damaged", "gaps")
    _report.table("Against the film, picture by picture", head, rows)
    _report.finish(figures, GOALS)


def _compare(ours: Side, theirs: Side, film: _media.Film, figures: Figures) -> None:
    streams, seconds = figures["streams"] or 0, figures["seconds"] or 0
    minutes = streams * seconds / 60
    rows = [
        (name, s.cpu_s / minutes, s.pss[-1] / 1e6, s.uss[-1] / 1e6, (s.uss[-1] - s.uss[0]) / 1e6)
        for name, s in (("ours, encrypting", ours), ("ffmpeg -c copy", theirs))
    ]
    head = ("", "CPU-s a stream-minute", "PSS MB", "USS MB", "USS growth MB")
    _report.table(f"{streams} streams of {film.mbit_s:.1f} Mbit/s, both at once", head, rows)
    figures["cpu_ratio"] = ours.cpu_s / max(theirs.cpu_s, _TICK_S)
    figures["memory_ratio"] = ours.pss[-1] / theirs.pss[-1]
    # By the pages that nobody shares: what is shared weighs more when others end.
    figures["memory_growth_mb"] = (ours.uss[-1] - ours.uss[0]) / 1e6
    # What is still growing once everything has been used for a while.
    figures["growth_mb"] = (ours.uss[-1] - ours.uss[len(ours.uss) // 2]) / 1e6


def _blocked(told: dict[str, Any], figures: Figures) -> None:
    late = {phase: _percentiles(ms) for phase, ms in told["late_ms"].items()}
    rows = [(phase, *found) for phase, found in late.items()]
    head = ("Home Assistant's loop, late by ms", "p50", "p99", "max")
    _report.table("A 5 ms timer in Home Assistant's event loop", head, rows)
    for name, cpu, uss in (
        ("Its", "cpu", "uss"),
        ("The recording", "recorder_cpu", "recorder_uss"),
    ):
        before, after = told[f"{uss}_before"] / 1e6, told[uss] / 1e6
        print(f"{name} process: {told[cpu]:.2f} cores; {before:.0f} MB before, {after:.0f} after.")
    print(f"Motion that cameras told and entities showed: {told['motion_events']}.")
    print(f"Longest garbage collection of Home Assistant's: {told['collection_ms']:.1f} ms.")
    _, p99, worst = late["recording"]
    figures["loop_blocked_p99_ms"], figures["loop_blocked_max_ms"] = p99, worst
    figures["loop_blocked_start_ms"] = late["starting"][2]
    figures["loop_blocked_outage_ms"] = late["outage"][2]
    figures["loop_blocked_end_ms"] = late["ending"][2]
