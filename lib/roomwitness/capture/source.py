"""Where a stream comes from."""

from dataclasses import dataclass, field, replace
from enum import StrEnum
from urllib.parse import unquote, urlsplit, urlunsplit

from .errors import StreamUnsupported, TransportInsecure

# By scheme (RFC 7826, 4.2: 322 for TLS).
_DEFAULT_PORTS = {"rtsp": 554, "rtsps": 322}
_TUNNEL_PORTS = {"rtsp": 80, "rtsps": 443}


class Transport(StrEnum):
    """How the media comes; ``AUTOMATIC`` is TCP, or UDP where the camera refuses TCP.

    ``HTTP`` is TCP in a tunnel (tunnel.py).
    """

    AUTOMATIC = "automatic"
    TCP = "tcp"
    UDP = "udp"
    HTTP = "http"


@dataclass(frozen=True, slots=True)
class StreamSource:
    """An RTSP address and how to be let in; ``repr`` tells none of it.

    ``audio`` is a switch of its own, off unless there is a reason for sound. ``fingerprint`` pins
    the certificate of an ``rtsps`` address: SHA-256 in hexadecimal pairs (``tls.fingerprint``).
    ``tunnel_port`` is where the HTTP tunnel is, if not at 80 (443 with TLS).
    """

    url: str = field(repr=False)
    username: str | None = field(default=None, repr=False)
    password: str | None = field(default=None, repr=False)
    audio: bool = False
    transport: Transport = Transport.AUTOMATIC
    fingerprint: str | None = field(default=None, repr=False)
    tunnel_port: int | None = None

    def endpoint(self) -> Endpoint:
        """Split the address.

        Raises:
            StreamUnsupported: it is not an ``rtsp://`` or ``rtsps://`` address with a host.
            TransportInsecure: TLS is wanted for the requests, but not for the media.
        """
        try:
            parts = urlsplit(self.url)
            host, port = parts.hostname, parts.port or _DEFAULT_PORTS.get(parts.scheme)
            # What the resolver would stumble over: empty labels, ones over 63 characters, a NUL.
            named = not (host or "").encode("idna").count(0)
        except ValueError:
            raise StreamUnsupported("not an RTSP address") from None
        if parts.scheme not in _DEFAULT_PORTS or port is None or not host or not named:
            raise StreamUnsupported("not an RTSP address")
        tls = parts.scheme == "rtsps"
        if tls and self.transport is Transport.UDP:
            raise TransportInsecure
        name = self.username if self.username is not None else unquote(parts.username or "")
        word = self.password if self.password is not None else unquote(parts.password or "")
        place = f"[{host}]" if ":" in host else host
        uri = urlunsplit((parts.scheme, f"{place}:{port}", parts.path, parts.query, ""))
        tunnel = None
        if self.transport is Transport.HTTP:
            tunnel = self.tunnel_port or _TUNNEL_PORTS[parts.scheme]
        return Endpoint(host, port, uri, name, word, tls, self.fingerprint, tunnel)


@dataclass(frozen=True, slots=True, repr=False)
class Endpoint:
    """A split address; ``uri`` is what RTSP requests name, without credentials.

    ``tunnel_port`` is None without a tunnel.
    """

    host: str
    port: int
    uri: str
    username: str
    password: str
    tls: bool = False
    fingerprint: str | None = None
    tunnel_port: int | None = None

    @property
    def entrance(self) -> int:
        """The port to connect to: the tunnel's, if there is one."""
        return self.tunnel_port or self.port

    def unpinned(self) -> Endpoint:
        """The same, so that only a chain of trust counts."""
        return replace(self, fingerprint=None)
