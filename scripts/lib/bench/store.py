"""A large store: erasing 1,000 recordings, any list, the check and the start at 1 M recordings.

Erasure is the whole of it: keys, files (allocated at the size given), verification, signed
certificates, custody log, proofs and receipts. The large index has no segment files: lists never
touch them, and the check is that which runs at each start.
"""

import os
import random
import sqlite3
import statistics
import tempfile
import time
from collections.abc import Callable, Sequence
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from bench import _report
from bench._report import Goal
from roomwitness.custody import CustodyLog, SiteSigner, encode_entry
from roomwitness.policy.words import Meeting, MeetingState, RoomPolicy
from roomwitness.vault import Segment, age, details, listing
from roomwitness.vault.check import Places, check
from roomwitness.vault.index import Index
from roomwitness.vault.store import Vault
from roomwitness.witness.erasures import Due, Erasures
from roomwitness.witness.ledger import Ledger

T = datetime(2026, 11, 2, 9, 0, tzinfo=UTC)
ORIGIN = "roomwitness/bench"
ROOMS, CAMERAS = 40, 80


def main(words: Sequence[str] | None = None) -> None:
    parser = _report.parser(__doc__)
    parser.add_argument("--recordings", type=int, default=0, help="in the index (1,000,000)")
    parser.add_argument("--erase", type=int, default=1000, help="recordings to erase together")
    parser.add_argument("--mib", type=int, default=0, help="size of each erased segment (8)")
    parser.add_argument("--log", type=int, default=0, help="entries of the log (100,000)")
    args = parser.parse_args(words)
    print(_report.machine())
    recordings = args.recordings or (50_000 if args.quick else 1_000_000)
    mib = args.mib or (1 if args.quick else 8)
    entries = args.log or (10_000 if args.quick else 100_000)
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        erase_s = _erase(root / "erase", args.erase, mib, entries)
        log_open_s = _timed(lambda: _log(root / "erase").open().close())[0]
        place = root / "list"
        _fill(place, recordings)
        start_s = _timed(lambda: _start(place))[0]
        times = _lists(place)
        check_s, found = _timed(
            lambda: check(Places(place / "vault", place / "cache", place / "held"), sizes=False)
        )
    if found:
        raise SystemExit(f"the check should find nothing, and found {found[:3]}")
    rows = [
        (name, len(t), statistics.median(t) * 1000, _p99(t) * 1000) for name, t in times.items()
    ]
    _report.table(
        f"Pages of 50 at {recordings} recordings", ("list", "pages", "median ms", "p99 ms"), rows
    )
    figures = {
        "recordings": recordings,
        "erased": args.erase,
        "erased_mib_each": mib,
        "erase_1000_s": erase_s * 1000 / args.erase,
        "list_p99_ms": _p99([t for found in times.values() for t in found]) * 1000,
        "list_max_ms": max(t for found in times.values() for t in found) * 1000,
        "check_s": check_s,
        "start_s": start_s,
        "log_entries": entries,
        "log_open_s": log_open_s,
    }
    _report.finish(figures, {"erase_1000_s": Goal("<=", 1), "list_p99_ms": Goal("<=", 50)})


def _timed[R](work: Callable[[], R]) -> tuple[float, R]:
    begun = time.perf_counter()
    result = work()
    return time.perf_counter() - begun, result


def _p99(times: Sequence[float]) -> float:
    return sorted(times)[min(len(times) - 1, int(len(times) * 0.99))]


SITE, CUSTODIAN = age.generate_identity(), age.generate_identity()
SIGNER = SiteSigner.generate(ORIGIN)


def _vault(root: Path) -> Vault:
    return Vault(root / "vault", root / "cache", root / "held", SITE, (CUSTODIAN.recipient,), 0)


def _log(root: Path) -> CustodyLog:
    return CustodyLog(root / "vault" / "custody", SIGNER, ORIGIN)


def _erase(root: Path, count: int, mib: int, entries: int) -> float:
    log = _log(root).open()
    for first in range(0, entries, 1000):
        fields = {"meeting": f"{first:032x}", "before": "recording", "state": "review"}
        log.append_all([encode_entry("end", T, fields)] * min(1000, entries - first))
    log.checkpoint()
    log.close()
    vault = _vault(root)
    vault.open()
    ledger = Ledger(vault, root / "vault" / "custody", SIGNER, ORIGIN)
    ledger.open(T)
    due = []
    for number in range(count):
        meeting = Meeting(
            id=f"{number:032x}",
            room_id=f"r{number % ROOMS}",
            state=MeetingState.REVIEW,
            origin="manual",
            planned_start=T,
            started=T,
            ended=T,
            deadline=T,
        )
        ledger.create(meeting, T)
        recording = vault.begin_recording(meeting.id, "c", T)
        segment_id = f"{number:015d}-00000000"
        path = root / "vault" / "segments" / recording.id / f"{segment_id}.mp4.age"
        path.parent.mkdir(exist_ok=True)
        with path.open("wb") as file:
            os.posix_fallocate(file.fileno(), 0, mib << 20)
        vault.index.add_segment(
            Segment(
                id=segment_id,
                recording_id=recording.id,
                path=path,
                start=T,
                end=T,
                media_seconds=60.0,
                bytes=mib << 20,
                sha256="0" * 64,
                frames=1,
                lost_packets=0,
            )
        )
        due.append(Due(meeting, "G-7", RoomPolicy()))
    os.sync()
    taken, receipts = _timed(lambda: Erasures(vault, ledger, ORIGIN).run(due, T))
    if len(receipts) != count or any((root / "vault" / "segments").iterdir()):
        raise SystemExit("not everything was erased")
    ledger.close()
    vault.close()
    return taken


