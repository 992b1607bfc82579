"""Every touch of the disk made to fail: what was committed opens, what was erased is gone.

A child opens vault and custody log, records one meeting that is held and one that is erased, holds
and releases a third, and tells what it was promised after each step. In each run one touch of the
file system (open, write, fsync, rename, unlink, truncate, SQLite's own included) fails: once with
ENOSPC, EIO or EACCES, once as a short write, and for good from there on as a full disk does. A
refused step is tried again, as the conductor does. Then the site is opened without faults and held
against every promise, and against what its log tells of holds.
"""

import ctypes
import errno
import json
import multiprocessing
import multiprocessing.reduction
import os
import subprocess
import sys
import tempfile
import traceback
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from bench import _left, _report
from roomwitness.custody import SiteSigner
from roomwitness.errors import WitnessError
from roomwitness.policy import meeting as events
from roomwitness.policy.words import Hold, HoldKind, Meeting, RoomPolicy
from roomwitness.vault import SegmentSummary, age
from roomwitness.vault.errors import VaultUnwritable
from roomwitness.vault.store import Vault
from roomwitness.witness.erasures import Due, Erasures
from roomwitness.witness.ledger import Ledger
from roomwitness.witness.leftovers import Told

PEERS = True  # A C compiler, for failpoint.c.
HERE = Path(__file__).parent
T = datetime(2026, 11, 2, 9, 0, tzinfo=UTC)
ORIGIN = "roomwitness/bench"
POLICY = RoomPolicy(review_window=timedelta(0))
PIECE = bytes(range(256)) * 120  # 30 KiB: two flushes to a chunk.
FAULTS = {
    "ENOSPC": (errno.ENOSPC, 0),
    "EIO": (errno.EIO, 0),
    "EACCES": (errno.EACCES, 0),
    "short write": (0, 0),
    "ENOSPC from then on": (errno.ENOSPC, 1),
    "EIO from then on": (errno.EIO, 1),
}
_fork = multiprocessing.get_context("forkserver")


def main(words: Sequence[str] | None = None) -> None:
    parser = _report.parser(__doc__)
    parser.add_argument("--step", type=int, default=0, help="only every so many points")
    args = parser.parse_args(words)
    step = args.step or (7 if args.quick else 1)
    if "failpoint" not in os.environ.get("LD_PRELOAD", ""):
        _again_with_failpoints()
    _fork.set_forkserver_preload(["bench.faults"])
    with tempfile.TemporaryDirectory() as folder:
        total = _count(Path(folder) / "count")
        rows = []
        violations: Counter[str] = Counter()
        points = 0
        for name, (error, lasting) in FAULTS.items():
            tried = broken = 0
            for nth in range(1, total + 1, step):
                found = _try(Path(folder) / f"{name}-{nth}", nth, error, lasting)
                tried, broken = tried + 1, broken + bool(found)
                violations.update(f"{name}, touch {nth}: {text}" for text in found)
            rows.append((name, tried, broken))
            points += tried
    _report.table("What failed", ("fault", "points", "violated"), rows)
    for text in violations:
        print(text)
    figures = {"points": points, "violations": violations.total()}
    _report.finish(figures, {"violations": _report.Goal("==", 0)})


def _again_with_failpoints() -> None:
    with tempfile.TemporaryDirectory() as folder:
        shim = Path(folder) / "failpoint.so"
        command: list[str | Path] = [
            "cc",
            "-shared",
            "-fPIC",
            "-O1",
            "-o",
            shim,
            HERE / "failpoint.c",
            "-ldl",
        ]
        try:
            subprocess.run(command, check=True)
        except FileNotFoundError:
            raise SystemExit("a C compiler is needed (Debian: apt-get install gcc)") from None
        done = subprocess.run(
            [sys.executable, *sys.orig_argv[1:]], env={**os.environ, "LD_PRELOAD": str(shim)}
        )
        raise SystemExit(done.returncode)


@dataclass
class Site:
    """Keys and folders of one site, without cameras."""

    root: Path
    identity: str
    custodian: str
    signer: bytes

    @classmethod
    def new(cls, root: Path) -> Site:
        root.mkdir()
        keys = str(age.generate_identity()), str(age.generate_identity())
        return cls(root, *keys, SiteSigner.generate(ORIGIN).private_bytes)

    def vault(self) -> Vault:
        custodian = age.Identity.from_string(self.custodian).recipient
        folders = self.root / "vault", self.root / "cache", self.root / "held"
        return Vault(*folders, age.Identity.from_string(self.identity), (custodian,), 0)

    def ledger(self, vault: Vault) -> Ledger:
        signer = SiteSigner.from_private_bytes(ORIGIN, self.signer)
        return Ledger(vault, self.root / "vault" / "custody", signer, ORIGIN)


