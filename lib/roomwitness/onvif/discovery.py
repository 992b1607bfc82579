"""WS-Discovery (OASIS WS-Discovery 2005/04; ONVIF Core, 7.3): who is out there?

Answers are read leniently, by local names: cameras answer with wrong wrappers and prefixes.
"""

import asyncio
import socket
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from urllib.parse import unquote, urlsplit
from xml.etree import ElementTree

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


@dataclass(frozen=True, slots=True)
class DiscoveredCamera:
    """A device that answered: where its device service is, and what it calls itself."""

    endpoint: str
    host: str
    port: int
    name: str
    hardware: str


def parse_match(data: bytes, sender: str) -> tuple[DiscoveredCamera, ...]:
    """Read an answer; what is not one gives nothing. ``sender`` stands in for useless addresses."""
    if len(data) > _MAX_ANSWER or b"<!DOCTYPE" in data or b"<!ENTITY" in data:
        return ()
    try:
        root = ElementTree.fromstring(data)  # noqa: S314 (no document type: no entities)
    except ElementTree.ParseError:
        return ()
    matches = [e for e in root.iter() if _local(e) == "ProbeMatch" and _text(e, "XAddrs")]
    matches = matches or [e for e in root.iter() if _local(e) == "ProbeMatches"]
    return tuple(found for match in matches if (found := _camera(match, sender)) is not None)


def _camera(match: ElementTree.Element, sender: str) -> DiscoveredCamera | None:
    for address in _text(match, "XAddrs").split():
        try:
            parts = urlsplit(address)
            host, port = parts.hostname, parts.port or 80
        except ValueError:
            continue
        if parts.scheme != "http" or not host:
            continue
        if host in ("0.0.0.0", "::") or host.startswith("169.254."):  # noqa: S104 (as it says)
            host = sender
        scopes = _text(match, "Scopes").split()
        endpoint = _text(match, "Address") or f"{host}:{port}"
        return DiscoveredCamera(
            endpoint, host, port, _scope(scopes, "name"), _scope(scopes, "hardware")
        )
    return None


def _local(element: ElementTree.Element) -> str:
    return element.tag.rpartition("}")[2]


def _text(element: ElementTree.Element, name: str) -> str:
    return next(((e.text or "").strip() for e in element.iter() if _local(e) == name), "")


def _scope(scopes: Sequence[str], kind: str) -> str:
    prefix = f"{_SCOPE}{kind}/"
    return next((unquote(s.removeprefix(prefix)) for s in scopes if s.startswith(prefix)), "")


class _Listener(asyncio.DatagramProtocol):
    def __init__(self) -> None:
        self.found: dict[str, DiscoveredCamera] = {}

    def datagram_received(self, data: bytes, addr: tuple[str | object, int]) -> None:
        for camera in parse_match(data, str(addr[0])):
            self.found.setdefault(camera.endpoint, camera)

    def error_received(self, exc: Exception) -> None:
        """One target cannot be reached: the others still may."""


async def discover(
    timeout_s: float = 3.0, targets: Sequence[tuple[str, int]] = ()
) -> tuple[DiscoveredCamera, ...]:
    """Probe by multicast, and each of ``targets`` directly; gives who answered, by address.

    A network without multicast gives an empty answer, not an error.
    """
    loop = asyncio.get_running_loop()
    transport, listener = await loop.create_datagram_endpoint(
        _Listener,
        family=socket.AF_INET,
        local_addr=("0.0.0.0", 0),  # noqa: S104 (answers come from anywhere)
    )
    try:
        for _ in range(2):  # UDP loses some: WS-Discovery asks twice (appendix I).
            probe = _PROBE.format(id=uuid.uuid4()).encode()
            for target in ((GROUP, PORT), *targets):
                transport.sendto(probe, target)
            await asyncio.sleep(timeout_s / 2)
    finally:
        transport.close()
    return tuple(sorted(listener.found.values(), key=lambda c: (c.host, c.port)))
