"""The custody log on disk: ``log.jsonl``, a leaf a line, ``checkpoint`` and ``log.vkey``.

A head is signed before its line is written (heads.py), and both are synced before ``append``
returns. A kill may leave half a line (dropped: nobody was told). Whole lines that no head signs are
kept, and an entry behind them says so (adopted.py).
"""

import os
import threading
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path
from typing import BinaryIO, Self

from roomwitness.files import lock, replace

from .adopted import ADOPTED
from .entry import Field, encode_entry, is_entry
from .errors import LogInUse, LogTampered, LogUnwritable, own_errors
from .heads import AHEAD, CHECKPOINT, HELD, heads_beside
from .merkle import (
    CompactRange,
    consistency_proof,
    inclusion_proof,
    leaf_hash,
    verify_consistency,
    verify_inclusion,
)
from .proof import TlogProof
from .signing import Checkpoint, SiteSigner, open_note, split_note
from .state import STATE, State
from .tree import TREE, TreeFile

LOG, VKEY = "log.jsonl", "log.vkey"
_PIECE = 1 << 20
# So many entries may be read one by one at the next start: a few milliseconds.
_SAVE_EVERY = 512


class CustodyLog:
    """Append-only log of one site; synchronous and safe for several threads.

    While ``holding``, the checkpoint is not written: somebody copies the folder file by file, and
    one that is newer than the copied lines would count as tampering.
    """

    def __init__(self, folder: Path, signer: SiteSigner, origin: str) -> None:
        self._folder = folder
        self._signer = signer
        self._origin = origin
        self._edge = CompactRange()
        self._digest = sha256()
        self._offset = 0
        self._saved = 0
        self._lock = threading.RLock()
        self._fd: int | None = None
        self._tree: TreeFile | None = None
        # The head in CHECKPOINT; the one in AHEAD, if its lines are written and it must move on.
        self._note = self._ahead = ""
        self._signed_size = -1
        self._torn = False
        self.holding = False
        self.rolled_back_from: int | None = None
        self.adopted = 0

    def open(self, now: datetime | None = None) -> Self:
        """Check the log against its checkpoint and make ready to append.

        ``rolled_back_from`` is then the size that this log once had, if it was more, and
        ``adopted`` the number of lines that nobody had signed, which an entry of ``now`` tells.

        Raises:
            LogTampered: a line was changed, removed or reordered.
            LogInUse: another process has it open.
            LogUnwritable: the folder cannot be written.
        """
        try:
            with own_errors():
                self._open(now)
        except UnicodeDecodeError:
            self._let_go()
            raise LogTampered("the checkpoint is not text") from None
        except BaseException:
            self._let_go()
            raise
        return self

    def _open(self, now: datetime | None) -> None:
        self._folder.mkdir(parents=True, exist_ok=True)
        fd = os.open(self._folder / LOG, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
        self._fd, self._tree = fd, TreeFile(self._folder / TREE)
        if not lock(fd):
            raise LogInUse
        signed = self._load()
        os.ftruncate(fd, self._offset)
        self._tree.cut(self._edge.size)
        self._keep(VKEY, self._signer.vkey + "\n")
        self.adopted = self._edge.size - signed
        if self.adopted:
            fields = {"first": signed, "count": self.adopted}
            self.append(ADOPTED, now or datetime.now(UTC), **fields)
        self.checkpoint()
        for name in (AHEAD, HELD):
            (self._folder / name).unlink(missing_ok=True)

    def _load(self) -> int:
        """Read the log; gives how many of its lines are signed."""
        signed = self._signed()
        state = self._state()
        with (self._folder / LOG).open("rb") as file:
            begun = state is not None and (signed is None or state.size <= signed.size)
            if not (begun and state is not None and self._resume(file, state)):
                if state is not None and signed is not None and state.size > signed.size:
                    self.rolled_back_from = state.size
                self._edge, self._digest = CompactRange(), sha256()
                self._offset = self._saved = 0
                file.seek(0)
            return self._read_rest(file, signed)

    def _signed(self) -> Checkpoint | None:
        path = self._folder / CHECKPOINT
        if not path.exists():
            return None
        signed = Checkpoint.parse(open_note(path.read_bytes().decode(), self._signer.vkey))
        if signed.origin != self._origin:
            raise LogTampered("the log does not match its checkpoint")
        return signed

    def _state(self) -> State | None:
        try:
            text = (self._folder / STATE).read_bytes().decode()
            state = State.parse(open_note(text, self._signer.vkey))
        except FileNotFoundError, UnicodeDecodeError, LogTampered:
            return None
        return state if state.origin == self._origin else None

    def _resume(self, file: BinaryIO, state: State) -> bool:
        """Whether the log begins as it was in that state, and the tree's hashes are those."""
        left = state.offset
        while left and (piece := file.read(min(left, _PIECE))):
            self._digest.update(piece)
            left -= len(piece)
        self._edge = self._require_tree().edge(state.size)
        self._offset, self._saved = state.offset, state.size
        right = self._edge.root() == state.root
        return not left and self._digest.hexdigest() == state.sha256 and right

    def _read_rest(self, file: BinaryIO, signed: Checkpoint | None) -> int:
        """Take in the lines from here on; each of those that are signed must be as it was."""
        size = self._edge.size if self._matches(signed) else None
        tree, heads, best = self._require_tree(), heads_beside(self._folder, self._signer.vkey), ""
        for line in file:
            if not line.endswith(b"\n") or (size is not None and not is_entry(line[:-1])):
                break
            tree.write(self._edge.size, self._edge.append(line[:-1]))
            self._digest.update(line)
            self._offset += len(line)
            if self._matches(signed):
                size = self._edge.size
            elif size is not None and (note := heads.get(self._head(self._edge))):
                size, best = self._edge.size, note
        if signed is None and self._edge.size:
            raise LogTampered("the checkpoint is gone")
        if signed is not None and size is None:
            raise LogTampered("the log does not match its checkpoint")
        if best and self._fd is not None:  # Before another head takes its place.
            os.fsync(self._fd)
            self._keep(CHECKPOINT, best)
        return size or 0

    def _matches(self, signed: Checkpoint | None) -> bool:
        return (
            signed is not None
            and signed.size == self._edge.size
            and signed.root == self._edge.root()
        )

    def _head(self, edge: CompactRange) -> Checkpoint:
        return Checkpoint(self._origin, edge.size, edge.root())

    @property
    def size(self) -> int:
        """How many entries there are."""
        return self._edge.size

    @property
    def length(self) -> int:
        """How many bytes its lines are."""
        return self._offset

    def since(self, position: int) -> Iterator[bytes]:
        """The leaves that begin at or behind that byte, without their newlines.

        Raises:
            LogUnwritable: the log cannot be read.
        """
        with own_errors(), (self._folder / LOG).open("rb") as file:
            file.seek(position)
            while file.tell() < self._offset:
                yield file.readline().removesuffix(b"\n")

    def append(self, kind: str, now: datetime, **fields: Field) -> int:
        """Add an entry and sync it; returns its index.

        Raises:
            LogUnwritable: it could not be written; the log is as before.
        """
        return self.append_all([encode_entry(kind, now, fields)])

    def append_all(self, leaves: Sequence[bytes], *, unsigned: bool = False) -> int:
        """Add entries (of ``encode_entry``), synced together; returns the index of the first.

        ``unsigned``: also if they cannot be signed yet, as on a disk that is nearly full.

        Raises:
            LogUnwritable: they could not be written; the log is as before.
        """
        data = b"".join(leaf + b"\n" for leaf in leaves)
        with self._lock:
            if self._fd is None or self._tree is None:
                raise LogUnwritable("the log is closed")
            edge = self._edge.copy()
            completed = [node for leaf in leaves for node in edge.append(leaf)]
            ahead = self._sign_ahead(edge, unsigned=unsigned)
            try:
                if self._torn:
                    os.ftruncate(self._fd, self._offset)
                    self._torn = False
                whole = os.write(self._fd, data) == len(data)
                os.fsync(self._fd)
            except OSError:
                whole = False
            if not whole:
                self._cut()
                raise LogUnwritable("an entry could not be written")
            first, self._edge, self._ahead = self._edge.size, edge, ahead
            self._digest.update(data)
            self._offset += len(data)
            try:
                self._tree.write(first, completed)
            except OSError:
                self._saved = -_SAVE_EVERY  # It is made again from the log when a proof is wrong.
            with suppress(OSError):  # Where it is it signs them too.
                self._move_on()
            return first

    def _sign_ahead(self, edge: CompactRange, *, unsigned: bool) -> str:
        """Write the head of what is about to be written."""
        note = self._signer.sign(self._head(edge).text())
        try:
            with own_errors():
                self._move_on()
                self._keep(AHEAD, note)
        except LogUnwritable:
            if not unsigned:
                raise
            return ""
        return note

    def _move_on(self) -> None:
        """Put the head whose lines are written where it stays."""
        if self._ahead:
            # Not synced: until it is durable, the file has its old name and says the same.
            (self._folder / AHEAD).replace(self._folder / (HELD if self.holding else CHECKPOINT))
            if not self.holding:
                self._note, self._signed_size = self._ahead, self._edge.size
            self._ahead = ""

    def _cut(self) -> None:
        """Take back what was half written; if even that fails, before the next entry."""
        self._torn = True
        try:
            if self._fd is not None:
                os.ftruncate(self._fd, self._offset)
                self._torn = False
        except OSError:
            return

    def checkpoint(self) -> str:
        """Sign the present head, keep it beside the log, and return it.

        Raises:
            LogUnwritable: it could not be written.
        """
        with self._lock:
            note = self._signer.sign(self._head(self._edge).text())
            with own_errors():
                self._move_on()
                if self.holding:
                    return note
                if note != self._note or not (self._folder / CHECKPOINT).exists():
                    self._keep(CHECKPOINT, note)
                self._note, self._signed_size = note, self._edge.size
                if self._edge.size - self._saved >= _SAVE_EVERY:
                    self._save_state()
            return note

    def _keep(self, name: str, text: str) -> None:
        replace(self._folder / name, text.encode(), sync=True)

    def _save_state(self) -> None:
        if self._edge.size:
            root, size = self._edge.root(), self._edge.size
            state = State(self._origin, size, self._offset, self._digest.hexdigest(), root)
            self._keep(STATE, self._signer.sign(state.text()))
        self._saved = self._edge.size

    def prove(self, index: int, leaf: bytes) -> TlogProof:
        """Prove that ``leaf`` is entry ``index`` under the newest checkpoint.

        Raises:
            LogTampered: it is not there.
            LogUnwritable: the log is closed or unreadable.
        """
        return self.prove_all([(index, leaf)])[0]

    def prove_all(self, entries: Iterable[tuple[int, bytes]]) -> list[TlogProof]:
        """Prove several entries under one new checkpoint; see ``prove``."""
        with self._lock, own_errors():
            note, size, root = self.checkpoint(), self._edge.size, self._edge.root()
            return [self._prove(index, leaf, note, size, root) for index, leaf in entries]

    def prove_under(self, index: int, leaf: bytes, note: str) -> TlogProof:
        """As ``prove``, under an earlier checkpoint of this log, with its cosignatures."""
        head = Checkpoint.parse(split_note(note)[0])
        with self._lock, own_errors():
            return self._prove(index, leaf, note, head.size, head.root)

    def _prove(self, index: int, leaf: bytes, note: str, size: int, root: bytes) -> TlogProof:
        path = inclusion_proof(self._require_tree().subtree, index, size)
        if not verify_inclusion(leaf_hash(leaf), index, size, path, root):
            self._rebuild()
            path = inclusion_proof(self._require_tree().subtree, index, size)
            if not verify_inclusion(leaf_hash(leaf), index, size, path, root):
                raise LogTampered("the log holds no such entry")
        return TlogProof(index, tuple(path), note, leaf)

    def consistency(self, old: int) -> list[bytes]:
        """Prove that the log of ``old`` entries is where the newest checkpoint's began."""
        with self._lock, own_errors():
            return consistency_proof(self._require_tree().subtree, old, self._edge.size)

    def consistency_to(self, old: int, head: Checkpoint) -> list[bytes]:
        """Prove that the log of ``old`` entries is where that of ``head``, one of its own, began.

        Raises:
            LogTampered: ``head`` is not where this log once stood.
        """
        with self._lock, own_errors():
            for again in (True, False):
                proof = consistency_proof(self._require_tree().subtree, old, head.size)
                root = self.root_at(old)
                # From no entries on there is nothing to prove (tlog-witness).
                if self.root_at(head.size) == head.root and (
                    not old or verify_consistency(old, head.size, root, head.root, proof)
                ):
                    return proof
                if again:
                    self._rebuild()
        raise LogTampered("not a head of this log")

    def root_at(self, size: int) -> bytes:
        """The tree's head when the log had ``size`` entries."""
        with self._lock, own_errors():
            return self._require_tree().subtree(0, size)

    def _rebuild(self) -> None:
        """Make the tree's hashes again from the lines."""
        edge, tree = CompactRange(), self._require_tree()
        with (self._folder / LOG).open("rb") as file:
            for line in file:
                tree.write(edge.size, edge.append(line[:-1]))

    def _require_tree(self) -> TreeFile:
        if self._tree is None:
            raise LogUnwritable("the log is closed")
        return self._tree

    def close(self) -> None:
        """Stop appending; the state is kept, so that the next start is quick."""
        with self._lock:
            try:
                if self._fd is not None and self._signed_size == self._edge.size:
                    self._save_state()
            except OSError:
                pass  # The next start reads a little more.
            self._let_go()

    def _let_go(self) -> None:
        if self._fd is not None:
            os.close(self._fd)
        if self._tree is not None:
            self._tree.close()
        self._fd = self._tree = None
