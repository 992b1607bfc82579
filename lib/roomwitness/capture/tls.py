"""RTSP over TLS (rtsps): the camera is who its certificate says, or whom we have pinned.

A certificate counts if its chain leads to an authority of this computer's and it names the host
(RFC 9525), or if its SHA-256 is the one that a person has confirmed. Nothing is sent before that.
"""

import asyncio
import ssl
from collections.abc import Callable
from functools import cache
from hashlib import sha256
from hmac import compare_digest

from .errors import CameraUnreachable, CertificateChanged, CertificateUnknown, TlsFailed
from .source import Endpoint, StreamSource

# Less than a connection may take: a server that waits for plain RTSP is told from one that is away.
_HANDSHAKE_S = 4.0

type Made[P] = tuple[asyncio.Transport, P]


@cache
def _by_authority() -> ssl.SSLContext:
    return ssl.create_default_context()


@cache
def _by_pin() -> ssl.SSLContext:
    """Takes any certificate: whose it is, its fingerprint tells before anything is said."""
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


async def connect[P: asyncio.BaseProtocol](
    endpoint: Endpoint, port: int, protocol: Callable[[], P]
) -> Made[P]:
    """Open a connection to the camera, over TLS if its address says so.

    Raises:
        CameraUnreachable: refused.
        CertificateUnknown, CertificateChanged: who answers cannot prove to be the camera.
        TlsFailed: what answers speaks no TLS that we do.
    """
    loop = asyncio.get_running_loop()
    pin = endpoint.fingerprint
    try:
        if not endpoint.tls:
            return await loop.create_connection(protocol, endpoint.host, port)
        # Reading the authorities from the disk takes some 20 ms the first time.
        context = await asyncio.to_thread(_by_authority if pin is None else _by_pin)
        made = await loop.create_connection(
            protocol, endpoint.host, port, ssl=context, ssl_handshake_timeout=_HANDSHAKE_S
        )
    except ssl.SSLCertVerificationError:
        raise CertificateUnknown(fingerprint=await _presented(endpoint.host, port)) from None
    except ssl.SSLError, ConnectionResetError, ConnectionAbortedError:
        raise (TlsFailed if endpoint.tls else CameraUnreachable) from None
    except OSError, ValueError:  # The latter: a name that no resolver takes.
        raise CameraUnreachable from None
    if pin is not None and not compare_digest(found := fingerprint(made[0]), pin):
        made[0].abort()
        raise CertificateChanged(pinned=pin, fingerprint=found)
    return made


async def _presented(host: str, port: int) -> str:
    """The fingerprint of whatever certificate is shown there."""
    context = await asyncio.to_thread(_by_pin)
    try:
        transport, _ = await asyncio.get_running_loop().create_connection(
            asyncio.Protocol, host, port, ssl=context
        )
    except OSError:
        raise CameraUnreachable from None
    transport.abort()
    return fingerprint(transport)


def fingerprint(transport: asyncio.Transport) -> str:
    """SHA-256 of the certificate (DER), in hexadecimal pairs as browsers and openssl show it."""
    certificate = transport.get_extra_info("ssl_object").getpeercert(binary_form=True)
    return sha256(certificate or b"").digest().hex(":").upper()


async def presented(source: StreamSource, timeout_s: float = 10.0) -> str | None:
    """The fingerprint that somebody must confirm; None if the chain of trust is enough.

    Raises:
        CaptureError: unreachable, no TLS, or not an address.
    """
    endpoint = source.endpoint()
    try:
        async with asyncio.timeout(timeout_s):
            transport, _ = await connect(endpoint.unpinned(), endpoint.entrance, asyncio.Protocol)
    except CertificateUnknown as err:
        return err.placeholders["fingerprint"]
    except TimeoutError:
        raise CameraUnreachable from None
    transport.abort()
    return None
