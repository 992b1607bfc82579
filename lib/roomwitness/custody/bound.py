"""What binds a recording to the log: the heads of two Merkle trees, over its files and its rows.

The trees are RFC 6962's. A file's leaf is the line ``NAME BYTES SHA256`` (the digest of the sealed
file in hexadecimal), in order of name, which is the order of time. A row's is its JSON
(``vault/listed.py`` makes them). So neither list need be in the log: files and index give them, and
one file's place can be proved by an audit path.
"""

from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from .adopted import ADOPTED, doubted, in_doubt
from .entry import decode_entry
from .errors import LogTampered
from .log import CustodyLog
from .merkle import CompactRange

# So many of the log's last bytes are read first.
_PIECE = 1 << 18
_ADOPTED = f'"{ADOPTED}"'.encode()


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
    return rows_root(file.leaf for file in sorted(sealed))


def rows_root(rows: Iterable[bytes]) -> str:
    """The tree's head over these rows in their order, in hexadecimal."""
    tree = CompactRange()
    for row in rows:
        tree.append(row)
    return tree.root().hex()


@dataclass(frozen=True, slots=True)
class Bound:
    """How many files the log says that a recording has, and their tree's head.

    ``rows`` is the head of the tree over its rows, ``open`` the ids of the segments that could not
    be sealed when it ended: None in entries that do not tell. ``ended`` is when it did, if this
    entry tells that.
    """

    files: int
    root: str
    rows: str | None = None
    open: frozenset[str] | None = None
    ended: datetime | None = None

    def holds(self, sealed: Sequence[SealedFile], rows: Iterable[bytes] | None = None) -> bool:
        """Whether it is of these files, and no others; and of these rows, if they are given."""
        if len(sealed) != self.files or files_root(sealed) != self.root:
            return False
        return rows is None or self.rows is None or rows_root(rows) == self.rows


def bound_by(entry: Mapping[str, Any]) -> tuple[str, Bound] | None:
    """The recording that an entry binds, and by what; None if it is another entry."""
    match entry:
        case {"recording": str(recording), "files": int(count), "files_root": str(root)}:
            rows, left = entry.get("rows_root"), entry.get("open")
            ended = None
            if entry["kind"] == "recording_ended":
                with suppress(ValueError):
                    ended = datetime.fromisoformat(str(entry["time"]))
            return recording, Bound(
                count,
                root,
                rows if isinstance(rows, str) else None,
                frozenset(left.split()) if isinstance(left, str) else None,
                ended,
            )
        case _:
            return None


def last_bound(log: CustodyLog, recording: str) -> Bound | None:
    """What the log binds the recording by now, its signed lines alone; None: it never ended.

    It is read from its end on, ever more of it, until the recording begins.

    Raises:
        LogUnwritable: the log cannot be read.
    """
    word, piece = recording.encode(), _PIECE
    while True:
        begin = max(0, log.length - piece)
        lines = [
            (number, line)
            for number, line in enumerate(log.since(begin))
            # Where the log does not begin, the first is the end of a line.
            if (number or not begin) and (word in line or _ADOPTED in line)
        ]
        begun, found = _read(lines, recording)
        if begun or not begin:
            return found
        piece *= 8


def _read(lines: Sequence[tuple[int, bytes]], recording: str) -> tuple[bool, Bound | None]:
    doubt, begun, found = doubted(lines), False, None
    for number, line in lines:
        if in_doubt(number, doubt):
            continue
        with suppress(LogTampered):
            entry = decode_entry(line)
            begun |= entry["kind"] == "recording_begun" and entry.get("recording") == recording
            bound = bound_by(entry)
            if bound is not None and bound[0] == recording:
                found = bound[1]
    return begun, found
