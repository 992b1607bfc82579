"""What each transport costs, and what it loses: TCP, UDP, TLS, the HTTP tunnel.

GStreamer plays one film to N streams of ours, in one process that encrypts to disk, one transport
after the other. What was recorded is decrypted and compared with the film, picture by picture.
"""

import argparse
import contextlib
import json
import tempfile
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import psutil

from bench import _media, _place, _report
from bench._account import Account
from bench.capture import Side, _accounts, _child, _line
from roomwitness.recording.process import MEMORY
from roomwitness.vault import age
from tests.peers import gstreamer
from tests.peers.certificates import make

PEERS = True
GOALS = {"undeclared_lost": _report.Goal("==", 0)}
_NAMES = ("tcp", "udp", "tls", "http")


def _run(
    name: str, film: _media.Film, options: argparse.Namespace, root: Path
) -> tuple[float, Account]:
    """CPU-s a stream-minute, and what became of the pictures."""
    root.mkdir()
    certificate = make(root / "own.pem") if name == "tls" else None
    identity = str(age.generate_identity())
    begun = datetime.now(UTC)
    with contextlib.ExitStack() as stack:
        tls = certificate.path if certificate else None
        url, _ = stack.enter_context(gstreamer(fps=film.fps, loop=film.folder, tls=tls))
        source: dict[str, Any] = {"transport": "tcp" if name == "tls" else name}
        if certificate is not None:
            source["fingerprint"] = certificate.fingerprint
        if name == "http":
            source["tunnel_port"] = urlsplit(url).port
        told = {
            "url": url.replace("/cam", "/loop"),
            "source": source,
            "root": str(root / "vault"),
            "recordings": _place.begin(root / "vault", identity, options.streams),
            "segment_seconds": 60.0,
        }
        child = stack.enter_context(_child("_ours", told, MEMORY))
        _line(child)
        time.sleep(2)
        side = Side([psutil.Process(child.pid)])
        side.begin()
        time.sleep(options.seconds)
        side.end()
        assert child.stdin is not None
        child.stdin.write("\n")
        child.stdin.flush()
        ended = json.loads(_line(child))
    lost = _accounts(_place.vault(root / "vault", identity), ended, film, begun)
    return side.cpu_s / (options.streams * options.seconds / 60), lost


def main(words: Sequence[str] | None = None) -> None:
    """Measure and print."""
    found = _report.parser(__doc__)
    found.add_argument("--streams", type=int, default=16)
    found.add_argument("--seconds", type=float, help="a transport (default 30; quick 10)")
    found.add_argument("--size", default="1920x1080")
    found.add_argument("--mbit", type=float, default=4.0, help="bit rate of a stream, Mbit/s")
    found.add_argument("--only", choices=_NAMES, nargs="+", default=_NAMES)
    options = found.parse_args(words)
    options.seconds = options.seconds or (10.0 if options.quick else 30.0)
    print(f"{_report.machine()}; {options.streams} streams of {options.size}", flush=True)
    figures: dict[str, float | None] = {"streams": options.streams, "seconds": options.seconds}
    rows, undeclared = [], 0
    with tempfile.TemporaryDirectory(prefix="rw-bench-") as place:
        film = _media.make(Path(place) / "film", size=options.size, mbit_s=options.mbit)
        for name in options.only:
            cpu, a = _run(name, film, options, Path(place) / name)
            figures[f"cpu_{name}"] = cpu
            undeclared += a.lost_undeclared + a.damaged
            rows.append((name, cpu, a.recorded, a.lost_declared, a.lost_undeclared, a.damaged))
    head = ("", "CPU-s a stream-minute", "recorded", "lost, declared", "undeclared", "damaged")
    _report.table(f"{options.streams} streams of {film.mbit_s:.1f} Mbit/s", head, rows)
    _report.finish({**figures, "undeclared_lost": undeclared}, GOALS)
