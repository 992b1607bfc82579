"""RFC 3161 timestamps of checkpoints: a third party says that a head was there at that time.

``rfc3161_client`` is loaded when it is first used: most sites have no timestamps.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm

from .checkpoints import TIMESTAMP, Checkpoints
from .cms import sorted_certificates
from .errors import TimestampInvalid

if TYPE_CHECKING:
    from rfc3161_client import TimeStampResponse

REQUEST_TYPE = "application/timestamp-query"


@dataclass(frozen=True, slots=True)
class Query:
    """A request, and the number by which its answer is known (RFC 3161, "nonce")."""

    body: bytes
    nonce: int | None


def query(data: bytes) -> Query:
    """Ask for a timestamp of this data: only its SHA-256 is in the request."""
    from rfc3161_client import HashAlgorithm, TimestampRequestBuilder

    builder = TimestampRequestBuilder().data(data).hash_algorithm(HashAlgorithm.SHA256)
    request = builder.nonce(nonce=True).cert_request(cert_request=True).build()
    return Query(request.as_bytes(), request.nonce)


def read_roots(pem: str) -> tuple[x509.Certificate, ...]:
    """Certificates in PEM.

    Raises:
        TimestampInvalid: there is none, or one is malformed.
    """
    try:
        return tuple(x509.load_pem_x509_certificates(pem.encode()))
    except ValueError:
        raise TimestampInvalid("not a certificate in PEM") from None


def verify(
    response: bytes, data: bytes, roots: Sequence[x509.Certificate], nonce: int | None = None
) -> datetime:
    """The time that a response vouches for, once hash, nonce, signature and chain hold.

    Without ``roots`` those that the response carries are used: that shows that it is whole, not
    whose it is.

    Raises:
        TimestampInvalid: it is malformed, of other data, or does not hold.
    """
    from rfc3161_client import VerificationError, VerifierBuilder

    try:
        found = _read(response)
        trusted = list(roots) or _own(found)
        VerifierBuilder(nonce=nonce, roots=trusted).build().verify_message(found, data)
        return found.tst_info.gen_time.astimezone(UTC)
    except (VerificationError, ValueError, x509.InvalidVersion, UnsupportedAlgorithm) as err:
        raise TimestampInvalid(str(err)) from None


def _read(response: bytes) -> TimeStampResponse:
    from rfc3161_client import decode_timestamp_response

    try:
        return decode_timestamp_response(response)
    except ValueError:
        return decode_timestamp_response(sorted_certificates(response))


def _own(response: TimeStampResponse) -> list[x509.Certificate]:
    """The certificates in it that nobody else of it signed."""
    carried = [x509.load_der_x509_certificate(c) for c in response.signed_data.certificates]
    subjects = {c.subject for c in carried}
    return [c for c in carried if c.issuer == c.subject or c.issuer not in subjects]


@dataclass(frozen=True, slots=True)
class Timestamped:
    """A kept head of ``size`` entries was there at ``time``."""

    size: int
    time: datetime


def timestamps(custody: Path) -> Iterator[tuple[int, bytes, bytes]]:
    """Of each kept checkpoint with a timestamp: its size, its bytes, and the response."""
    store = Checkpoints(custody)
    for kept in store.all():
        path = store.path(kept, TIMESTAMP)
        if path.exists():
            yield kept.size, store.note(kept).encode(), path.read_bytes()


def verify_timestamps(custody: Path, roots: Sequence[x509.Certificate]) -> list[Timestamped]:
    """All timestamps that are kept beside a log, the oldest first.

    Raises:
        TimestampInvalid: there is none, or one does not hold.
    """
    found = [
        Timestamped(size, verify(response, note, roots))
        for size, note, response in timestamps(custody)
    ]
    if not found:
        raise TimestampInvalid("no kept checkpoint has a timestamp")
    return found
