"""Where a camera sends us on to (RFC 2326, 10.10 and 11.3), and what may go along."""

from dataclasses import replace
from urllib.parse import urljoin, urlsplit

from .errors import StreamUnsupported, TransportInsecure
from .source import StreamSource

# One camera behind a recorder behind a balancer would be three.
MAX_REDIRECTS = 5


def moved(source: StreamSource, location: str, peer: str | None) -> StreamSource:
    """The source at another address; ``peer`` is the network address that we were connected to.

    User name and password go along only to the host that they are for. An encrypted connection is
    never given up for one that is not.

    Raises:
        StreamUnsupported: that is no address of a stream.
        TransportInsecure: from ``rtsps`` to ``rtsp``.
    """
    here = source.endpoint()
    try:
        base = urlsplit(source.url)
        there = location if "://" in location else urljoin(f"http://x{base.path}", location)
        parts = urlsplit(there)
        if "://" not in location:
            parts = parts._replace(scheme=base.scheme, netloc=base.netloc)
        bare = parts._replace(netloc=parts.netloc.rpartition("@")[2])
        host = (bare.hostname or "").lower()
    except ValueError:
        raise StreamUnsupported("a redirect to nowhere") from None
    if here.tls and bare.scheme == "rtsp":
        raise TransportInsecure
    same = host in (here.host.lower(), peer)
    name, word = (here.username, here.password) if same else ("", "")
    away = replace(source, url=bare.geturl(), username=name, password=word)
    away.endpoint()
    return away
