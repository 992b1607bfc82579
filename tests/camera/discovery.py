"""WS-Discovery: answers probes, by multicast where the network has it, and directly."""

import asyncio
import contextlib
import re
import socket
import struct
import uuid

GROUP, PORT = "239.255.255.250", 3702
_MATCH = """<?xml version="1.0" encoding="UTF-8"?>
<s:Envelope xmlns:s="http://www.w3.org/2003/05/soap-envelope"
 xmlns:a="http://schemas.xmlsoap.org/ws/2004/08/addressing"
 xmlns:d="http://schemas.xmlsoap.org/ws/2005/04/discovery"
 xmlns:dn="http://www.onvif.org/ver10/network/wsdl">
<s:Header><a:MessageID>urn:uuid:{message}</a:MessageID><a:RelatesTo>{relates}</a:RelatesTo>
<a:Action>http://schemas.xmlsoap.org/ws/2005/04/discovery/ProbeMatches</a:Action></s:Header>
<s:Body><d:ProbeMatches><d:ProbeMatch>
<a:EndpointReference><a:Address>urn:uuid:{endpoint}</a:Address></a:EndpointReference>
<d:Types>dn:NetworkVideoTransmitter</d:Types>
<d:Scopes>onvif://www.onvif.org/name/{name} onvif://www.onvif.org/hardware/Simulator</d:Scopes>
<d:XAddrs>http://{host}:{port}/onvif/device_service</d:XAddrs>
<d:MetadataVersion>1</d:MetadataVersion>
</d:ProbeMatch></d:ProbeMatches></s:Body></s:Envelope>"""


class Discovery(asyncio.DatagramProtocol):
    """One responder; ``port`` 0 takes a free one (then only direct probes reach it)."""

    def __init__(
        self, name: str, host: str, onvif_port: int, endpoint: uuid.UUID | None = None
    ) -> None:
        self._name, self._host, self._onvif_port = name, host, onvif_port
        self.endpoint = endpoint or uuid.uuid4()
        self._transport: asyncio.DatagramTransport | None = None
        self.port = 0

    async def start(self, port: int = PORT) -> None:
        sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        sock.bind(("", port))
        self.port = sock.getsockname()[1]
        # Also where this machine's own probes go, which is rarely the loopback.
        for interface in (self._host, "0.0.0.0"):
            with contextlib.suppress(OSError):  # Without multicast on this network.
                member = struct.pack("4s4s", socket.inet_aton(GROUP), socket.inet_aton(interface))
                sock.setsockopt(socket.IPPROTO_IP, socket.IP_ADD_MEMBERSHIP, member)
        loop = asyncio.get_running_loop()
        await loop.create_datagram_endpoint(lambda: self, sock=sock)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.DatagramTransport)
        self._transport = transport

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        text = data.decode(errors="replace")
        found = re.search(r"MessageID[^>]*>([^<]+)<", text)
        if "Probe" not in text or "ProbeMatch" in text or found is None:
            return
        if self._host.startswith("127.") and not _is_here(addr[0]):
            return  # Nobody else could reach us there.
        answer = _MATCH.format(
            message=uuid.uuid4(),
            relates=found[1],
            endpoint=self.endpoint,
            name=self._name.replace(" ", "%20"),
            host=self._host,
            port=self._onvif_port,
        )
        if self._transport is not None:
            self._transport.sendto(answer.encode(), addr)

    def stop(self) -> None:
        if self._transport is not None:
            self._transport.close()
            self._transport = None


def _is_here(address: str) -> bool:
    """Whether the address is one of this machine's: to itself it talks from that address."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        try:
            sock.connect((address, 9))
        except OSError:
            return False
        return bool(sock.getsockname()[0] == address)
