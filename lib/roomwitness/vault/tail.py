"""What an open segment's last chunk still waits for, kept sealed so that a kill does not cost it.

``NAME.tail``, overwritten in place, for as long as the segment is open: first the tail's own key in
an age file for the segment's recipient, behind its length; then two slots that flushes fill in
turn. A kill in the middle of one leaves the other; a power cut may leave neither. A slot is a
counter, the offset of its bytes in the segment's plaintext, their length, and when the segment
began as was known by then, in microseconds since 1970 (four big-endian 64-bit numbers), then the
bytes under ChaCha20-Poly1305 (RFC 8439): the counter is the nonce, the four numbers are
authenticated.
"""

import os
import struct
import threading
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305

from roomwitness import files

from . import age
from .errors import AgeFormatError

_HEAD = struct.Struct(">QQQQ")
_TAG = 16
_SLOT = _HEAD.size + age.CHUNK + _TAG
_SLOTS = 1 << 14  # Where they begin: an age file for a post-quantum recipient has 2 KiB.
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Kept:
    """``pending`` is the plaintext from ``offset`` on, of a segment that began at ``start``."""

    offset: int
    pending: bytes
    start: datetime


class _Scratch(threading.local):
    """One slot, made whole in memory and written by a single call; a thread needs no more."""

    def __init__(self) -> None:
        self.view = memoryview(bytearray(_SLOT))


_scratch = _Scratch()


class Tail:
    """Writes one; the file is made at the first ``keep``."""

    def __init__(self, path: Path, recipient: age.KnownRecipient) -> None:
        self._path = path
        self._recipient = recipient
        self._key = ChaCha20Poly1305.generate_key()
        self._aead = ChaCha20Poly1305(self._key)
        self._fd = -1
        self._counter = 0
        self._slot = 0

    def keep(self, offset: int, pending: memoryview, start: datetime) -> None:
        """Keep the plaintext from ``offset`` on: at most one chunk; the segment began at ``start``.

        Raises:
            OSError: what was kept before still is.
        """
        if self._fd < 0:
            self._create()
        self._counter += 1  # Also after a failure: a nonce never covers two texts.
        end = _HEAD.size + len(pending) + _TAG
        slot = _scratch.view[:end]
        began = (start - _EPOCH) // timedelta(microseconds=1)
        _HEAD.pack_into(slot, 0, self._counter, offset, len(pending), began)
        nonce, head = self._counter.to_bytes(12), slot[: _HEAD.size]
        self._aead.encrypt_into(nonce, pending, head, slot[_HEAD.size :])
        files.write_all_at(self._fd, slot, _SLOTS + self._slot * _SLOT)
        self._slot ^= 1

    def _create(self) -> None:
        sealed = age.encrypt(self._key, [self._recipient])
        self._path.unlink(missing_ok=True)  # One that a failure left without anything kept.
        fd = files.create(self._path)
        try:
            files.write_all(fd, len(sealed).to_bytes(4) + sealed)
        except OSError:
            os.close(fd)
            raise
        self._fd = fd

    def close(self) -> None:
        """Let go of the file; it stays."""
        fd, self._fd = self._fd, -1
        if fd >= 0:
            os.close(fd)


def kept(path: Path, identity: age.KnownIdentity) -> list[Kept]:
    """What is there of what was kept, the newest first; nothing if the first was never whole.

    Raises:
        OSError: it cannot be read.
        AgeFormatError: all of it is damaged.
        KeyMissing: it is for another identity.
    """
    data = path.read_bytes()
    if len(data) <= _SLOTS:
        return []
    key = age.decrypt(data[4 : 4 + int.from_bytes(data[:4])], [identity])
    aead = ChaCha20Poly1305(key)
    found = [_open(aead, data[at : at + _SLOT]) for at in (_SLOTS, _SLOTS + _SLOT)]
    whole = sorted((slot for slot in found if slot is not None), key=lambda slot: -slot[0])
    if whole:
        return [slot for _, slot in whole]
    size = int.from_bytes(data[_SLOTS + 16 : _SLOTS + 24])
    if size <= age.CHUNK and len(data) < _SLOTS + _HEAD.size + size + _TAG:
        return []
    raise AgeFormatError("a tail does not authenticate")


def _open(aead: ChaCha20Poly1305, slot: bytes) -> tuple[int, Kept] | None:
    head = slot[: _HEAD.size]
    if len(head) < _HEAD.size:
        return None
    counter, offset, size, began = _HEAD.unpack(head)
    sealed = slot[_HEAD.size : _HEAD.size + size + _TAG]
    try:
        pending = aead.decrypt(counter.to_bytes(12), sealed, head)
    except InvalidTag, OverflowError:
        return None
    return counter, Kept(offset, pending, _EPOCH + timedelta(microseconds=began))