def _count(root: Path) -> int:
    """How many touches the scenario has when nothing fails."""
    promises = _run(Site.new(root), 0, 0, 0)
    (done,) = [p for p in promises if p[0] == "touches"]
    return int(done[1])


def _run(site: Site, nth: int, error: int, lasting: int) -> list[list[str]]:
    reader, writer = os.pipe()
    with os.fdopen(reader) as told:
        handle = multiprocessing.reduction.DupFd(writer)
        child = _fork.Process(target=_child, args=(site, nth, error, lasting, handle))
        child.start()
        os.close(writer)
        promises = [json.loads(line) for line in told]
        child.join()
    if child.exitcode:
        promises.append(["crashed", f"exit code {child.exitcode}"])
    return promises


def _child(site: Site, nth: int, error: int, lasting: int, handle: object) -> None:
    fd = handle.detach()  # type: ignore[attr-defined]

    def tell(*words: str) -> None:
        os.write(fd, json.dumps(words).encode() + b"\n")

    shim = ctypes.CDLL(None)
    vault = site.vault()
    ledger = site.ledger(vault)
    shim.failpoint_arm(ctypes.c_long(nth), error, lasting, fd)
    try:
        _Scenario(vault, ledger, tell).play()
    except WitnessError as err:
        tell("gave up", err.key)
    except Exception:
        tell("crashed", traceback.format_exc())
    tell("touches", str(shim.failpoint_disarm()))
    os._exit(0)


class _Scenario:
    """What a site does in a day, each step tried three times, each promise told."""

    def __init__(self, vault: Vault, ledger: Ledger, tell: Callable[..., None]) -> None:
        self.vault, self.ledger, self.tell = vault, ledger, tell

    def step[R](self, work: Callable[[], R]) -> R:
        for _ in range(2):
            try:
                return work()
            except WitnessError:
                continue
        return work()

    def play(self) -> None:
        step, ledger, tell = self.step, self.ledger, self.tell
        step(self.vault.open)
        step(lambda: ledger.open(T))
        kept = self.begin("kept")
        calm = self.begin("calm")
        self.segments(kept.id, "kept")
        held = step(
            lambda: ledger.apply(ledger.get("kept") or kept, events.ReportThreat("h"), T, POLICY)
        )
        tell("held", "kept")
        tell("logged", "report_threat", "kept")
        self.release(self.begin("freed"))
        self.segments(calm.id, "calm")
        for meeting in (held, calm):
            self.end(meeting)
        recordings = self.vault.recordings("calm")
        wraps = [piece.hex() for r in recordings for piece in _left.pieces(self.vault, r.id)]
        tell("to erase", "calm")
        calm = ledger.get("calm") or calm
        step(lambda: self.erase(calm))
        tell("erased", "calm", *wraps)
        tell("logged", "erased", "calm")
        step(ledger.catch_up)  # As each tick does.
        step(ledger.close)
        step(self.vault.close)

    def release(self, meeting: Meeting) -> None:
        """Hold it and let it go."""
        step, ledger = self.step, self.ledger
        review = T + timedelta(days=30)
        hold = Hold(id="f", kind=HoldKind.LEGAL, reason="", created=T, review_date=review)
        step(lambda: ledger.recordings.begin(meeting, "c", T))
        held = step(lambda: ledger.apply(meeting, events.PlaceHold(hold), T, POLICY))
        self.tell("logged", "place_hold", "freed")
        self.end(held)
        held = ledger.get("freed") or held
        step(lambda: ledger.apply(held, events.ReleaseHold("f", ""), T, POLICY))
        self.tell("logged", "release_hold", "freed")

    def erase(self, meeting: Meeting) -> None:
        """Erase it, or say that it is to be tried again."""
        due = [Due(meeting, "G-7", POLICY)]
        if not Erasures(self.vault, self.ledger, ORIGIN).run(due, T):
            raise VaultUnwritable

    def begin(self, name: str) -> Meeting:
        step, ledger = self.step, self.ledger
        meeting = Meeting(id=name, room_id=name, origin="manual", planned_start=T)
        meeting = step(lambda: ledger.create(meeting, T))
        self.tell("logged", "meeting_planned", name)
        meeting = step(lambda: ledger.apply(ledger.get(name) or meeting, events.Start(), T, POLICY))
        self.tell("logged", "start", name)
        return meeting

    def end(self, meeting: Meeting) -> None:
        step, ledger = self.step, self.ledger
        after = step(
            lambda: ledger.apply(ledger.get(meeting.id) or meeting, events.End(), T, POLICY)
        )
        self.tell("logged", "end", meeting.id)
        step(lambda: ledger.recordings.end(after, T))

    def segments(self, meeting_id: str, name: str) -> None:
        """Three segments, as the recorder writes them: one that fails is let go, the next begun."""
        meeting = self.ledger.get(meeting_id)
        assert meeting is not None
        recording = self.step(lambda: self.ledger.recordings.begin(meeting, "c", T)).recording
        for number in range(3):
            start = T + timedelta(seconds=10 * number)
            try:
                writer = self.vault.segment_writer(recording.id, start)
            except WitnessError:
                continue
            try:
                for count in range(1, 4):
                    writer.write(PIECE)
                    writer.flush()
                    self.tell("flushed", name, recording.id, str(number), str(count))
                if number < 2:
                    writer.close(
                        SegmentSummary(
                            start=start,
                            end=start + timedelta(seconds=9),
                            media_seconds=9,
                            frames=90,
                            lost_packets=0,
                        )
                    )
                    self.tell("closed", name, recording.id, str(number), "3")
            except WitnessError:
                writer.abort()


