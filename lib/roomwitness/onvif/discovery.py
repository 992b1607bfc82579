"""WS-Discovery (OASIS WS-Discovery 2005/04; ONVIF Core, 7.3): who is out there?

Anybody on the network can answer, with anything: what is kept is bounded in size and number.
Answers are read leniently, by local names: cameras answer with wrong wrappers and prefixes.
"""

import asyncio
import socket
import uuid
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from urllib.parse import unquote, urlsplit
from xml.etree.ElementTree import Element

from . import xml

GROUP, PORT = "239.255.255.250", 3702
_SCOPE = "onvif://www.onvif.org/"
_PROBE = """<?xml version="1.0" encoding="UTF-8"?>
<e:Envelope xmlns:e="http://www.w3.org/2003/05/soap-envelope"
 xmlns:w="http://schemas.xmlsoap.org/ws/2004/08/addressing"
 xmlns:d="http://schemas.xmlsoap.org/ws/2005/04/discovery"
 xmlns:dn="http://www.onvif.org/ver10/network/wsdl">
<e:Header><w:MessageID>uuid:{id}</w:MessageID>
<w:To e:mustUnderstand="true">urn:schemas-xmlsoap-org:ws:2005:04:discovery</w:To>
<w:Action e:mustUnderstand="true">http://schemas.xmlsoap.org/ws/2005/04/discovery/Probe</w:Action>
</e:Header>
<e:Body><d:Probe><d:Types>dn:NetworkVideoTransmitter</d:Types></d:Probe></e:Body></e:Envelope>"""
_MAX_ANSWER = 1 << 16
_MAX_MATCHES, _MAX_ADDRESSES, _MAX_TEXT = 32, 16, 128  # Of one answer.
_MAX_FOUND, _MAX_OF_SENDER = 512, 32
_MAX_READ, _MAX_READ_OF_SENDER = 2048, 64  # Answers: reading takes the event loop's time.


@dataclass(frozen=True, slots=True)
class DiscoveredCamera:
    """A device that answered: where its device service is, and what it calls itself.

    ``endpoint`` is its stable identity (WS-Discovery, 2.6) as ``plain_endpoint`` gives it; where it
    names none, its address stands in.
    """

    endpoint: str
    host: str
    port: int
    name: str
    hardware: str


def parse_match(data: bytes, sender: str) -> tuple[DiscoveredCamera, ...]:
    """Read an answer; what is not one gives nothing. ``sender`` stands in for useless addresses."""
    try:
        root = xml.read(data, _MAX_ANSWER)
    except xml.BadXml:
        return ()
    found = (camera for match in _matches(root) if (camera := _camera(match, sender)) is not None)
    return tuple(islice(found, _MAX_MATCHES))


def _matches(root: Element) -> Iterator[Element]:
    """Innermost elements with addresses: some cameras answer ``ProbeMatch`` in ``ProbeMatch``."""
    for name in ("ProbeMatch", "ProbeMatches"):
        inner = [
            element
            for element in root.iter(name)
            if xml.text(element, "XAddrs") and xml.find(element, name) is None
        ]
        if inner:
            yield from inner
            return


def _camera(match: Element, sender: str) -> DiscoveredCamera | None:
    places = list(_places(xml.text(match, "XAddrs"), sender))
    if not places:
        return None
    # A camera with several addresses is best reached where it answered from.
    host, port = next((place for place in places if place[0] == sender), places[0])
    scopes = xml.text(match, "Scopes").split()
    endpoint = plain_endpoint(xml.text(match, "Address")) or f"{host}:{port}"
    return DiscoveredCamera(
        endpoint, host, port, _scope(scopes, "name"), _scope(scopes, "hardware")
    )


def plain_endpoint(told: str) -> str:
    """An endpoint's identity, however it is written: a UUID with or without ``urn:uuid:``."""
    return told.strip().lower().removeprefix("urn:").removeprefix("uuid:")[:_MAX_TEXT]


