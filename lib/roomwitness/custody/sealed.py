"""What the log says of a recording's files: the head of a Merkle tree over their digests.

The tree is RFC 6962's. Its leaves are lines ``NAME BYTES SHA256`` (the digest of the sealed file in
hexadecimal), in order of name, which is the order of time. So the list need not be in the log: the
files themselves give it, and one file's place can be proved by an audit path.
"""

from collections.abc import Iterable, Iterator, Mapping, Set
from dataclasses import dataclass
from pathlib import Path

from roomwitness import files

from .adopted import ADOPTED, doubted, in_doubt
from .entry import decode_entry
from .errors import LogTampered
from .heads import CHECKPOINT
from .merkle import CompactRange
from .signing import Checkpoint, split_note
from .verify import walk_log


@dataclass(frozen=True, slots=True, order=True)
class SealedFile:
    """A file of a recording as it was sealed; ``size`` in bytes, ``sha256`` in hexadecimal."""

    name: str
    size: int
    sha256: str

    @property
    def leaf(self) -> bytes:
        """Its line."""
        return f"{self.name} {self.size} {self.sha256}".encode()


def files_root(sealed: Iterable[SealedFile]) -> str:
    """The tree's head over these files, in hexadecimal."""
    tree = CompactRange()
    for file in sorted(sealed):
        tree.append(file.leaf)
    return tree.root().hex()


@dataclass(frozen=True, slots=True)
class Bound:
    """How many files the log says that a recording has, and their tree's head."""

    files: int
    root: str

    def holds(self, sealed: list[SealedFile]) -> bool:
        """Whether it is of these files, and no others."""
        return len(sealed) == self.files and files_root(sealed) == self.root


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
        match decode_entry(line):
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
            case {"recording": str(recording), "files": int(count), "files_root": str(root)}:
                ended[recording] = Bound(count, root)
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


type Row = tuple[str, str, bool, list[tuple[str, int, str]]]
"""A recording as the index lists it: its id, its meeting's, whether it ended, its files."""


def disagreements(
    listed: Iterable[Row], before: Account, after: Account
) -> Iterator[tuple[str, str]]:
    """Where index and log differ: an invariant's name (docs/schema.md) and the recording.

    ``before`` and ``after`` are the log's account as it was read before and after the index, so
    that a recording which begins or ends meanwhile is no finding.
    """
    seen = set()
    for recording, meeting, ended, names in listed:
        seen.add(recording)
        bound = after.ended.get(recording)
        if after.begun.get(recording) != meeting or (ended and bound is None):
            yield "recording-in-log", recording
        elif ended and bound and not bound.holds([SealedFile(*name) for name in names]):
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