def _try(root: Path, nth: int, error: int, lasting: int) -> list[str]:
    """One point: the promises that do not hold."""
    site = Site.new(root)
    promises = _run(site, nth, error, lasting)
    broken = [f"traceback: {p[1]}" for p in promises if p[0] == "crashed"]
    # Before anything is opened: that may roll back, and destroy, what should have been gone.
    broken += _left_of_erased(site, promises)
    vault = site.vault()
    ledger = site.ledger(vault)
    try:
        vault.open()
        ledger.open(T)
        account = Told(ledger.log, ledger.folder, ledger.signer.vkey, T)
        ledger.recordings.recovered(vault.recover(account), T)
        if ledger.tampered:
            broken.append("the custody log counts as tampered")
        if "to erase" in {promise[0] for promise in promises}:  # As the first tick does.
            due = [Due(m, "G-7", POLICY) for m in ledger.meetings if m.id == "calm"]
            Erasures(vault, ledger, ORIGIN).run(due, T)
        broken += _held_against(site, vault, ledger, promises)
        broken += [f"index and log: {name}" for name in sorted(ledger.disagreements())]
        for meeting in ledger.meetings:
            for recording in vault.recordings(meeting.id):
                vault.end_recording(recording.id, T + timedelta(minutes=1))
        broken += [f"check: {text}" for text in vault.check()]
    except Exception as err:
        broken.append(f"cannot be opened afterwards: {type(err).__name__}: {err}")
    finally:
        ledger.close()
        vault.close()
    subprocess.run(["rm", "-rf", root], check=True)
    return broken


def _held_against(site: Site, vault: Vault, ledger: Ledger, promises: list[list[str]]) -> list[str]:
    broken = []
    lines = [json.loads(s) for s in (site.root / "vault/custody/log.jsonl").open()]
    logged = {(entry["kind"], entry.get("meeting")) for entry in lines}
    going = {p[1] for p in promises if p[0] == "to erase"}
    for kind, *words in promises:
        if kind == "logged" and (words[0], words[1]) not in logged:
            broken.append(f"not in the log: {words}")
        elif kind == "held":
            if not vault.export_identities(words[0], age.Identity.from_string(site.custodian)):
                broken.append("held, but no custodian can open it")
        elif kind == "erased":
            broken += _left_of_erased(site, promises)
            if vault.recordings(words[0]):
                broken.append("erased, but still listed")
        elif kind in ("flushed", "closed") and words[0] not in going:
            broken += _unreadable(vault, words[1], int(words[2]), len(PIECE) * int(words[3]))
    held = {m.id for m in ledger.meetings if m.held}
    if ("place_hold", "freed") in logged and ("freed" in held) is (
        ("release_hold", "freed") in logged
    ):
        broken.append("the next start does not hold or release what was logged")
    if "kept" not in held:
        if ["held", "kept"] in promises:
            broken.append("held, but the hold is gone")
        elif ("report_threat", "kept") in logged:
            broken.append("logged, but not held after the next start")
    return broken


def _unreadable(vault: Vault, recording_id: str, number: int, size: int) -> list[str]:
    start = T + timedelta(seconds=10 * number)
    found = [s for s in vault.segments(recording_id) if s.start == start]
    if not found:
        return [f"flushed, but not listed: segment {number}"]
    data = b"".join(vault.read_segment(found[0]))
    if len(data) < size or data != PIECE * (len(data) // len(PIECE)):
        return [f"flushed, but not all there: segment {number}"]
    return []


def _left_of_erased(site: Site, promises: list[list[str]]) -> list[str]:
    wanted = {p[1]: [bytes.fromhex(piece) for piece in p[2:]] for p in promises if p[0] == "erased"}
    if not all(wanted.values()):
        return ["erased, but there was no key"]
    left = _left.still_there(site.root, wanted)
    return ["erased, but bytes of a wrap are still on disk"] * len(left)
