"""A camera's side of RTP over UDP (RFC 2326, 12.39): and a network that disorders."""

import asyncio
import random
import re
import socket

from .config import Faults


class _Ears(asyncio.DatagramProtocol):
    def __init__(self) -> None:
        self.heard: list[bytes] = []

    def datagram_received(self, data: bytes, addr: object) -> None:
        self.heard.append(data)


class UdpOut:
    """One media to one client's two ports; ``heard`` is what came to the RTCP port."""

    def __init__(self, faults: Faults, host: str, ports: tuple[int, int]) -> None:
        self._faults, self._host, self._ports = faults, host, ports
        self._random = random.Random(1)
        self._waiting: list[bytes] = []
        self._ends: list[asyncio.DatagramTransport] = []
        self.ears = _Ears()

    @classmethod
    async def open(cls, faults: Faults, host: str, transport: str) -> UdpOut | None:
        """Ports for a ``Transport`` that asks for UDP; None if it asks for something else."""
        found = re.search(r"client_port=(\d+)-(\d+)", transport)
        if found is None:
            return None
        out = cls(faults, host, (int(found[1]), int(found[2])))
        loop = asyncio.get_running_loop()
        for ears in (_Ears(), out.ears):
            end, _ = await loop.create_datagram_endpoint(lambda e=ears: e, (host, 0))
            out._ends.append(end)
        return out

    @property
    def answer(self) -> str:
        ours = [end.get_extra_info("sockname")[1] for end in self._ends]
        theirs = "{}-{}".format(*self._ports)
        return f"RTP/AVP;unicast;client_port={theirs};server_port={ours[0]}-{ours[1]};ssrc=1"

    def send(self, packet: bytes, *, control: bool) -> None:
        """Send, ``shuffle`` packets at a time in any order, some of them twice."""
        if control:
            self._ends[1].sendto(packet, (self._host, self._ports[1]))
            return
        self._waiting.append(packet)
        if len(self._waiting) < self._faults.shuffle:
            return
        going, self._waiting = self._waiting, []
        if self._faults.shuffle:
            going += going[:2]
            self._random.shuffle(going)
        for data in going:
            self._ends[0].sendto(data, (self._host, self._ports[0]))
            if self._faults.strangers:
                self._stranger(data)

    def _stranger(self, data: bytes) -> None:
        """The same packet from another port, with other content: nobody may take it."""
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
            sequence = (int.from_bytes(data[2:4]) + 1) & 0xFFFF
            forged = data[:2] + sequence.to_bytes(2) + data[4:12] + b"\x61forged"
            sock.sendto(forged, (self._host, self._ports[0]))

    def close(self) -> None:
        for end in self._ends:
            end.close()
