"""Every way to change what is at rest, and whether it is noticed.

Segments: by age alone (flips, cuts, chunks moved, repeated, replayed), by the index's digests
(another segment of the same recording in its place), and, where whoever did it wrote the index
too, by the custody log (`bench/_bound.py`). Custody log: by what a person runs, each for itself:
`roomwitness verify-log`, and the start of a site. Lines forged behind it: by what the start and
`roomwitness check` make of them (`bench/_forged.py`). Evidence that the site is baited to sign
anew, and rows of what ended: `bench/_rebound.py`. The age reader: the C2SP kit, and that
whatever header it takes has one form only.
"""

import contextlib
import io
import random
import shutil
import tempfile
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path

from bench import _bound, _forged, _rebound, _report
from roomwitness import cli
from roomwitness.custody import CustodyLog, LogTampered, SiteSigner
from roomwitness.policy.words import Meeting, MeetingState
from roomwitness.vault import SegmentSummary, age
from roomwitness.vault.age import header
from roomwitness.vault.age.file import CHUNK
from roomwitness.vault.errors import AgeFormatError, IdentityInvalid, KeyMissing
from roomwitness.vault.store import Vault
from tests.lib.vault import kit

T = datetime(2026, 11, 2, 9, 0, tzinfo=UTC)
SEALED = CHUNK + 16
ORIGIN = "roomwitness/bench"


class Tally:
    """Counts tries and what went unnoticed, by kind."""

    def __init__(self) -> None:
        self.tried: dict[str, int] = {}
        self.undetected: dict[str, int] = {}

    def count(self, kind: str, *, detected: bool) -> None:
        self.tried[kind] = self.tried.get(kind, 0) + 1
        self.undetected[kind] = self.undetected.get(kind, 0) + (not detected)


def main(words: Sequence[str] | None = None) -> None:
    parser = _report.parser(__doc__)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--headers", type=int, default=200_000, help="mutated headers to try")
    args = parser.parse_args(words)
    tally = Tally()
    with tempfile.TemporaryDirectory() as folder:
        _segments(Path(folder), tally, 97 if args.quick else 1)
        for kind, detected in _bound.tries(Path(folder) / "bound", 4 if args.quick else 12):
            tally.count(kind, detected=detected)
        for kind, detected in _forged.tries(Path(folder) / "forged"):
            tally.count(kind, detected=detected)
        for kind, detected in _rebound.tries(Path(folder) / "rebound"):
            tally.count(kind, detected=detected)
        _log(Path(folder) / "log", tally, 20 if args.quick else 200)
    _headers(
        tally, random.Random(args.seed), min(args.headers, 20_000) if args.quick else args.headers
    )
    _kit(tally)
    rows = [(kind, tried, tally.undetected[kind]) for kind, tried in tally.tried.items()]
    _report.table("What was changed", ("what", "tried", "undetected"), rows)
    figures = {"tried": sum(tally.tried.values()), "undetected": sum(tally.undetected.values())}
    _report.finish(figures, {"undetected": _report.Goal("==", 0)})


def _opens(data: bytes, *identities: age.Identity) -> bool:
    try:
        for _ in age.decrypt_stream(io.BytesIO(data), identities):
            pass
    except AgeFormatError, KeyMissing:
        return False
    return True


def _segments(root: Path, tally: Tally, step: int) -> None:
    site, custodian = age.generate_identity(), age.generate_identity()
    vault = Vault(root / "vault", root / "cache", root / "held", site, (custodian.recipient,), 0)
    vault.open()
    vault.save_meeting(
        Meeting(id="m", room_id="r", state=MeetingState.HELD, origin="manual", planned_start=T)
    )
    recording = vault.begin_recording("m", "c", T)
    rng = random.Random(2)
    found = []
    for number in range(2):
        start = T + timedelta(minutes=number)
        writer = vault.segment_writer(recording.id, start)
        writer.write(rng.randbytes(2 * CHUNK + 5_000))
        found.append(writer.close(SegmentSummary(
            start=start, end=start, media_seconds=60, frames=600, lost_packets=0
        )))  # fmt: skip
    identity = age.Identity.from_string(vault.export_identities("m", custodian)[recording.id])
    first, second = (segment.path.read_bytes() for segment in found)
    head = first.index(b"\n--- ") + 1
    head = first.index(b"\n", head) + 1 + 16
    for at in [*range(head), *range(head, len(first), step)]:
        changed = bytearray(first)
        changed[at] ^= 1 << (at % 8)
        kind = "segment: a byte of the header" if at < head else "segment: a byte of the payload"
        tally.count(kind, detected=not _opens(bytes(changed), identity))
    for length in [*range(head), *range(head, len(first), step)]:
        tally.count("segment: cut short", detected=not _opens(first[:length], identity))
    for kind, data in _rearranged(first[:head], _chunks(first[head:]), _chunks(second[head:])):
        tally.count(f"segment: {kind}", detected=not _opens(data, identity))
    for segment, other in zip(found, (second, first), strict=True):
        whole = segment.path.read_bytes()
        segment.path.write_bytes(other)
        tally.count("segment: another one in its place", detected=vault.damaged() == ["m"])
        segment.path.unlink()
        tally.count("segment: removed", detected=vault.damaged() == ["m"])
        segment.path.write_bytes(whole)
    if vault.damaged():
        raise SystemExit("what was not changed counts as changed")
    vault.close()


