"""Post-quantum recipients and identities (c2sp.org/age, "The MLKEM768-X25519 hybrid ... type").

The KEM is X-Wing (draft-ietf-hpke-pq-03, "MLKEM768-X25519"): ML-KEM-768 (FIPS 203) and X25519
together, so that a file stays closed as long as one of them holds.
"""

import secrets
from dataclasses import dataclass, field
from hashlib import shake_256
from typing import Self

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.asymmetric.mlkem import MLKEM768PrivateKey, MLKEM768PublicKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.hpke import (
    AEAD,
    KDF,
    KEM,
    MLKEM768X25519PrivateKey,
    MLKEM768X25519PublicKey,
    Suite,
)

from roomwitness.vault.errors import AgeFormatError

from .bech32 import decode_key, decode_public, encode
from .header import Stanza, b64, unb64
from .recipient import POST_QUANTUM, Wrapped

_TAG = "mlkem768x25519"
_INFO = b"age-encryption.org/mlkem768x25519"
_MLKEM_PUBLIC = 1184
_MLKEM_SEED = 64
_PUBLIC = _MLKEM_PUBLIC + 32
_ENC = KEM.MLKEM768_X25519.enc_length()
_BODY = 32
_SUITE = Suite(KEM.MLKEM768_X25519, KDF.HKDF_SHA256, AEAD.CHACHA20_POLY1305)


@dataclass(frozen=True, slots=True)
class HybridRecipient:
    """A public key, written ``age1pq1...``."""

    public: bytes

    @classmethod
    def from_string(cls, text: str) -> Self:
        """Read ``age1pq1...``.

        Raises:
            IdentityInvalid: it is not one.
        """
        return cls(decode_public(text, "age1pq", _PUBLIC, _key))

    def __str__(self) -> str:
        return encode("age1pq", self.public)

    def wrap(self, file_key: bytes) -> Wrapped:
        """Encrypt the file key to this recipient."""
        sealed = _SUITE.encrypt(file_key, _key(self.public), _INFO)
        stanza = Stanza((_TAG, b64(sealed[:_ENC])), sealed[_ENC:])
        return Wrapped((stanza,), frozenset({POST_QUANTUM}))


def _key(public: bytes) -> MLKEM768X25519PublicKey:
    return MLKEM768X25519PublicKey(
        MLKEM768PublicKey.from_public_bytes(public[:_MLKEM_PUBLIC]),
        X25519PublicKey.from_public_bytes(public[_MLKEM_PUBLIC:]),
    )


@dataclass(frozen=True, slots=True)
class HybridIdentity:
    """A secret key, written ``AGE-SECRET-KEY-PQ-1...``."""

    secret: bytes = field(repr=False)

    @classmethod
    def from_string(cls, text: str) -> Self:
        """Read ``AGE-SECRET-KEY-PQ-1...``.

        Raises:
            IdentityInvalid: it is not one.
        """
        return cls(decode_key(text, "age-secret-key-pq-", 32, upper=True))

    def __str__(self) -> str:
        return encode("age-secret-key-pq-", self.secret).upper()

    @property
    def recipient(self) -> HybridRecipient:
        """Its public half."""
        mlkem, x25519 = self._halves()
        return HybridRecipient(
            mlkem.public_key().public_bytes_raw() + x25519.public_key().public_bytes_raw()
        )

    def unwrap(self, stanza: Stanza) -> bytes | None:
        """Give the file key, or None if the stanza is not for this identity.

        Raises:
            AgeFormatError: a stanza of this type that no writer may make.
        """
        if stanza.args[0] != _TAG:
            return None
        if len(stanza.args) != 2 or len(stanza.body) != _BODY:
            raise AgeFormatError(f"malformed {_TAG} stanza")
        enc = unb64(stanza.args[1])
        if len(enc) != _ENC:
            raise AgeFormatError(f"malformed {_TAG} share")
        mlkem, x25519 = self._halves()
        try:
            # HPKE answers InvalidTag to this too, but it is the writer's fault, not another's file.
            x25519.exchange(X25519PublicKey.from_public_bytes(enc[-32:]))
        except ValueError:
            raise AgeFormatError(f"{_TAG} share of low order") from None
        try:
            key = MLKEM768X25519PrivateKey(mlkem, x25519)
            return _SUITE.decrypt(enc + stanza.body, key, _INFO)
        except InvalidTag:
            return None

    def _halves(self) -> tuple[MLKEM768PrivateKey, X25519PrivateKey]:
        """Both secret keys, expanded from the seed (draft-ietf-hpke-pq-03, "expandDecapsKey")."""
        seeds = shake_256(self.secret).digest(_MLKEM_SEED + 32)
        return (
            MLKEM768PrivateKey.from_seed_bytes(seeds[:_MLKEM_SEED]),
            X25519PrivateKey.from_private_bytes(seeds[_MLKEM_SEED:]),
        )


def generate_hybrid_identity() -> HybridIdentity:
    """Make a fresh secret key."""
    return HybridIdentity(secrets.token_bytes(32))
