"""X25519 recipients and identities (c2sp.org/age, "The X25519 recipient type")."""

from dataclasses import dataclass, field
from typing import Self

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from roomwitness.vault.errors import AgeFormatError

from .bech32 import decode_key, encode
from .header import Stanza, b64, unb64
from .recipient import Wrapped

_INFO = b"age-encryption.org/v1/X25519"
_ZERO_NONCE = bytes(12)


def hkdf(key: bytes, salt: bytes, info: bytes) -> bytes:
    """HKDF-SHA-256 to 32 bytes."""
    return HKDF(SHA256(), 32, salt, info).derive(key)


@dataclass(frozen=True, slots=True)
class Recipient:
    """A public key, written ``age1...``."""

    public: bytes

    @classmethod
    def from_string(cls, text: str) -> Self:
        """Read ``age1...``.

        Raises:
            IdentityInvalid: it is not one.
        """
        return cls(decode_key(text, "age", 32, upper=False))

    def __str__(self) -> str:
        return encode("age", self.public)

    def wrap(self, file_key: bytes) -> Wrapped:
        """Encrypt the file key to this recipient."""
        ephemeral = X25519PrivateKey.generate()
        share = ephemeral.public_key().public_bytes_raw()
        shared = ephemeral.exchange(X25519PublicKey.from_public_bytes(self.public))
        key = hkdf(shared, share + self.public, _INFO)
        body = ChaCha20Poly1305(key).encrypt(_ZERO_NONCE, file_key, None)
        return Wrapped((Stanza(("X25519", b64(share)), body),))


@dataclass(frozen=True, slots=True)
class Identity:
    """A secret key, written ``AGE-SECRET-KEY-1...``."""

    secret: bytes = field(repr=False)

    @classmethod
    def from_string(cls, text: str) -> Self:
        """Read ``AGE-SECRET-KEY-1...``.

        Raises:
            IdentityInvalid: it is not one.
        """
        return cls(decode_key(text, "age-secret-key-", 32, upper=True))

    def __str__(self) -> str:
        return encode("age-secret-key-", self.secret).upper()

    @property
    def recipient(self) -> Recipient:
        """Its public half."""
        key = X25519PrivateKey.from_private_bytes(self.secret)
        return Recipient(key.public_key().public_bytes_raw())

    def unwrap(self, stanza: Stanza) -> bytes | None:
        """Give the file key, or None if the stanza is not for this identity.

        Raises:
            AgeFormatError: an X25519 stanza that no writer may make.
        """
        if stanza.args[0] != "X25519":
            return None
        if len(stanza.args) != 2 or len(stanza.body) != 32:
            raise AgeFormatError("malformed X25519 stanza")
        share = unb64(stanza.args[1])
        if len(share) != 32:
            raise AgeFormatError("malformed X25519 share")
        try:
            secret = X25519PrivateKey.from_private_bytes(self.secret)
            shared = secret.exchange(X25519PublicKey.from_public_bytes(share))
        except ValueError:
            raise AgeFormatError("X25519 share of low order") from None
        key = hkdf(shared, share + self.recipient.public, _INFO)
        try:
            return ChaCha20Poly1305(key).decrypt(_ZERO_NONCE, stanza.body, None)
        except InvalidTag:
            return None


def generate_identity() -> Identity:
    """Make a fresh secret key."""
    return Identity(X25519PrivateKey.generate().private_bytes_raw())