def _chunks(payload: bytes) -> list[bytes]:
    return [payload[at : at + SEALED] for at in range(0, len(payload), SEALED)]


def _rearranged(head: bytes, mine: list[bytes], other: list[bytes]) -> Iterator[tuple[str, bytes]]:
    places = range(len(mine))
    for i in places:
        yield "a chunk removed", head + b"".join(mine[:i] + mine[i + 1 :])
        yield "a chunk repeated", head + b"".join(mine[: i + 1] + mine[i:])
        for j in places:
            if i < j:
                swapped = list(mine)
                swapped[i], swapped[j] = swapped[j], swapped[i]
                yield "two chunks swapped", head + b"".join(swapped)
            if i != j:
                yield (
                    "a chunk of its own replayed",
                    head + b"".join([*mine[:i], mine[j], *mine[i + 1 :]]),
                )
            yield (
                "a chunk of another replayed",
                head + b"".join([*mine[:i], other[j], *mine[i + 1 :]]),
            )
    yield "something behind it", head + b"".join(mine) + b"\0"


def _log(folder: Path, tally: Tally, entries: int) -> None:
    signer = SiteSigner.generate(ORIGIN)
    log = CustodyLog(folder, signer, ORIGIN).open()
    for number in range(entries):
        log.append("meeting_planned", T + timedelta(seconds=number), meeting=f"m{number}")
    log.checkpoint()
    log.close()
    path, note = folder / "log.jsonl", folder / "checkpoint"
    whole, signed = path.read_bytes(), note.read_bytes()
    lines = whole.splitlines(keepends=True)

    key = folder.with_name("log.key")
    key.write_text(signer.vkey)

    def verified() -> bool:
        """By what the command answers."""
        with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
            return cli.main(["verify-log", str(folder), "--vkey", str(key)]) == 0

    def starts() -> bool:
        """Whether a site begins with it as if nothing were."""
        place = folder.with_name("start")
        shutil.copytree(folder, place)
        log = CustodyLog(place, signer, ORIGIN)
        try:
            return not log.open(T).adopted
        except LogTampered:
            return False
        finally:
            log.close()
            shutil.rmtree(place)

    def count(kind: str) -> None:
        tally.count(f"log, verify-log: {kind}", detected=not verified())
        tally.count(f"log, start: {kind}", detected=not starts())

    def tried(kind: str, data: bytes) -> None:
        path.write_bytes(data)
        count(kind)

    if not (verified() and starts()):
        raise SystemExit("a log that was not changed counts as changed")
    for number, line in enumerate(lines):
        before, after = lines[:number], lines[number + 1 :]
        at = number % len(line)
        edited = line[:at] + bytes((line[at] ^ 1,)) + line[at + 1 :]
        tried("a byte of a line", b"".join([*before, edited, *after]))
        edited = line.replace(b"meeting_planned", b"meeting_blanned")
        tried("a word of a line", b"".join([*before, edited, *after]))
        tried("a line removed", b"".join([*before, *after]))
        tried("a line repeated", b"".join([*before, line, line, *after]))
        tried("a line put in", b"".join([*before, line.replace(b'"m', b'"n'), line, *after]))
        if after:
            tried("two lines swapped", b"".join([*before, after[0], line, *after[1:]]))
        tried("cut short", b"".join(before))
        tried("a line behind it", b"".join([*lines, line]))
    path.write_bytes(whole)
    for at in range(len(signed)):
        note.write_bytes(signed[:at] + bytes((signed[at] ^ 1,)) + signed[at + 1 :])
        count("a byte of the checkpoint")
    note.unlink()
    count("checkpoint removed")


def _headers(tally: Tally, rng: random.Random, tries: int) -> None:
    """A header that is taken must encode to the very bytes that were read."""
    recipients = [age.generate_identity().recipient for _ in range(3)]
    seeds = [age.encrypt(b"x", recipients[: n + 1]) for n in range(3)]
    mutations: tuple[Callable[[bytearray, int], None], ...] = (
        lambda data, at: data.__setitem__(at, rng.randrange(256)),
        lambda data, at: data.insert(at, rng.choice(b" \n\r=-+/AZ09>")),
        lambda data, at: data.__delitem__(at),
        lambda data, at: data.__setitem__(slice(at, at + 2), data[at : at + 2][::-1]),
    )
    for _ in range(tries):
        data = bytearray(rng.choice(seeds))
        end = data.index(b"\n--- ") + 50
        for _ in range(rng.choice((1, 1, 1, 2, 3))):
            rng.choice(mutations)(data, rng.randrange(end))
        source = io.BytesIO(data)
        try:
            _, covered, mac = header.read(partial(source.readline, 8192))
        except AgeFormatError:
            tally.count("age header: mutated", detected=True)
            continue
        again = covered + b" " + header.b64(mac).encode() + b"\n"
        tally.count("age header: mutated", detected=bytes(data).startswith(again))


def _kit(tally: Tally) -> None:
    """What the C2SP kit says must fail does not open."""
    for vector in kit.vectors():
        if vector.one("expect") == "success" or "armored" in vector.fields:
            continue
        identities = []
        for text in vector.fields.get("identity", []):
            try:
                identities.append(age.Identity.from_string(text))
            except IdentityInvalid:  # Another kind of identity.
                continue
        tally.count("age: C2SP kit's bad files", detected=not _opens(vector.body, *identities))
