"""RTP over UDP (RFC 2326, 12.39; RFC 3550, 11): a pair of ports of ours for each media."""

import asyncio
import random
import socket
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass

from roomwitness.errors import WitnessError

from .errors import CameraUnreachable
from .reorder import Reorder
from .rtcp import Reception
from .transport import Address, Over, Packet

# Room for two seconds at 16 Mbit/s; the kernel gives what net.core.rmem_max allows (docs).
_RECEIVE_BUFFER = 4 << 20
_TRIES = 64
_LARGEST = 1 << 16
# So many packets are read at once before others have their turn.
_BATCH = 64
# RFC 3550, 6.2: five seconds, varied so that not all report at one moment.
_REPORT_S = 5.0
# An RTP header without a payload: opens the way back through a firewall, means nothing.
_PUNCH = b"\x80" + bytes(11)


@dataclass(frozen=True, slots=True)
class Sender:
    """Who may send to us, and where reports go: an address, and its ports if it told them."""

    host: str
    rtp: int | None
    rtcp: int | None


def bind_pair(local: Address, family: int) -> tuple[socket.socket, socket.socket]:
    """An even port and the next one, on the address of ours that the camera talks to already.

    Raises:
        CameraUnreachable: there is no free pair.
    """
    for _ in range(_TRIES):
        pair: list[socket.socket] = []
        port = 0
        try:
            for _ in range(2):
                sock = socket.socket(family, socket.SOCK_DGRAM)
                pair.append(sock)
                sock.setblocking(False)
                sock.bind((local[0], port, *local[2:]))
                port = sock.getsockname()[1] + 1
                if len(pair) == 1 and not port & 1:
                    break
            else:
                pair[0].setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _RECEIVE_BUFFER)
                return pair[0], pair[1]
        except OSError:
            pass
        for sock in pair:
            sock.close()
    raise CameraUnreachable("no free pair of ports")


class UdpMedia:
    """One media's two sockets: packets come out in order as those of an interleaved channel, and
    ``over()`` follows when all that waited is taken.

    ``failed`` is told what handling a packet raised; it must end the connection.
    """

    def __init__(
        self,
        pair: tuple[socket.socket, socket.socket],
        channel: int,
        clock_rate: int,
        packet: Packet,
        over: Over,
        failed: Callable[[WitnessError], None],
    ) -> None:
        self._rtp, self._rtcp = pair
        self._channel = channel
        self._packet = packet
        self._over = over
        self._failed = failed
        self._loop = asyncio.get_running_loop()
        self._view = memoryview(bytearray(_LARGEST))
        self._order = Reorder(self._deliver)
        self._reception = Reception(clock_rate)
        self._sender: Sender | None = None
        self._ports: dict[socket.socket, int] = {}
        self._expiry: asyncio.TimerHandle | None = None
        self._report: asyncio.TimerHandle | None = None
        self.received = 0

    @property
    def ports(self) -> str:
        """What the ``Transport`` header calls ``client_port``."""
        port = self._rtp.getsockname()[1]
        return f"{port}-{port + 1}"

    def start(self, sender: Sender) -> None:
        """Listen to this sender and nobody else, and open the way for it."""
        self._sender = sender
        self._loop.add_reader(self._rtp, self._read_rtp, sender.rtp)
        self._loop.add_reader(self._rtcp, self._read_rtcp, sender.rtcp)
        if sender.rtp is not None:
            self._send(self._rtp, _PUNCH, sender.rtp)
        self._report_now()

    def close(self) -> None:
        """Let go of the ports; a second call does nothing."""
        for timer in (self._expiry, self._report):
            if timer is not None:
                timer.cancel()
        for sock in (self._rtp, self._rtcp):
            if sock.fileno() >= 0:
                self._loop.remove_reader(sock)
                sock.close()

    def _send(self, sock: socket.socket, data: bytes, port: int) -> None:
        if self._sender is not None:
            with suppress(OSError):  # Lost like any other datagram.
                sock.sendto(data, (self._sender.host, port))

    def _report_now(self) -> None:
        if self._sender is not None and self._sender.rtcp is not None:
            self._send(self._rtcp, self._reception.report(self._loop.time()), self._sender.rtcp)
        wait = _REPORT_S * random.uniform(0.5, 1.5)  # noqa: S311 (no secret)
        self._report = self._loop.call_later(wait, self._report_now)

    def _deliver(self, view: memoryview, start: int, end: int) -> None:
        self._packet(self._channel, view, start, end)

    def _arrived(self, sock: socket.socket, port: int | None) -> Iterator[int]:
        """Sizes of the sender's packets that wait in the socket, each while it is in ``_view``.

        ``port`` is what the sender told to send from.
        """
        host = self._sender.host if self._sender is not None else None
        for _ in range(_BATCH):
            try:
                size, source = sock.recvfrom_into(self._view)
            except OSError:
                return
            if source[0] != host:
                continue
            if source[1] != self._ports.get(sock):
                # Some cameras send from another port than they tell: the first one, then, unless
                # the told one speaks up.
                if source[1] != port and sock in self._ports:
                    continue
                self._ports[sock] = source[1]
            self.received += sock is self._rtp
            yield size

    def _read_rtp(self, port: int | None) -> None:
        now, view = self._loop.time(), self._view
        try:
            for size in self._arrived(self._rtp, port):
                self._reception.rtp(view, 0, size, now)
                self._order.push(view, 0, size, now)
            self._order.expire(now)
            self._over()
        except WitnessError as err:
            self._failed(err)
        self._arm()

    def _read_rtcp(self, port: int | None) -> None:
        now, view = self._loop.time(), self._view
        try:
            for size in self._arrived(self._rtcp, port):
                self._reception.rtcp(view, 0, size, now)
                self._packet(self._channel + 1, view, 0, size)
        except WitnessError as err:
            self._failed(err)

    def _arm(self) -> None:
        if self._expiry is None and (at := self._order.deadline) is not None:
            self._expiry = self._loop.call_at(at, self._expired)

    def _expired(self) -> None:
        self._expiry = None
        try:
            self._order.expire(self._loop.time())
            self._over()
        except WitnessError as err:
            self._failed(err)
        self._arm()