def _places(addresses: str, sender: str) -> Iterator[tuple[str, int]]:
    for address in addresses.split()[:_MAX_ADDRESSES]:
        try:
            parts = urlsplit(address)
            host, port = parts.hostname, parts.port or 80
        except ValueError:
            continue
        if parts.scheme != "http" or not host or len(host) > _MAX_TEXT:
            continue
        lost = host in ("0.0.0.0", "::") or host.startswith("169.254.")  # noqa: S104 (as it says)
        yield (sender if lost else host), port


def _scope(scopes: Sequence[str], kind: str) -> str:
    prefix = f"{_SCOPE}{kind}/"
    found = next((unquote(s.removeprefix(prefix)) for s in scopes if s.startswith(prefix)), "")
    return "".join(c for c in found if c.isprintable())[:_MAX_TEXT]


class Found:
    """Who answered so far. One sender cannot crowd out the others."""

    def __init__(self) -> None:
        self._cameras: set[DiscoveredCamera] = set()
        self._of_sender: Counter[str] = Counter()
        self._read: Counter[str] = Counter()

    def take(self, data: bytes, sender: str) -> None:
        """Keep what an answer names, if it is new and there is room."""
        if self._read[sender] >= _MAX_READ_OF_SENDER or self._read.total() >= _MAX_READ:
            return
        self._read[sender] += 1
        for camera in parse_match(data, sender):
            if camera in self._cameras or len(self._cameras) >= _MAX_FOUND:
                continue
            if self._of_sender[sender] < _MAX_OF_SENDER:
                self._of_sender[sender] += 1
                self._cameras.add(camera)

    @property
    def cameras(self) -> tuple[DiscoveredCamera, ...]:
        """All of them, by address."""
        return tuple(sorted(self._cameras, key=lambda c: (c.host, c.port)))


class _Listener(asyncio.DatagramProtocol):
    def __init__(self, found: Found) -> None:
        self._found = found

    def datagram_received(self, data: bytes, addr: tuple[str | object, int]) -> None:
        self._found.take(data, str(addr[0]))

    def error_received(self, exc: Exception) -> None:
        """One target cannot be reached: the others still may."""


async def discover(
    timeout_s: float = 3.0,
    targets: Sequence[tuple[str, int]] = (),
    interfaces: Sequence[str] = (),
) -> tuple[DiscoveredCamera, ...]:
    """Probe by multicast, and each of ``targets`` directly; gives who answered, by address.

    ``interfaces`` are addresses of this computer, on each of which is asked beside where the system
    would by itself. A network without multicast gives an empty answer, not an error.
    """
    found = Found()
    transports = [await _endpoint(found, address) for address in ("0.0.0.0", *interfaces)]  # noqa: S104
    try:
        for _ in range(2):  # UDP loses some: WS-Discovery asks twice (appendix I).
            probe = _PROBE.format(id=uuid.uuid4()).encode()
            for transport in transports:
                if transport is not None:
                    transport.sendto(probe, (GROUP, PORT))
            for target in targets:
                if transports[0] is not None:
                    transports[0].sendto(probe, target)
            await asyncio.sleep(timeout_s / 2)
    finally:
        for transport in transports:
            if transport is not None:
                transport.close()
    return found.cameras


async def _endpoint(found: Found, address: str) -> asyncio.DatagramTransport | None:
    """A socket that asks on this interface; None if there is no such one any more,
    or the system has no socket left."""
    try:
        sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    except OSError:
        return None
    try:
        sock.setblocking(False)
        sock.bind((address, 0))
        if address != "0.0.0.0":  # noqa: S104 (as the system would)
            sock.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_IF, socket.inet_aton(address))
        loop = asyncio.get_running_loop()
        transport, _ = await loop.create_datagram_endpoint(lambda: _Listener(found), sock=sock)
    except OSError:
        sock.close()
        return None
    return transport
