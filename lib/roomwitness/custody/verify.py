"""Check a custody log with nothing but its files and the site's public key."""

from collections.abc import Callable, Sequence, Set
from dataclasses import dataclass, replace
from pathlib import Path

from .adopted import ADOPTED, doubted, in_doubt
from .checkpoints import kept_notes, newest_cosigned
from .entry import decode_entry
from .errors import LogTampered, ProofInvalid
from .heads import CHECKPOINT, heads_beside
from .log import LOG, VKEY
from .merkle import CompactRange, inclusion_proof, leaf_hash, subtrees
from .proof import TlogProof
from .signing import Checkpoint, open_note, split_note


@dataclass(frozen=True, slots=True)
class Verified:
    """A log that holds: ``size`` entries are signed, and ``unsigned`` lines more by nobody.

    ``kept`` is how many checkpoints that were kept beside it it continues; ``adopted`` are the
    entries that nobody had signed until they were found at a start (adopted.py).
    """

    origin: str
    size: int
    unsigned: int
    root: str
    last_time: str | None
    kept: int = 0
    adopted: tuple[range, ...] = ()


def verify_log(folder: Path, vkey: str | None = None, kept: Sequence[str] = ()) -> Verified:
    """Check every line against the signed checkpoint.

    ``vkey`` is the site's published verifier key; without it the one beside the log is used, which
    shows that the log is whole but not whose it is. ``kept`` are checkpoints that somebody outside
    was given earlier: each of them, and of those kept beside the log, must be where this log once
    stood, or it was rewritten or rolled back.

    Raises:
        LogTampered: the log or its checkpoint does not hold, or is not there.
    """

    telling: list[tuple[int, bytes]] = []

    def whole(number: int, line: bytes) -> None:
        try:
            entry = decode_entry(line)
        except LogTampered:
            raise LogTampered("a line is not an entry", line=str(number + 1)) from None
        if entry["kind"] == ADOPTED:
            telling.append((number, line))

    found = walk_log(folder, whole, vkey, kept)
    signed = [each for each in telling if each[0] < found.size]
    return replace(found, adopted=doubted(signed))


def walk_log(
    folder: Path,
    see: Callable[[int, bytes], None],
    vkey: str | None = None,
    kept: Sequence[str] = (),
) -> Verified:
    """As ``verify_log``; ``see`` gets each line and its number, also those not signed yet.

    A line is known to be what was signed only when this returns. Nothing is kept in memory.
    """
    try:
        key = vkey or (folder / VKEY).read_text()
        # In this order: what is behind the log's end now is written by a site at work, whose heads
        # reach at least up to there.
        length = (folder / LOG).stat().st_size
        ahead = heads_beside(folder, key)
        signed = Checkpoint.parse(open_note((folder / CHECKPOINT).read_bytes().decode(), key))
        beside = [note for _, note in kept_notes(folder)]
        earlier = [Checkpoint.parse(open_note(note, key)) for note in (*kept, *beside)]
        wanted = {head.size for head in (*earlier, *ahead)}
        tree, roots, last = _walk(folder / LOG, see, signed, wanted, length)
    except OSError, UnicodeDecodeError:
        raise LogTampered("log, checkpoint or key is missing or unreadable") from None
    if tree.size < signed.size:
        raise LogTampered("lines are missing")
    for checkpoint in earlier:
        same = checkpoint.origin == signed.origin
        if not same or roots.get(checkpoint.size) != checkpoint.root:
            raise LogTampered("this is not the log that a kept checkpoint was taken of")
    for head in ahead:
        same = head.origin == signed.origin and roots.get(head.size) == head.root
        signed = head if same and head.size > signed.size else signed
    unsigned = tree.size - signed.size
    time = str(decode_entry(last)["time"]) if last is not None else None
    return Verified(signed.origin, signed.size, unsigned, signed.root.hex(), time, len(beside))


def _walk(
    path: Path, see: Callable[[int, bytes], None], signed: Checkpoint, wanted: Set[int], length: int
) -> tuple[CompactRange, dict[int, bytes], bytes | None]:
    """The tree over all whole lines, its heads at the sizes that are wanted, the last line.

    What begins behind ``length`` bytes is read as far as a head may sign it.
    """
    tree, last = CompactRange(), None
    roots = {0: tree.root()}
    top = max({signed.size, *wanted})
    with path.open("rb") as file:
        for whole in file:
            if not whole.endswith(b"\n") or (length <= 0 and tree.size >= top):
                break
            length -= len(whole)
            last = whole[:-1]
            see(tree.size, last)
            tree.append(last)
            if tree.size in wanted:
                roots[tree.size] = tree.root()
            if tree.size == signed.size and tree.root() != signed.root:
                raise LogTampered("the lines do not match the checkpoint")
    return tree, roots, last


def prove_entry(folder: Path, index: int) -> TlogProof:
    """Make the proof of one entry from the log's files alone; nothing is written.

    Raises:
        LogTampered: the log or its checkpoint does not hold.
        ProofInvalid: the checkpoint signs no such entry, or nobody had signed it when a start
            found it (adopted.py): a proof would say no less of it than of any other.
    """
    hashes: list[bytes] = []
    telling: list[tuple[int, bytes]] = []
    leaf = b""

    def see(number: int, line: bytes) -> None:
        nonlocal leaf
        hashes.append(leaf_hash(line))
        if ADOPTED.encode() in line:
            telling.append((number, line))
        if number == index:
            leaf = line

    found = walk_log(folder, see)
    if not 0 <= index < found.size:
        raise ProofInvalid("the checkpoint signs no such entry")
    if in_doubt(index, doubted(each for each in telling if each[0] < found.size)):
        raise ProofInvalid(
            "nobody had signed this entry when a start found it: it may be anybody's"
        )
    # A head that witnesses cosigned shows more than the newest one.
    cosigned = newest_cosigned(folder, index)
    note = cosigned or (folder / CHECKPOINT).read_bytes().decode()
    size = Checkpoint.parse(split_note(note)[0]).size
    if index >= size:  # A kill left its head beside the checkpoint; the next start mends it.
        raise ProofInvalid("the checkpoint signs no such entry")
    path = inclusion_proof(subtrees(hashes[:size]), index, size)
    return TlogProof(index, tuple(path), note, leaf)
