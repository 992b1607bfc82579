"""The power goes at random instants: what is on the disk then, of evidence, log and keys.

A site on a disk of its own (an image, ext4) records by a process of its own, over RTSP: a meeting
that is threatened and goes on, and short ones, one behind the other, that are erased. A copy of the
image at one moment is what a power cut would leave then: it is mounted, opened and recovered, and
held against what must hold, as ``scripts/bench kill`` does after a kill. A disk with a cache of its
own may lose more of what was not synced, but nothing that was. Beside it on the same disk
``ffmpeg -c copy`` records the same camera. Needs root: it mounts.

``lost_*_s``: from the cut to the end of the media of the threatened meeting that can be decrypted.
"""

import asyncio
import multiprocessing
import random
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path

import av
import psutil

from bench import _report
from bench._camera import simulated_camera
from bench.kill import Found, Seen, look, reported_in
from roomwitness.capture import StreamSource
from roomwitness.errors import WitnessError
from roomwitness.policy.words import RoomPolicy
from roomwitness.recording.process import in_process
from roomwitness.witness import Witness
from tests import image
from tests.lib.witness.house import House, booking

PEERS = True
GOALS = {
    "lost_max_s": _report.Goal("<=", 3),
    "index_errors": _report.Goal("==", 0),
    "keys_resurrected": _report.Goal("==", 0),
}
_SIZE = 4 << 30  # A sparse file: as much as the bookings are promised.
_LONGEST_S = 1200
_CALM = RoomPolicy(review_window=timedelta(0), preflight_lead=timedelta(0))


def _site(house: House, url: str, cameras: int, answered: Path) -> None:
    """A threatened meeting, and calm ones without end; never returns by itself."""

    async def run() -> None:
        witness = Witness(house.config, segment_seconds=60.0, recording=in_process)
        await witness.start()
        sources = [StreamSource(url, None, None, True) for _ in range(cameras)]
        rooms = [house.room(*sources, room_id=name, policy=_CALM) for name in ("held", "calm")]
        await witness.set_rooms(rooms)
        await witness.reconcile("held", [booking(-0.5, _LONGEST_S, "held")])
        await asyncio.sleep(2)
        meeting = await witness.report_threat("held")
        with answered.open("w") as file:
            file.write(f"{meeting}\n")
        number = 0
        while True:
            number += 1
            with suppress(WitnessError):
                await witness.reconcile("calm", [booking(-0.5, 4, f"b{number}")])
            await asyncio.sleep(6)

    asyncio.run(run())


@contextmanager
def _peer(url: str, place: Path) -> Iterator[Path]:
    """A file that plays from any beginning to any end: MPEG-TS."""
    path = place / "peer.ts"
    command = ["ffmpeg", "-v", "error", "-nostdin", "-rtsp_transport", "tcp", "-i", url]
    with subprocess.Popen(
        [*command, "-c", "copy", "-flush_packets", "1", "-f", "mpegts", path]
    ) as process:
        try:
            yield path
        finally:
            process.kill()


def _seconds(path: Path) -> float:
    """How much of what the peer wrote can be played."""
    if not path.exists() or not path.stat().st_size:
        return 0.0
    times: list[float] = []
    with suppress(av.FFmpegError), av.open(str(path)) as container:
        base = container.streams.video[0].time_base or 0
        times += [float(p.pts * base) for p in container.demux(video=0) if p.pts is not None]
    return times[-1] - times[0] if times else 0.0


@contextmanager
def _disk(root: Path) -> Iterator[Path]:
    """Where the disk is mounted whose image is beside it."""
    with ExitStack() as stack:
        try:
            image.make(root / "disk.img", _SIZE)
            stack.enter_context(image.mounted(root / "disk.img", root / "disk"))
        except OSError as err:
            raise SystemExit(f"no disk can be mounted here: {err}") from None
        yield root / "disk"


@contextmanager
def _recording(house: House, url: str, cameras: int, answered: Path) -> Iterator[None]:
    """A site that records, from the answer to the threat on."""
    context = multiprocessing.get_context("forkserver")
    site = context.Process(target=_site, args=(house, url, cameras, answered))
    site.start()
    while not answered.exists():
        site.join(0.05)
        if not site.is_alive():
            raise SystemExit("the site did not begin to record")
    yield
    apart = psutil.Process(site.pid).children()
    site.kill()
    psutil.wait_procs(apart)  # They seal what is open.


def main(words: Sequence[str] | None = None) -> None:
    parser = _report.parser(__doc__)
    parser.add_argument("--cuts", type=int, default=200)
    parser.add_argument("--cameras", type=int, default=3)
    parser.add_argument("--seed", type=int, default=1)
    args = parser.parse_args(words)
    cuts, rng = 20 if args.quick else args.cuts, random.Random(args.seed)
    print(_report.machine())
    found, seen, peers = Found(), Seen(), []
    began, until = datetime.now(UTC), time.monotonic() + _LONGEST_S - 60
    with tempfile.TemporaryDirectory() as folder, simulated_camera() as url:
        root, copy = Path(folder), House(Path(folder) / "copy")
        answered, picture = root / "answered", root / "copy.img"
        with _disk(root) as disk, _peer(url, disk) as peer:
            house = House(disk, apart=True)
            house.stored.save(house.keys_file)
            copy.keys = house.keys
            with _recording(house, url, args.cameras, answered):
                while found.kills < cuts and time.monotonic() < until:
                    time.sleep(rng.uniform(0.0, 2.0))
                    held, whole = answered.read_text(), _seconds(peer)
                    at = image.cut(root / "disk.img", picture)
                    with image.mounted(picture, copy.root):
                        peers.append(max(0.0, whole - _seconds(copy.root / peer.name)))
                        reported_in(copy).write_text(held)
                        look(copy, began, at, seen, found, held.split().__contains__)
                    found.kills += 1
                    print(f"\r{found.kills} of {cuts} cuts", end="", file=sys.stderr)
    print(file=sys.stderr)
    _tell(found, peers)


def _tell(found: Found, peers: list[float]) -> None:
    rows = [
        ("power cuts", found.kills),
        ("threatened cameras looked at", len(found.losses)),
        ("calm meetings' recordings erased", found.erased),
        *((f"error: {name}", count) for name, count in found.errors.most_common()),
    ]
    _report.table("What was seen", ("what", "count"), rows)
    lost = sorted(found.losses) or [float("nan")]
    figures = {
        "cuts": found.kills,
        "lost_p50_s": statistics.median(lost),
        "lost_p99_s": lost[min(len(lost) - 1, len(lost) * 99 // 100)],
        "lost_max_s": lost[-1],
        "peer_lost_p50_s": statistics.median(peers) if peers else None,
        "peer_lost_max_s": max(peers, default=None),
        "erased": found.erased,
        "index_errors": found.errors.total(),
        "keys_resurrected": found.resurrected,
    }
    _report.finish(figures, GOALS)
