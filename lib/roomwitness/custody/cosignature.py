"""Cosignatures of checkpoints (c2sp.org/tlog-cosignature, Ed25519): who else saw it, and when."""

import base64
import binascii
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from .errors import LogTampered
from .signing import COSIGNATURE, DASH, SiteSigner, key_id, parse_vkey, split_note

_TIME_BYTES = 8


@dataclass(frozen=True, slots=True)
class Cosigned:
    """A witness's word that it saw this head, consistent with all that it saw before."""

    name: str
    time: datetime


def _message(text: str, seconds: int) -> bytes:
    return f"cosignature/v1\ntime {seconds}\n{text}".encode()


def cosign(signer: SiteSigner, text: str, now: datetime) -> str:
    """The signature line, newline included, of a witness on a checkpoint's text."""
    seconds = int(now.timestamp())
    signature = signer.sign_bytes(_message(text, seconds))
    blob = key_id(signer.name, COSIGNATURE, signer.public_bytes)
    blob += seconds.to_bytes(_TIME_BYTES) + signature
    return f"{DASH} {signer.name} {base64.b64encode(blob).decode()}\n"


def cosigner_of(site: SiteSigner) -> SiteSigner:
    """The key with which a site witnesses other logs, made from its log key by HKDF (RFC 5869).

    One key is not used for two things: a cosignature must never be taken for a checkpoint.
    """
    hkdf = HKDF(hashes.SHA256(), 32, None, b"roomwitness cosignature/v1")
    return SiteSigner.from_private_bytes(f"{site.name}/witness", hkdf.derive(site.private_bytes))


def cosigner_vkey(signer: SiteSigner) -> str:
    """The verifier key that a witness publishes."""
    encoded = base64.b64encode(COSIGNATURE + signer.public_bytes).decode()
    return f"{signer.name}+{key_id(signer.name, COSIGNATURE, signer.public_bytes).hex()}+{encoded}"


def cosignatures(note: str, vkeys: Iterable[str]) -> Iterator[Cosigned]:
    """The cosignatures on a checkpoint that hold; those of other keys are passed over.

    Raises:
        LogTampered: one that claims to be of these keys does not hold, or a key is malformed.
    """
    text, lines = split_note(note)
    for vkey in vkeys:
        name, identifier, kind, public = parse_vkey(vkey)
        if kind != COSIGNATURE:
            raise LogTampered("not a witness's verifier key")
        for signer, blob in lines:
            if signer != name or blob[:4] != identifier:
                continue
            seconds = int.from_bytes(blob[4 : 4 + _TIME_BYTES])
            try:
                key = Ed25519PublicKey.from_public_bytes(public)
                key.verify(blob[4 + _TIME_BYTES :], _message(text, seconds))
                yield Cosigned(name, datetime.fromtimestamp(seconds, UTC))
            except ValueError, OverflowError, OSError, binascii.Error, InvalidSignature:
                raise LogTampered("a cosignature does not hold") from None