def _fill(root: Path, recordings: int) -> None:
    """Two recordings to a live meeting, and as many meetings that are erased."""
    vault = _vault(root)
    vault.open()
    vault.close()
    meetings = recordings // 2
    live = [
        (f"m{n:015d}", f"r{n % ROOMS}", "held" if n % 10 == 0 else "review")
        for n in range(meetings)
    ]
    start = T.timestamp()
    with closing(sqlite3.connect(root / "vault" / "index.db", isolation_level=None)) as db:
        db.execute("PRAGMA synchronous=OFF")
        db.execute("BEGIN")
        insert = (
            "INSERT INTO meeting (id, room, state, origin, planned_start, started, ended, deadline,"
            " erased) VALUES (?,?,?,'manual',?,?,?,?,?)"
        )
        db.executemany(
            insert,
            (
                (m, r, s, start - n * 60, start, start, start + 1e9, None)
                for n, (m, r, s) in enumerate(live)
            ),
        )
        db.executemany(
            insert,
            (
                (f"e{n:015d}", f"r{n % ROOMS}", "erased", start - 1e7 - n * 60, 1.0, 2.0, 3.0, 4.0)
                for n in range(meetings)
            ),
        )
        db.executemany(
            "INSERT INTO receipt VALUES (?,?,?,?,'purge','G-7',2,2,1000)",
            ((f"q{n}", f"e{n:015d}", f"r{n % ROOMS}", start - n) for n in range(meetings)),
        )
        db.executemany(
            "INSERT INTO hold (id, meeting, place, kind, created, review_date)"
            " VALUES (?,?,0,'threat',0,0)",
            ((f"h{m}", m) for m, _, state in live if state == "held"),
        )
        db.executemany(
            "INSERT INTO recording VALUES (?,?,?,'age1',?,?)",
            (
                (f"{m}{c}", m, f"c{(n * 2 + c) % CAMERAS}", start - n * 60, start)
                for n, (m, _, _) in enumerate(live)
                for c in (0, 1)
            ),
        )
        db.executemany(
            "INSERT INTO segment VALUES (?,?,?,?,60,1000,'00',1,0,NULL,0)",
            ((f"s{m}{c}", f"{m}{c}", start, start + 60) for m, _, _ in live for c in (0, 1)),
        )
        db.execute("COMMIT")
    for name, states in (("cache/ephemeral", ("held", "review")), ("held/held", ("held",))):
        with closing(sqlite3.connect(root / f"{name}-keys.db", isolation_level=None)) as db:
            db.execute("PRAGMA synchronous=OFF")
            db.execute("BEGIN")
            db.executemany(
                "INSERT INTO wrap VALUES (?, 'custodian', '0a', x'00')",
                ((f"{m}{c}",) for m, _, state in live if state in states for c in (0, 1)),
            )
            db.execute("COMMIT")


def _start(root: Path) -> None:
    """What opening costs: index, key stores, and the meetings that are not erased."""
    vault = _vault(root)
    vault.open()
    vault.live_meetings(T - timedelta(days=9))
    vault.last_receipts()
    vault.close()


def _lists(root: Path) -> dict[str, list[float]]:
    """Pages from the newest on and from anywhere, by each filter."""
    vault = _vault(root)
    vault.open()
    index, dice = vault.index, random.Random(1)
    times: dict[str, list[float]] = {}

    def measure(name: str, page: Callable[..., listing.Page[object]], **words: object) -> None:
        found = times.setdefault(name, [])
        for _ in range(40):
            before = T - timedelta(seconds=dice.uniform(0, 2e7))
            for span in ({}, {"before": before}):
                taken, rows = _timed(lambda span=span: page(index, **span, **words))  # type: ignore[misc]
                found.append(taken)
                if rows.next is not None:
                    found.append(_timed(lambda r=rows: page(index, after=r.next, **words))[0])  # type: ignore[misc]

    measure("meetings", listing.meetings)
    measure("meetings with holds, sizes and gaps", _told)
    measure("meetings of a room", listing.meetings, room_id="r7")
    measure("held meetings", listing.meetings, states=[MeetingState.HELD])
    measure(
        "held and reviewed of a room",
        listing.meetings,
        room_id="r7",
        states=[MeetingState.HELD, MeetingState.REVIEW],
    )
    measure("no such room", listing.meetings, room_id="r999")
    measure("recordings", listing.recordings)
    measure("recordings of a camera", listing.recordings, camera_id="c7")
    measure("receipts", listing.receipts)
    measure("receipts of a room", listing.receipts, room_id="r7")
    vault.close()
    return times


def _told(index: Index, **words: Any) -> listing.Page[listing.Row]:
    """A page as ``room_witness.list_meetings`` answers it, without its entry in the log."""
    page = listing.meetings(index, **words)
    ids = [row.id for row in page.rows]
    details.meetings(index, ids)
    details.of_meetings(index, ids)
    return page
