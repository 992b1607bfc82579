"""Signed notes with Ed25519 (c2sp.org/signed-note), checkpoints (c2sp.org/tlog-checkpoint)."""

import base64
import binascii
from dataclasses import dataclass
from hashlib import sha256
from typing import Self

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from .errors import LogTampered

_ED25519 = b"\x01"
_DASH = "\N{EM DASH}"


def _key_id(name: str, public: bytes) -> bytes:
    return sha256(name.encode() + b"\n" + _ED25519 + public).digest()[:4]


class SiteSigner:
    """A site's log key. ``name`` may hold neither spaces nor plus signs (signed-note, "Keys")."""

    def __init__(self, name: str, key: Ed25519PrivateKey) -> None:
        if not name or any(c.isspace() or c == "+" for c in name):
            raise ValueError("a key name holds neither spaces nor plus signs")
        self.name = name
        self._key = key

    @classmethod
    def generate(cls, name: str) -> Self:
        """Make a fresh key."""
        return cls(name, Ed25519PrivateKey.generate())

    @classmethod
    def from_private_bytes(cls, name: str, private: bytes) -> Self:
        """Load a key from its 32 raw bytes."""
        return cls(name, Ed25519PrivateKey.from_private_bytes(private))

    @property
    def private_bytes(self) -> bytes:
        """The 32 raw bytes of the secret key."""
        return self._key.private_bytes_raw()

    @property
    def vkey(self) -> str:
        """The verifier key to publish: ``name+id+key``."""
        public = self._key.public_key().public_bytes_raw()
        encoded = base64.b64encode(_ED25519 + public).decode()
        return f"{self.name}+{_key_id(self.name, public).hex()}+{encoded}"

    def sign(self, text: str) -> str:
        """Give the signed note; ``text`` must end in a newline."""
        public = self._key.public_key().public_bytes_raw()
        blob = _key_id(self.name, public) + self._key.sign(text.encode())
        return f"{text}\n{_DASH} {self.name} {base64.b64encode(blob).decode()}\n"


def open_note(note: str, vkey: str) -> str:
    """Give a note's text once the signature of ``vkey`` on it holds.

    Raises:
        LogTampered: no valid signature of that key.
    """
    text, separator, signatures = note.rpartition("\n\n")
    if not separator or not signatures.endswith("\n"):
        raise LogTampered("the checkpoint is not a signed note")
    text += "\n"
    try:
        name, key_id, encoded = vkey.strip().split("+", 2)
        raw = base64.b64decode(encoded, validate=True)
        public = Ed25519PublicKey.from_public_bytes(raw[1:])
        if raw[:1] != _ED25519 or _key_id(name, raw[1:]).hex() != key_id:
            raise LogTampered("the verifier key is malformed")
        for line in signatures[:-1].split("\n"):
            dash, signer, signature = line.split(" ")
            blob = base64.b64decode(signature, validate=True)
            if base64.b64encode(blob).decode() != signature:
                raise LogTampered("the checkpoint's signature is malformed")
            if dash == _DASH and signer == name and blob[:4].hex() == key_id:
                public.verify(blob[4:], text.encode())
                return text
    except ValueError, binascii.Error, InvalidSignature:
        raise LogTampered("the checkpoint's signature does not hold") from None
    raise LogTampered("the checkpoint is not signed by this site")


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """A tree head: origin, size, root."""

    origin: str
    size: int
    root: bytes

    def text(self) -> str:
        """The note's text (tlog-checkpoint)."""
        return f"{self.origin}\n{self.size}\n{base64.b64encode(self.root).decode()}\n"

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read a note's text.

        Raises:
            LogTampered: it is not a checkpoint.
        """
        try:
            origin, size, root = text.split("\n")[:3]
            if str(int(size)) != size or int(size) < 0:
                raise LogTampered("the checkpoint is malformed")
            return cls(origin, int(size), base64.b64decode(root, validate=True))
        except ValueError, binascii.Error:
            raise LogTampered("the checkpoint is malformed") from None
