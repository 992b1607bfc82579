"""Public keys of hardware tokens, P-256 (c2sp.org/age, "The tagged recipient types").

Only the token opens what is encrypted to them, by its plugin on the custodian's computer; this
computer needs neither the plugin nor the token.
"""

import hmac
from dataclasses import dataclass
from hashlib import sha256
from typing import Self

from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, EllipticCurvePublicKey
from cryptography.hazmat.primitives.hpke import AEAD, KDF, KEM, Suite

from .bech32 import decode_public, encode
from .header import Stanza, b64
from .recipient import Wrapped

_INFO = b"age-encryption.org/p256tag"
_ENC = KEM.P256.enc_length()
_SUITE = Suite(KEM.P256, KDF.HKDF_SHA256, AEAD.CHACHA20_POLY1305)


@dataclass(frozen=True, slots=True)
class TagRecipient:
    """A token's public key, a compressed point, written ``age1tag1...``."""

    public: bytes

    @classmethod
    def from_string(cls, text: str) -> Self:
        """Read ``age1tag1...``.

        Raises:
            IdentityInvalid: it is not one.
        """
        return cls(decode_public(text, "age1tag", 33, _key))

    def __str__(self) -> str:
        return encode("age1tag", self.public)

    def wrap(self, file_key: bytes) -> Wrapped:
        """Encrypt the file key to this recipient."""
        sealed = _SUITE.encrypt(file_key, _key(self.public), _INFO)
        enc, body = sealed[:_ENC], sealed[_ENC:]
        # HKDF-Extract (RFC 5869, section 2.2) is HMAC with the salt as its key.
        tag = hmac.digest(_INFO, enc + sha256(self.public).digest()[:4], sha256)[:4]
        return Wrapped((Stanza(("p256tag", b64(tag), b64(enc)), body),))


def _key(public: bytes) -> EllipticCurvePublicKey:
    return EllipticCurvePublicKey.from_encoded_point(SECP256R1(), public)
