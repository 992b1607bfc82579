"""The custody log on disk: ``log.jsonl``, a leaf a line, ``checkpoint`` and ``log.vkey``.

A line is synced before ``append`` returns, and then signed by the next checkpoint. After a kill
there may be whole lines behind the checkpoint (kept) and half a line (dropped: nobody was told).
"""

import json
import os
import threading
from datetime import UTC, datetime
from pathlib import Path
from typing import Self

from .errors import LogTampered, LogUnwritable
from .merkle import CompactRange
from .signing import Checkpoint, SiteSigner, open_note

LOG, CHECKPOINT, VKEY = "log.jsonl", "checkpoint", "log.vkey"

type Field = str | int | float | bool | None


class CustodyLog:
    """Append-only log of one site; synchronous and safe for several threads."""

    def __init__(self, folder: Path, signer: SiteSigner, origin: str) -> None:
        self._folder = folder
        self._signer = signer
        self._origin = origin
        self._tree = CompactRange()
        self._lock = threading.Lock()
        self._fd: int | None = None

    def open(self) -> Self:
        """Check the log against its checkpoint and make ready to append.

        Raises:
            LogTampered: a line was changed, removed or reordered.
            LogUnwritable: the folder cannot be written.
        """
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            path = self._folder / LOG
            data = path.read_bytes() if path.exists() else b""
            whole = data[: data.rfind(b"\n") + 1]
            self._tree = self._read(whole)
            fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
            os.ftruncate(fd, len(whole))
            self._fd = fd
            _replace(self._folder / VKEY, self._signer.vkey + "\n")
        except UnicodeDecodeError:
            raise LogTampered("the checkpoint is not text") from None
        except OSError as err:
            raise LogUnwritable(f"errno {err.errno}") from None
        self.checkpoint()
        return self

    def _read(self, whole: bytes) -> CompactRange:
        tree = CompactRange()
        path = self._folder / CHECKPOINT
        signed = (
            Checkpoint.parse(open_note(path.read_bytes().decode(), self._signer.vkey))
            if path.exists()
            else None
        )
        if signed is None and whole:
            raise LogTampered("the checkpoint is gone")
        checked = signed is None or (signed.size == 0 and signed.origin == self._origin)
        for line in whole.split(b"\n")[:-1]:
            tree.append(line)
            if signed is not None and tree.size == signed.size:
                checked = tree.root() == signed.root and signed.origin == self._origin
        if not checked:
            raise LogTampered("the log does not match its checkpoint")
        return tree

    def append(self, kind: str, now: datetime, **fields: Field) -> int:
        """Add an entry and sync it; returns its index.

        Raises:
            LogUnwritable: it could not be written; the log is as before.
        """
        entry = {"kind": kind, "time": now.astimezone(UTC).isoformat(), **fields}
        line = json.dumps(entry, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()
        with self._lock:
            if self._fd is None:
                raise LogUnwritable("the log is closed")
            before = os.fstat(self._fd).st_size
            try:
                whole = os.write(self._fd, line + b"\n") == len(line) + 1
                os.fsync(self._fd)
            except OSError:
                whole = False
            if not whole:
                os.ftruncate(self._fd, before)
                raise LogUnwritable("an entry could not be written")
            self._tree.append(line)
            return self._tree.size - 1

    def checkpoint(self) -> str:
        """Sign the present head, keep it beside the log, and return it.

        Raises:
            LogUnwritable: it could not be written.
        """
        with self._lock:
            note = self._signer.sign(
                Checkpoint(self._origin, self._tree.size, self._tree.root()).text()
            )
            try:
                _replace(self._folder / CHECKPOINT, note)
            except OSError as err:
                raise LogUnwritable(f"errno {err.errno}") from None
            return note

    def close(self) -> None:
        """Stop appending."""
        with self._lock:
            if self._fd is not None:
                os.close(self._fd)
                self._fd = None


def _replace(path: Path, text: str) -> None:
    """Replace a file so that a kill leaves the old or the new one, whole."""
    temporary = path.with_name(path.name + ".new")
    fd = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    try:
        os.write(fd, text.encode())
        os.fsync(fd)
    finally:
        os.close(fd)
    temporary.replace(path)
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
