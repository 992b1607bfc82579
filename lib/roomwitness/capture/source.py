"""Where a stream comes from."""

from dataclasses import dataclass, field
from enum import StrEnum
from urllib.parse import unquote, urlsplit, urlunsplit

from .errors import StreamUnsupported

_DEFAULT_PORT = 554


class Transport(StrEnum):
    """How the media comes; ``AUTOMATIC`` is TCP, or UDP where the camera refuses TCP."""

    AUTOMATIC = "automatic"
    TCP = "tcp"
    UDP = "udp"


@dataclass(frozen=True, slots=True)
class StreamSource:
    """An RTSP address and how to be let in; ``repr`` tells none of it.

    ``audio`` is a switch of its own, off unless there is a reason for sound.
    """

    url: str = field(repr=False)
    username: str | None = field(default=None, repr=False)
    password: str | None = field(default=None, repr=False)
    audio: bool = False
    transport: Transport = Transport.AUTOMATIC

    def endpoint(self) -> Endpoint:
        """Split the address.

        Raises:
            StreamUnsupported: it is not an ``rtsp://`` address with a host.
        """
        try:
            parts = urlsplit(self.url)
            host, port = parts.hostname, parts.port or _DEFAULT_PORT
        except ValueError:
            raise StreamUnsupported("not an RTSP address") from None
        if parts.scheme != "rtsp" or not host:
            raise StreamUnsupported("not an RTSP address")
        name = self.username if self.username is not None else unquote(parts.username or "")
        word = self.password if self.password is not None else unquote(parts.password or "")
        place = f"[{host}]" if ":" in host else host
        uri = urlunsplit(("rtsp", f"{place}:{port}", parts.path, parts.query, ""))
        return Endpoint(host, port, uri, name, word)


@dataclass(frozen=True, slots=True, repr=False)
class Endpoint:
    """A split address; ``uri`` is what RTSP requests name, without credentials."""

    host: str
    port: int
    uri: str
    username: str
    password: str
