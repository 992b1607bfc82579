"""Whole age files: header and STREAM payload (c2sp.org/age, "Payload"), chunk by chunk."""

import hmac
import io
import secrets
import threading
from collections.abc import Callable, Iterator, Sequence
from hashlib import sha256
from typing import BinaryIO

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305

from roomwitness.vault.errors import AgeFormatError, KeyMissing

from . import header
from .recipient import AnyIdentity, AnyRecipient, together
from .x25519 import hkdf

CHUNK = 65536
_TAG = 16
_NONCE = 16
_FILE_KEY = 16
_PAGE = 4096  # Nothing smaller is written to a disk, or not.
_TOGETHER = 4  # Chunks that are written by one call of the system.


def _nonce(counter: int, *, last: bool) -> bytes:
    return counter.to_bytes(11) + (b"\x01" if last else b"\x00")


def _mac(file_key: bytes, covered: bytes) -> bytes:
    return hmac.digest(hkdf(file_key, b"", b"header"), covered, sha256)


class _Scratch(threading.local):
    """A few sealed chunks on their way to a file: they stay in the processor's cache."""

    def __init__(self) -> None:
        self.view = memoryview(bytearray(_TOGETHER * (CHUNK + _TAG)))


_scratch = _Scratch()


class Encryptor:
    """Encrypts a stream to ``write``; a chunk is sealed once the next byte is known to follow."""

    def __init__(
        self, recipients: Sequence[AnyRecipient], write: Callable[[memoryview | bytes], object]
    ) -> None:
        file_key = secrets.token_bytes(_FILE_KEY)
        covered = header.encode(together(recipient.wrap(file_key) for recipient in recipients))
        nonce = secrets.token_bytes(_NONCE)
        self._aead = ChaCha20Poly1305(hkdf(file_key, nonce, b"payload"))
        self._write = write
        self._counter = 0
        self._plain = memoryview(bytearray(CHUNK))
        self._filled = 0
        mac = header.b64(_mac(file_key, covered)).encode()
        write(covered + b" " + mac + b"\n" + nonce)

    @property
    def sealed(self) -> int:
        """Bytes of plaintext in chunks that were given to ``write``."""
        return self._counter * CHUNK

    @property
    def pending(self) -> memoryview:
        """The plaintext that waits for its chunk to fill, until the next ``write``."""
        return self._plain[: self._filled]

    def write(self, data: bytes | bytearray | memoryview) -> None:
        """Take plaintext. ``write`` gets chunks in a buffer that the next ones overwrite."""
        size, filled = len(data), self._filled
        if filled + size <= CHUNK:
            self._plain[filled : filled + size] = data
            self._filled = filled + size
            return
        with memoryview(data) as view:
            at = CHUNK - filled if filled else 0
            whole = []
            if filled:
                self._plain[filled:] = view[:at]
                whole.append(self._plain)
            for place in range(at, size - CHUNK, CHUNK):  # Behind each a byte follows.
                whole.append(view[place : place + CHUNK])
                at = place + CHUNK
            for place in range(0, len(whole), _TOGETHER):
                self._seal(whole[place : place + _TOGETHER], last=False)
            self._filled = size - at
            self._plain[: size - at] = view[at:]

    def _seal(self, chunks: Sequence[memoryview], *, last: bool) -> None:
        out, end = _scratch.view, 0
        for chunk in chunks:
            begin, end = end, end + len(chunk) + _TAG
            nonce = _nonce(self._counter, last=last)
            # Also if it is never written: a nonce never covers two texts.
            self._counter += 1
            self._aead.encrypt_into(nonce, chunk, None, out[begin:end])
        self._write(out[:end])

    def finish(self) -> None:
        """Seal the last chunk; nothing may be written afterwards."""
        self._seal([self.pending], last=True)

    def close(self) -> None:
        """Let go of the plaintext, and of whoever is written to: that one has us too, and such a
        circle keeps both until Python looks for it. Nothing may be written afterwards."""
        self._plain, self._filled = memoryview(bytearray()), 0
        self._write = _closed


def _closed(_data: memoryview | bytes) -> None:
    raise ValueError("closed")


def encrypt(data: bytes, recipients: Sequence[AnyRecipient]) -> bytes:
    """A whole age file.

    Raises:
        RecipientsMixed: these recipients may not share a file.
        PluginMissing, PluginFailed: a recipient's plugin is not here, or does not do its work.
    """
    out = io.BytesIO()
    encryptor = Encryptor(recipients, out.write)
    encryptor.write(data)
    encryptor.finish()
    return out.getvalue()


def decrypt(data: bytes, identities: Sequence[AnyIdentity]) -> bytes:
    """The plaintext of a whole age file.

    Raises:
        AgeFormatError: it is not a whole, unchanged age file.
        KeyMissing: none of the identities opens it.
    """
    return b"".join(decrypt_stream(io.BytesIO(data), identities))


def decrypt_stream(source: BinaryIO, identities: Sequence[AnyIdentity]) -> Iterator[bytes]:
    """Give the plaintext chunk by chunk; each chunk is authentic when it is given.

    Raises:
        AgeFormatError: changed, shortened or followed by anything; raised where it is found.
        KeyMissing: none of the identities opens it.
    """
    aead = _open(source, identities)
    counter = 0
    block = source.read(CHUNK + _TAG)
    while True:
        following = source.read(CHUNK + _TAG)
        last = not following
        try:
            plain = aead.decrypt(_nonce(counter, last=last), block, None)
        except InvalidTag, ValueError:
            raise AgeFormatError("a chunk does not authenticate") from None
        if last and not plain and counter:
            raise AgeFormatError("an empty last chunk")
        yield plain
        if last:
            return
        block, counter = following, counter + 1


def decrypt_prefix(source: BinaryIO, identities: Sequence[AnyIdentity]) -> bytes:
    """The whole chunks of a file whose writer was killed, or lost power: then there may be zeros
    where what was written did not reach the disk.

    Raises:
        AgeFormatError: even the header is not whole, or a whole chunk is changed.
        KeyMissing: none of the identities opens it.
    """
    aead = _open(source, identities)
    out: list[bytes] = []
    while block := source.read(CHUNK + _TAG):
        for last in (False, True):
            try:
                out.append(aead.decrypt(_nonce(len(out), last=last), block, None))
                break
            except InvalidTag, ValueError:
                continue
        else:
            if len(block) == CHUNK + _TAG and not _zeros(block, source):
                raise AgeFormatError("a chunk does not authenticate")
    return b"".join(out)


def _zeros(block: bytes, source: BinaryIO) -> bool:
    """Whether a block has zeros from some page on, and all behind it: no sealed text has."""
    last = block[-_PAGE:]
    return not any(last) and not any(any(rest) for rest in iter(lambda: source.read(CHUNK), b""))


def _open(source: BinaryIO, identities: Sequence[AnyIdentity]) -> ChaCha20Poly1305:
    stanzas, covered, mac = header.read(lambda: source.readline(8192))
    keys = (identity.unwrap(stanza) for stanza in stanzas for identity in identities)
    file_key = next((key for key in keys if key is not None), None)
    if file_key is None:
        raise KeyMissing("no identity opens this file")
    if not hmac.compare_digest(_mac(file_key, covered), mac):
        raise AgeFormatError("the header's MAC does not hold")
    nonce = source.read(_NONCE)
    if len(nonce) != _NONCE:
        raise AgeFormatError("no payload nonce")
    return ChaCha20Poly1305(hkdf(file_key, nonce, b"payload"))
