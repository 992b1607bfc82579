"""Connections without a network: what is written is never taken, what nobody reads stays out."""

import asyncio
import contextlib
from collections.abc import Callable, Iterator
from unittest import mock

from roomwitness.capture import tls
from roomwitness.capture import tunnel as tunnels
from roomwitness.capture.source import Endpoint, StreamSource, Transport
from roomwitness.capture.transport import RtspTransport


class Way(asyncio.Transport):
    """A connection whose other side takes nothing, and whose system keeps what nobody reads."""

    def __init__(self, protocol: asyncio.BaseProtocol) -> None:
        super().__init__()
        self.protocol, self.unsent = protocol, 0
        self.written: list[bytes] = []
        self.over = self.paused = False
        protocol.connection_made(self)

    def write(self, data: object) -> None:
        """Keep it."""
        assert isinstance(data, bytes)
        if not self.over:
            self.written.append(data)
            self.unsent += len(data)

    def get_write_buffer_size(self) -> int:
        """All of it."""
        return self.unsent

    def feed(self, data: bytes) -> None:
        """It came, if anybody reads."""
        if self.over or self.paused:
            return
        if isinstance(self.protocol, asyncio.BufferedProtocol):
            room = self.protocol.get_buffer(len(data))
            room[: len(data)] = data
            self.protocol.buffer_updated(len(data))
        elif isinstance(self.protocol, asyncio.Protocol):
            self.protocol.data_received(data)

    def end(self) -> None:
        """The other side lets go."""
        if not self.over:
            self.over = True
            self.protocol.connection_lost(None)

    def set_protocol(self, protocol: asyncio.BaseProtocol) -> None:
        """Another reads."""
        self.protocol = protocol

    def pause_reading(self) -> None:
        """Nobody reads."""
        self.paused = True

    def resume_reading(self) -> None:
        """Somebody does."""
        self.paused = False

    def get_extra_info(self, name: str, default: object = None) -> object:
        """Nothing is known."""
        del name
        return default

    def abort(self) -> None:
        """Our side lets go."""
        self.over = True

    close = abort


@contextlib.contextmanager
def ways_of_tunnel() -> Iterator[list[Way]]:
    """Every connection that is made meanwhile."""
    ways: list[Way] = []

    async def connect(
        _endpoint: Endpoint, _port: int, protocol: Callable[[], asyncio.BaseProtocol]
    ) -> tuple[Way, asyncio.BaseProtocol]:
        made = protocol()
        ways.append(Way(made))
        return ways[-1], made

    with mock.patch.object(tls, "connect", connect):
        yield ways


def new_tunnel() -> tuple[tunnels._Tunnel, RtspTransport]:
    """One that is not open yet, and what reads from it."""
    transport = RtspTransport(lambda _channel, _view, _start, _end: None)
    source = StreamSource("rtsp://user:word@cam/live", transport=Transport.HTTP)
    return tunnels._Tunnel(source.endpoint(), 80, transport), transport
