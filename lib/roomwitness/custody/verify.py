"""Check a custody log with nothing but its files and the site's public key."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from .checkpoints import kept_notes, newest_cosigned
from .entry import decode_entry
from .errors import LogTampered, ProofInvalid
from .log import CHECKPOINT, LOG, VKEY
from .merkle import CompactRange, inclusion_proof, leaf_hash, subtrees
from .proof import TlogProof
from .signing import Checkpoint, open_note, split_note


@dataclass(frozen=True, slots=True)
class Verified:
    """A log that holds: ``size`` entries are signed, ``unsigned`` more wait for a checkpoint.

    ``kept`` is how many checkpoints that were kept beside it it continues.
    """

    origin: str
    size: int
    unsigned: int
    root: str
    last_time: str | None
    kept: int = 0


def verify_log(folder: Path, vkey: str | None = None, kept: Sequence[str] = ()) -> Verified:
    """Check every line against the signed checkpoint.

    ``vkey`` is the site's published verifier key; without it the one beside the log is used, which
    shows that the log is whole but not whose it is. ``kept`` are checkpoints that somebody outside
    was given earlier: each of them, and of those kept beside the log, must be where this log once
    stood, or it was rewritten or rolled back.

    Raises:
        LogTampered: the log or its checkpoint does not hold, or is not there.
    """
    return read_log(folder, vkey, kept)[0]


def read_log(
    folder: Path, vkey: str | None = None, kept: Sequence[str] = ()
) -> tuple[Verified, list[bytes]]:
    """As ``verify_log``, and the lines; those behind the signed ``size`` are nobody's word yet."""
    try:
        key = vkey or (folder / VKEY).read_text()
        signed = Checkpoint.parse(open_note((folder / CHECKPOINT).read_bytes().decode(), key))
        beside = [note for _, note in kept_notes(folder)]
        earlier = [Checkpoint.parse(open_note(note, key)) for note in (*kept, *beside)]
        lines = (folder / LOG).read_bytes().split(b"\n")[:-1]
    except OSError, UnicodeDecodeError:
        raise LogTampered("log, checkpoint or key is missing or unreadable") from None
    tree = CompactRange()
    roots = {0: tree.root()}
    wanted = {checkpoint.size for checkpoint in earlier}
    last: str | None = None
    for number, line in enumerate(lines, 1):
        try:
            last = str(decode_entry(line)["time"])
        except LogTampered:
            raise LogTampered("a line is not an entry", line=str(number)) from None
        tree.append(line)
        if tree.size in wanted:
            roots[tree.size] = tree.root()
        if tree.size == signed.size and tree.root() != signed.root:
            raise LogTampered("the lines do not match the checkpoint")
    if tree.size < signed.size:
        raise LogTampered("lines are missing")
    for checkpoint in earlier:
        same = checkpoint.origin == signed.origin
        if not same or roots.get(checkpoint.size) != checkpoint.root:
            raise LogTampered("this is not the log that a kept checkpoint was taken of")
    unsigned = tree.size - signed.size
    root = signed.root.hex()
    found = Verified(signed.origin, signed.size, unsigned, root, last, len(beside))
    return found, lines


def prove_entry(folder: Path, index: int) -> TlogProof:
    """Make the proof of one entry from the log's files alone; nothing is written.

    Raises:
        LogTampered: the log or its checkpoint does not hold.
        ProofInvalid: the checkpoint signs no such entry.
    """
    found, lines = read_log(folder)
    lines = lines[: found.size]
    if not 0 <= index < len(lines):
        raise ProofInvalid("the checkpoint signs no such entry")
    # A head that witnesses cosigned shows more than the newest one.
    cosigned = newest_cosigned(folder, index)
    note = cosigned or (folder / CHECKPOINT).read_bytes().decode()
    size = Checkpoint.parse(split_note(note)[0]).size
    path = inclusion_proof(subtrees([leaf_hash(line) for line in lines[:size]]), index, size)
    return TlogProof(index, tuple(path), note, lines[index])
