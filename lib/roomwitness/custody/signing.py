"""Signed notes with Ed25519 (c2sp.org/signed-note), checkpoints (c2sp.org/tlog-checkpoint)."""

import base64
import binascii
from dataclasses import dataclass
from hashlib import sha256
from typing import Self

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from .errors import LogTampered

ED25519, COSIGNATURE = b"\x01", b"\x04"
DASH = "\N{EM DASH}"
_ID_BYTES = 4


def key_id(name: str, kind: bytes, public: bytes) -> bytes:
    """A key's identifier in a signature line (signed-note, "Signatures")."""
    return sha256(name.encode() + b"\n" + kind + public).digest()[:_ID_BYTES]


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
    def public_bytes(self) -> bytes:
        """The 32 raw bytes of the public key."""
        return self._key.public_key().public_bytes_raw()

    @property
    def vkey(self) -> str:
        """The verifier key to publish: ``name+id+key``."""
        encoded = base64.b64encode(ED25519 + self.public_bytes).decode()
        return f"{self.name}+{key_id(self.name, ED25519, self.public_bytes).hex()}+{encoded}"

    def sign(self, text: str) -> str:
        """Give the signed note; ``text`` must end in a newline."""
        blob = key_id(self.name, ED25519, self.public_bytes) + self.sign_bytes(text.encode())
        return f"{text}\n{DASH} {self.name} {base64.b64encode(blob).decode()}\n"

    def sign_bytes(self, data: bytes) -> bytes:
        """The bare signature of these bytes."""
        return self._key.sign(data)


def parse_vkey(vkey: str) -> tuple[str, bytes, bytes, bytes]:
    """Name, identifier, kind and public bytes of a verifier key (signed-note, "Verifier keys").

    Raises:
        LogTampered: it is malformed.
    """
    try:
        name, identifier, encoded = vkey.strip().split("+", 2)
        raw = base64.b64decode(encoded, validate=True)
    except ValueError, binascii.Error:
        raise LogTampered("the verifier key is malformed") from None
    kind, public = raw[:1], raw[1:]
    if not name or key_id(name, kind, public).hex() != identifier:
        raise LogTampered("the verifier key is malformed")
    return name, bytes.fromhex(identifier), kind, public


def split_note(note: str) -> tuple[str, list[tuple[str, bytes]]]:
    """A note's text, and of each signature line the name and the bytes: nothing is checked yet.

    Raises:
        LogTampered: it is not a signed note.
    """
    text, separator, signatures = note.rpartition("\n\n")
    if not separator or not signatures.endswith("\n"):
        raise LogTampered("the checkpoint is not a signed note")
    lines = []
    try:
        for line in signatures[:-1].split("\n"):
            dash, name, signature = line.split(" ")
            blob = base64.b64decode(signature, validate=True)
            if dash != DASH or base64.b64encode(blob).decode() != signature:
                raise LogTampered("the checkpoint's signature is malformed")
            lines.append((name, blob))
    except ValueError, binascii.Error:
        raise LogTampered("the checkpoint's signature is malformed") from None
    return text + "\n", lines


def open_note(note: str, vkey: str) -> str:
    """Give a note's text once the signature of ``vkey`` on it holds.

    Raises:
        LogTampered: no valid signature of that key.
    """
    text, lines = split_note(note)
    name, identifier, kind, public = parse_vkey(vkey)
    if kind != ED25519:
        raise LogTampered("the verifier key is malformed")
    for signer, blob in lines:
        if signer == name and blob[:_ID_BYTES] == identifier:
            try:
                key = Ed25519PublicKey.from_public_bytes(public)
                key.verify(blob[_ID_BYTES:], text.encode())
            except ValueError, InvalidSignature:
                raise LogTampered("the checkpoint's signature does not hold") from None
            return text
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
