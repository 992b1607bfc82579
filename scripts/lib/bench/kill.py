"""SIGKILL of the recording process at random instants: what is lost, and what comes back.

Each worker has a site of its own, another one after every hundred kills. A cycle: the whole
conductor starts in a fresh process, records a booking with several cameras over RTSP and erases the
cycle before (its booking is gone); it is killed at a random instant; then the vault is opened,
recovered and looked at from outside. Cameras are recorded in a thread of the process that is
killed, in every tenth cycle as in Home Assistant: by a process of its own, which is killed together
with it.

Lost seconds of a camera: from the end of the media that can be decrypted to the kill. A camera
that had sent no picture yet has nothing to lose. Wraps of erased meetings' keys are searched for in
every byte of the site's folder: of those whose erasure is in the log also before anything is opened
that could mend it. Now and then a threat is reported: once that was answered the hold must be there
after every later kill, and a custodian's identity must open the evidence.
"""

import argparse
import asyncio
import base64
import io
import json
import multiprocessing
import os
import random
import signal
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import av
import psutil

from bench import _left, _report
from bench._camera import simulated_camera
from roomwitness.capture import StreamSource
from roomwitness.custody import SiteSigner, verify_log
from roomwitness.policy.retention import due
from roomwitness.policy.words import MeetingState, RoomPolicy
from roomwitness.vault import Recording, age
from roomwitness.vault.store import Vault
from roomwitness.witness.erasures import Due, Erasures
from roomwitness.witness.ledger import Ledger
from roomwitness.witness.leftovers import Told
from tests.lib.witness.house import ORIGIN, House, booking

_POLICY = RoomPolicy(review_window=timedelta(0), preflight_lead=timedelta(0))
# So that machines with few cores reach 10,000: another Python for each kill would be most of it.
_APART_EVERY = 10
_SITE_CYCLES = 100
_THREATS = 0.2  # Of the cycles.
_EXACT_S = 0.1  # A picture is shown for so long, at ten a second.
_fork = multiprocessing.get_context("forkserver")


@dataclass
class Found:
    """What all workers saw."""

    losses: list[float] = field(default_factory=list)
    errors: Counter[str] = field(default_factory=Counter)
    kills: int = 0
    erased: int = 0
    threats: int = 0
    resurrected: int = 0
    lock: threading.Lock = field(default_factory=threading.Lock)


def main(words: Sequence[str] | None = None) -> None:
    parser = _report.parser(__doc__)
    parser.add_argument("--kills", type=int, default=10_000)
    parser.add_argument("--workers", type=int, default=6 * (os.cpu_count() or 1))
    parser.add_argument("--cameras", type=int, default=3)
    parser.add_argument("--longest", type=float, default=4.0, help="seconds until the kill")
    parser.add_argument("--seed", type=int, default=1)
    args = parser.parse_args(words)
    kills = 300 if args.quick else args.kills
    _fork.set_forkserver_preload(["bench.kill"])
    found = Found()
    with tempfile.TemporaryDirectory() as folder, simulated_camera() as url:
        threads = [
            threading.Thread(
                target=_worker,
                args=(Path(folder) / str(n), url, args, random.Random(args.seed + n), found, kills),
            )
            for n in range(args.workers)
        ]
        for thread in threads:
            thread.start()
        while any(thread.is_alive() for thread in threads):
            time.sleep(5)
            print(f"\r{found.kills} of {kills} kills", end="", file=sys.stderr)
        print(file=sys.stderr)
    _tell(found)


