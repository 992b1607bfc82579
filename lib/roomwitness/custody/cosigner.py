"""This site as a witness for other logs (c2sp.org/tlog-witness): it never signs two histories.

Of each log the newest checkpoint that was cosigned is kept, synced before the answer is given:
``LOG.checkpoint``, named by the digest of its origin.
"""

import threading
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from hashlib import sha256
from pathlib import Path

from roomwitness.files import replace

from .cosignature import cosign
from .errors import LogTampered, ProofInvalid
from .merkle import EMPTY_ROOT, verify_consistency
from .signing import ED25519, Checkpoint, SiteSigner, open_note, parse_vkey, split_note
from .submission import SIZE_TYPE, Submission

LIMIT = 32 << 10
"""Bytes that a request may have: a checkpoint, and 63 hashes."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What HTTP answers."""

    status: int
    body: str = ""
    content_type: str = "text/plain"


def log_key(vkey: str) -> tuple[str, str]:
    """Origin and verifier key of a log that may be witnessed.

    Raises:
        LogTampered: it is no Ed25519 verifier key of a log.
    """
    name, _, kind, _ = parse_vkey(vkey)
    if kind != ED25519:
        raise LogTampered("not a log's verifier key")
    return name, vkey.strip()


class Cosigner:
    """Cosigns checkpoints of logs whose keys it was given; for any thread."""

    def __init__(self, folder: Path, signer: SiteSigner, vkeys: Iterable[str]) -> None:
        self._folder = folder
        self._signer = signer
        self._lock = threading.Lock()
        self._signed: dict[str, int] = {}
        self._keys: dict[str, list[str]] = {}
        for vkey in vkeys:
            origin, key = log_key(vkey)
            self._keys.setdefault(origin, []).append(key)

    def add_checkpoint(self, body: bytes, now: datetime) -> Answer:
        """Answer a request.

        Raises:
            OSError: what was seen cannot be read or kept; nothing is signed.
        """
        try:
            asked = Submission.parse(body)
            text, _ = split_note(asked.note)
        except ProofInvalid, LogTampered:
            return Answer(400)
        keys = self._keys.get(text.partition("\n")[0])
        if keys is None:
            return Answer(404)
        if not any(_signed(asked.note, key) for key in keys):
            return Answer(403)
        try:
            head = Checkpoint.parse(text)
        except LogTampered:
            return Answer(400)
        if asked.old > head.size or len(head.root) != len(EMPTY_ROOT):
            return Answer(400)
        with self._lock:
            return self._compare(asked, head, text, now)

    def _compare(self, asked: Submission, head: Checkpoint, text: str, now: datetime) -> Answer:
        size, root = self._seen(head.origin)
        if size < self._signed.get(head.origin, 0):
            raise OSError("what was seen of a log was taken away while we run")
        if asked.old != size or (size == head.size and root != head.root):
            return Answer(409, f"{size}\n", SIZE_TYPE)
        if not verify_consistency(size, head.size, root, head.root, asked.proof):
            return Answer(422)
        if head.size > size:
            self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            replace(self._path(head.origin), asked.note.encode(), sync=True)
        self._signed[head.origin] = head.size
        return Answer(200, cosign(self._signer, text, now))

    def _seen(self, origin: str) -> tuple[int, bytes]:
        try:
            text, _ = split_note(self._path(origin).read_bytes().decode())
            head = Checkpoint.parse(text)
        except FileNotFoundError:
            return 0, EMPTY_ROOT
        except LogTampered, UnicodeDecodeError:
            raise OSError("what was seen of a log cannot be read") from None
        return head.size, head.root

    def _path(self, origin: str) -> Path:
        return self._folder / f"{sha256(origin.encode()).hexdigest()}.checkpoint"


def _signed(note: str, vkey: str) -> bool:
    try:
        open_note(note, vkey)
    except LogTampered:
        return False
    return True
