"""What a whole log says of recordings and holds, and where the index differs from it."""

from collections.abc import Iterable, Iterator, Mapping, Set
from dataclasses import dataclass
from pathlib import Path

from roomwitness import files

from .adopted import ADOPTED, doubted, in_doubt
from .bound import Bound, SealedFile, bound_by
from .entry import decode_entry
from .errors import LogTampered
from .heads import CHECKPOINT
from .signing import Checkpoint, split_note
from .verify import walk_log


@dataclass(frozen=True, slots=True)
class Account:
    """What a log of ``size`` entries says: recordings begun (and their meetings), ended, erased.

    ``held`` and ``released`` are holds, by id, of meetings that were not erased; ``held_meetings``
    are all with a hold that was not released: to erase such a one would have been wrong.
    ``unsigned`` is how many lines there are behind those entries, of which nothing is taken.
    """

    begun: Mapping[str, str]
    ended: Mapping[str, Bound]
    erased: frozenset[str]
    size: int = 0
    held: frozenset[str] = frozenset()
    released: frozenset[str] = frozenset()
    held_meetings: frozenset[str] = frozenset()
    unsigned: int = 0

    @property
    def expected(self) -> frozenset[str]:
        """Recordings that were begun and whose meeting was not erased."""
        return frozenset(r for r, meeting in self.begun.items() if meeting not in self.erased)


_WORDS = (b'"recording_', b'"erased"', b'_threat"', b'_hold"', f'"{ADOPTED}"'.encode())


def read_account(folder: Path, vkey: str | None = None) -> Account:
    """Read it from the signed entries; see ``verify_log`` for ``vkey``.

    Of those that nobody had signed until a start found them only what nothing is lost by is taken:
    a recording that begins, a hold that is placed.

    Raises:
        LogTampered: the log does not hold, or is not there.
    """
    lines: list[tuple[int, bytes]] = []

    def see(number: int, line: bytes) -> None:
        if any(word in line for word in _WORDS):
            lines.append((number, line))

    found = walk_log(folder, see, vkey)
    lines = [each for each in lines if each[0] < found.size]
    doubt = doubted(lines)
    begun: dict[str, str] = {}
    ended: dict[str, Bound] = {}
    erased: set[str] = set()
    holds: dict[str, tuple[str, bool]] = {}
    for number, line in lines:
        doubtful = in_doubt(number, doubt)
        entry = decode_entry(line)
        if not doubtful and (bound := bound_by(entry)) is not None:
            ended[bound[0]] = bound[1]
        match entry:
            case {"kind": "recording_begun", "recording": str(recording), "meeting": str(meeting)}:
                if not doubtful or recording not in begun:
                    begun[recording] = meeting
            case {
                "kind": "report_threat" | "place_hold",
                "hold": str(hold),
                "meeting": str(meeting),
            }:
                if not doubtful or hold not in holds:
                    holds[hold] = meeting, True
            case _ if doubtful:
                continue
            case {"kind": "erased", "meeting": str(meeting)}:
                erased.add(meeting)
            case {
                "kind": "release_hold" | "lapse_hold",
                "hold": str(hold),
                "meeting": str(meeting),
            }:
                holds[hold] = meeting, False
    left = {hold: about for hold, about in holds.items() if about[0] not in erased}
    held = frozenset(hold for hold, (_, still) in left.items() if still)
    released = frozenset(left) - held
    meetings = frozenset(meeting for meeting, still in holds.values() if still)
    size, unsigned = found.size, found.unsigned
    return Account(begun, ended, frozenset(erased), size, held, released, meetings, unsigned)


def read_again(account: Account, folder: Path, vkey: str | None = None) -> Account:
    """The account as it is now: read anew only if the checkpoint signs more, or less, than it.

    Raises:
        LogTampered: the log does not hold any more.
    """
    try:
        text, _ = split_note((folder / CHECKPOINT).read_bytes().decode())
    except OSError, UnicodeDecodeError:
        raise LogTampered("the checkpoint is missing or unreadable") from None
    same = Checkpoint.parse(text).size == account.size
    return account if same else read_account(folder, vkey)


type Row = tuple[str, str, bool, list[tuple[str, int, str]], list[bytes]]
"""A recording as the index lists it: its id, its meeting's, whether it ended, files and rows."""


def disagreements(
    listed: Iterable[Row], before: Account, after: Account
) -> Iterator[tuple[str, str]]:
    """Where index and log differ: an invariant's name (docs/schema.md) and the recording.

    ``before`` and ``after`` are the log's account as it was read before and after the index, so
    that a recording which begins or ends meanwhile is no finding. One that the log says ended is
    looked at whatever the index says.
    """
    seen = set()
    for recording, meeting, ended, names, rows in listed:
        seen.add(recording)
        bound = after.ended.get(recording)
        if after.begun.get(recording) != meeting or (ended and bound is None):
            yield "recording-in-log", recording
        elif bound and (ended or recording in before.ended):
            files = [SealedFile(*name) for name in names]
            if not any(b.holds(files, rows) for b in (bound, before.ended.get(recording, bound))):
                yield "recording-as-logged", recording
    for missing in sorted((before.expected & after.expected) - seen):
        yield "logged-recording-listed", missing


def hold_disagreements(
    holds: Set[str], before: Account, after: Account
) -> Iterator[tuple[str, str]]:
    """As ``disagreements``, of the open holds that the index lists, by id."""
    lacking = (before.held & after.held) - holds
    ended = before.released & after.released & holds
    for hold in sorted(lacking | ended):
        yield "hold-as-logged", hold


def verify_files(folder: Path, recording: str, custody: Path, vkey: str | None = None) -> int:
    """Hold the files in a recording's folder against the log alone; gives how many there are.

    Raises:
        LogTampered: the log does not hold, or these are not the files that it was told of.
    """
    bound = read_account(custody, vkey).ended.get(recording)
    if bound is None:
        raise LogTampered("the log knows of no such recording that ended")
    try:
        found = [
            SealedFile(path.name, path.stat().st_size, files.sha256(path) or "")
            for path in folder.iterdir()
            if path.name.endswith(".age")
        ]
    except OSError:
        raise LogTampered("the recording's files are missing or unreadable") from None
    if not bound.holds(found):
        raise LogTampered("these are not the files that the log was told of")
    return bound.files