def _tell(found: Found) -> None:
    errors = found.errors.total()
    lost = sorted(found.losses) or [0.0]
    p50, p99 = (lost[min(len(lost) - 1, len(lost) * part // 100)] for part in (50, 99))
    rows = [
        ("kills", found.kills),
        ("cameras that had sent a picture", len(found.losses)),
        ("meetings' recordings erased", found.erased),
        ("threats that were answered", found.threats),
        *((f"error: {name}", count) for name, count in found.errors.most_common()),
    ]
    _report.table("What was seen", ("what", "count"), rows)
    figures = {
        "kills": found.kills,
        "lost_p50_s": p50,
        "lost_p99_s": p99,
        "lost_max_s": lost[-1],
        "index_errors": errors,
        "keys_resurrected": found.resurrected,
    }
    none = _report.Goal("==", 0)
    goals = {
        "lost_max_s": _report.Goal("<=", 1),
        "index_errors": none,
        "keys_resurrected": none,
    }
    _report.finish(figures, goals)


@dataclass
class Seen:
    """What is known of a site: recordings that are not erased (their meeting, pieces of their
    wraps), pieces of what is, and meetings that a threat held."""

    live: dict[str, tuple[str, list[bytes]]] = field(default_factory=dict)
    gone: dict[str, list[bytes]] = field(default_factory=dict)
    reported: set[str] = field(default_factory=set)


def _record(house: House, url: str, cameras: int, uid: str, threat_after: float | None) -> None:
    """The recording process; never returns by itself."""

    async def run() -> None:
        sources = [StreamSource(url, None, None, True) for _ in range(cameras)]
        room = house.room(*sources, policy=_POLICY)
        witness = await house.started(room)
        await witness.reconcile("r1", [booking(-0.5, 600, uid)])
        if threat_after is not None:
            await asyncio.sleep(threat_after)
            meeting = await witness.report_threat("r1")
            with reported_in(house).open("a") as file:
                file.write(f"{meeting}\n")
        await asyncio.sleep(60)

    asyncio.run(run())


def reported_in(house: House) -> Path:
    """The file of the meetings of which a threat was reported, once that was answered."""
    return house.root / "reported"


def _worker(
    root: Path, url: str, args: argparse.Namespace, rng: random.Random, found: Found, kills: int
) -> None:
    os.nice(10)  # Of this thread: looking takes nothing from those who record.
    house, cycle = House(root), 0
    seen = Seen()
    while True:
        if cycle % _SITE_CYCLES == 0:  # Looking at all of a site takes ever longer.
            house, seen = House(root / str(cycle)), Seen()
            house.root.mkdir(parents=True)
        with found.lock:
            if found.kills >= kills:
                return
            found.kills += 1
        cycle += 1
        apart = cycle % _APART_EVERY == 0
        there = replace(house, apart=apart)
        threat = rng.uniform(0, args.longest / 2) if rng.random() < _THREATS else None
        child = _fork.Process(target=_record, args=(there, url, args.cameras, f"b{cycle}", threat))
        began = datetime.now(UTC)
        child.start()
        child.join(rng.uniform(0.05, args.longest))
        if child.exitcode is not None:
            with found.lock:
                found.errors["the recording process ended by itself"] += 1
            continue
        assert child.pid is not None
        recorders = psutil.Process(child.pid).children() if apart else []
        for recorder in recorders:
            recorder.kill()
        os.kill(child.pid, signal.SIGKILL)
        at = time.time()
        child.join()
        look(house, began, at, seen, found)


def look(
    house: House,
    began: datetime,
    at: float,
    seen: Seen,
    found: Found,
    counts: Callable[[str], bool] = lambda _meeting: True,
) -> None:
    """Open what the kill left and hold it against what must hold; what it cost recordings of
    meetings that count."""
    begun = _begun(house)
    problems: list[str] = []
    # Before anything is opened: that may roll back, and destroy, what should have been gone.
    erased = _erased(house)
    logged = {r: wraps for r, (meeting, wraps) in seen.live.items() if meeting in erased}
    back = _left.still_there(house.root, logged) | _in_stores(house, seen)
    before, seen.reported = seen.reported, _answered(house)
    vault = house.vault()
    try:
        problems += _finish(house, vault)
        problems += [line.split(" ")[0] for line in vault.check()]
        problems += _evidence(house, vault, seen.reported)
        live = {m.id for m in vault.meetings() if m.state is not MeetingState.ERASED}
        recordings = [r for meeting in live for r in vault.recordings(meeting)]
        losses = [
            at - end
            for r in recordings
            # What an earlier kill broke off was not being recorded when this one came.
            if r.ended is None
            and r.started >= began
            and counts(r.meeting_id)
            and (end := _end(vault, r, begun, problems)) is not None
        ]
        wraps = {r.id: (r.meeting_id, _left.pieces(vault, r.id)) for r in recordings}
    finally:
        vault.close()
    try:
        verify_log(house.config.root / "custody")
    except Exception as err:
        problems.append(f"custody log: {type(err).__name__}")
    gone = {recording: seen.live[recording][1] for recording in seen.live.keys() - wraps.keys()}
    seen.live, seen.gone = wraps, seen.gone | gone
    back |= _left.still_there(house.root, gone) | _in_stores(house, seen)
    with found.lock:
        found.losses += losses
        found.errors.update(problems)
        found.erased += len(gone)
        found.threats += len(seen.reported - before)
        found.resurrected += len(back)


def _erased(house: House) -> set[str]:
    """Meetings of which the log says that they are erased."""
    path = house.config.root / "custody" / "log.jsonl"
    lines = path.read_bytes().splitlines(keepends=True) if path.exists() else []
    whole = [line for line in lines if line.endswith(b"\n") and b'"erased"' in line]
    return {entry["meeting"] for entry in map(json.loads, whole) if entry["kind"] == "erased"}


def _in_stores(house: House, seen: Seen) -> set[str]:
    """What of all that was ever erased is in a key store again."""
    stores = house.config.ephemeral_dir, house.config.held_dir
    return {r for store in stores for r in _left.still_there(store, seen.gone)}


def _answered(house: House) -> set[str]:
    """Meetings of which the recording process had the answer that they are held."""
    path = reported_in(house)
    lines = path.read_text().splitlines(keepends=True) if path.exists() else []
    return {line.strip() for line in lines if line.endswith("\n")}


def _evidence(house: House, vault: Vault, reported: set[str]) -> list[str]:
    """Hold what was reported against what is there, with a custodian's identity alone."""
    custodian = age.Identity.from_string(house.keys.custodian_identity)
    problems = []
    held = {m.id for m in vault.meetings() if m.held}
    problems += ["a reported threat is not held"] * len(reported - held)
    for meeting in sorted(reported & held):
        try:
            for recording, identity in vault.export_identities(meeting, custodian).items():
                for segment in vault.segments(recording):
                    with segment.path.open("rb") as source:
                        for _ in age.decrypt_stream(source, [age.Identity.from_string(identity)]):
                            pass
        except Exception as err:
            problems.append(f"evidence does not open: {type(err).__name__}")
    return problems


def _finish(house: House, vault: Vault) -> list[str]:
    """As the next start does, and its first tick: an erasure that the kill broke off is finished.

    Gives what index and log then tell differently.
    """
    signer = SiteSigner.from_private_bytes(
        ORIGIN, base64.b64decode(house.config.keys.log_private_key)
    )
    ledger = Ledger(vault, house.config.root / "custody", signer, ORIGIN)
    now = datetime.now(UTC)
    ledger.open(now)
    account = Told(ledger.log, ledger.folder, signer.vkey, now)
    ledger.recordings.recovered(vault.recover(account), now)
    unlisted = ["recordings that are not listed"] * bool(vault.unlisted)
    Erasures(vault, ledger, ORIGIN).run(
        [Due(meeting, "", _POLICY) for meeting in due(ledger.meetings, now)], now
    )
    found = ledger.disagreements()
    ledger.close()
    return [*unlisted, *sorted(found)]


def _begun(house: House) -> dict[str, float]:
    """Of each recording's open segment when its first picture came (it is in the file's name)."""
    parts = (house.config.root / "segments").glob("*/*.part")
    return {path.parent.name: int(path.name.split("-")[0]) / 1000 for path in parts}


def _end(
    vault: Vault, recording: Recording, begun: dict[str, float], problems: list[str]
) -> float | None:
    """Up to when the recording's media can be played; None if no picture had come."""
    segments = vault.segments(recording.id)
    if not segments:
        return begun.get(recording.id)
    last = segments[-1]
    try:
        data = b"".join(vault.read_segment(last))
        with av.open(io.BytesIO(data), "r") as media:
            stream = media.streams.video[0]
            ends = [
                float((packet.pts + (packet.duration or 0)) * packet.time_base)
                for packet in media.demux(stream)
                if packet.pts is not None
            ]
    except Exception as err:
        problems.append(f"a listed segment does not open: {type(err).__name__}")
        return None
    played = last.start.timestamp() + float(max(ends))
    if last.end.timestamp() > played + _EXACT_S:
        problems.append("a segment is said to be longer than it is")
    # A segment that was opened behind it and lost everything ends where it began.
    return max(played, begun.get(recording.id, 0.0))
