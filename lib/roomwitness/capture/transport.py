"""The bytes of RTSP over TCP (RFC 2326, 10.12): responses and interleaved packets apart.

The hot path of all capture: packets are handed on as a place in the receive buffer, not copied.
"""

import asyncio
import os
import re
import threading
from collections.abc import Callable
from functools import partial
from typing import Any

from roomwitness.errors import WitnessError

from . import messages
from .batch import Batch
from .errors import ConnectionLost, StreamMoved, StreamProtocolError
from .messages import Response

_BUFFER = (1 << 19) + (1 << 16)
_DOLLAR = 0x24
# More than one packet of the largest size, cut or mangled, leaves behind.
_MAX_GARBAGE = 1 << 16
_PLACE = re.compile(rb"\$|rtsp/1\.\d +\d{3}", re.IGNORECASE)
_PLACE_BYTES = 16
# Written and not sent: more than any conversation needs.
MAX_UNSENT = 1 << 16
_MAX_CSEQ = 18

type Address = tuple[Any, ...]
type Packet = Callable[[int, memoryview, int, int], None]
type Run = Callable[[memoryview, int, int], int]
type Over = Callable[[], None]


# What a server may ask of us, and what it is told; all else is not implemented.
_ANSWERS = dict.fromkeys(
    ("OPTIONS", "GET_PARAMETER", "SET_PARAMETER", "REDIRECT", "TEARDOWN"), "200 OK"
)


class _Room(threading.local):
    """What every connection of a thread receives into: it stays in the processor's cache."""

    def __init__(self) -> None:
        self.buffer = bytearray(_BUFFER)
        self.view = memoryview(self.buffer)


_room = _Room()


class RtspTransport(asyncio.BufferedProtocol):
    """``packet(channel, view, start, end)`` is called for each interleaved packet.

    ``ended`` is done, with the reason as its result, when nothing more will come.

    Between packets there may be garbage: reading goes on at the next thing that makes sense, which
    ``plausible(channel, second byte)`` helps to tell, and ``garbled(channel)`` says whose packet it
    followed, for that one may have been cut.

    ``run(view, at, end)`` may take packets of one channel from ``at`` on, and tells where it
    stopped. ``over()`` follows when all that was received at once is taken.

    ``direct`` says that what the socket receives is what comes: no TLS or tunnel is between.
    """

    def __init__(self, packet: Packet, *, direct: bool = False) -> None:
        self._packet = packet
        self._direct = direct
        self._buffer, self._view = _room.buffer, _room.view
        self._rest = b""  # Of what was received, what is not whole yet.
        self._read = 0
        self._written = 0
        self._waiting: dict[int, asyncio.Future[Response]] = {}
        self._transport: asyncio.Transport | None = None
        self._batch: Batch | None = None
        # Bytes that made no sense since something did; None while everything does.
        self._adrift: int | None = None
        self._after: int | None = None
        self._stray = bytearray()
        self._heard = False
        self._hurried = False
        self.plausible: Callable[[int, int], bool] = lambda _channel, _second: False
        self.garbled: Callable[[int], None] = lambda _channel: None
        self.run: Run = lambda _view, at, _end: at
        self.over: Over = lambda: None
        self.ended: asyncio.Future[WitnessError] = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Take the connection (asyncio)."""
        assert isinstance(transport, asyncio.Transport)  # noqa: S101 (create_connection's promise)
        self._transport = transport

    def connection_lost(self, exc: Exception | None) -> None:
        """Note that it is over (asyncio)."""
        del exc
        if self._batch is not None:
            self._batch.close()
        self.fail(StreamProtocolError() if self.nonsense else ConnectionLost())

    def batch(self, *, on: bool = True) -> None:
        """From now on what comes is read some at a time, or as it comes."""
        if self._batch is not None:
            self._batch.close()
            self._batch = None
        sock: Any = self._transport and self._transport.get_extra_info("socket")
        if on and sock is not None and not self.ended.done():
            take = partial(self._take, sock.fileno()) if self._direct else None
            self._batch = Batch(sock, asyncio.get_running_loop(), take)

    def _take(self, descriptor: int) -> None:
        """Receive what there is before the event loop tells of it; an end it finds by itself."""
        if self._transport is None or self._transport.is_closing():
            return
        try:
            size = os.readv(descriptor, [self.get_buffer(-1)])
        except OSError:  # Also if there is nothing.
            return
        if size:
            self.buffer_updated(size)

    @property
    def peer(self) -> str | None:
        """Network address of the other side, None if there is no connection."""
        name = self._transport and self._transport.get_extra_info("peername")
        return str(name[0]) if name else None

    @property
    def waiting(self) -> bool:
        """Whether a request has no answer yet."""
        return bool(self._waiting)

    @property
    def nonsense(self) -> bool:
        """Whether the other side has spoken, but not RTSP."""
        return not self._heard and (self._adrift is not None or self._written > self._read)

    @property
    def addresses(self) -> tuple[Address, Address, int]:
        """Our end, the other end and the address family of the connection (``socket``).

        Raises:
            ConnectionLost: it is over.
        """
        sock = self._transport and self._transport.get_extra_info("socket")
        if not sock:
            raise ConnectionLost
        try:
            return sock.getsockname(), sock.getpeername(), sock.family
        except OSError:
            raise ConnectionLost from None

    def fail(self, reason: WitnessError) -> None:
        """End the connection for this reason; only the first counts."""
        if not self.ended.done():
            self.ended.set_result(reason)
        for future in self._waiting.values():
            if not future.done():
                future.set_exception(reason)
        self._waiting.clear()
        if self._transport is not None:
            self._transport.abort()

    def close(self) -> None:
        """Let go of the connection once what was written is sent."""
        if self._transport is not None:
            self._transport.close()

    async def exchange(self, cseq: int, request: bytes) -> Response:
        """Send a request and wait for its response.

        Raises:
            CaptureError: the connection ended first, or its other side takes nothing.
        """
        if self.ended.done() or self._transport is None:
            raise ConnectionLost
        future: asyncio.Future[Response] = asyncio.get_running_loop().create_future()
        self._waiting[cseq] = future
        try:
            self._write(request)
            return await future
        finally:
            self._waiting.pop(cseq, None)

    def get_buffer(self, sizehint: int) -> memoryview:
        """Give room for received bytes, behind what is not whole yet (asyncio)."""
        del sizehint
        self._load()
        return self._view[self._written :]

    def _load(self) -> None:
        left = len(self._rest)
        self._buffer[:left] = self._rest
        self._read, self._written = 0, left

    def buffer_updated(self, nbytes: int) -> None:
        """Take received bytes (asyncio)."""
        self._written += nbytes
        if self._batch is not None:
            self._batch.read()
        try:
            self._parse()
            self.over()
        except WitnessError as err:
            self.fail(err)
        self._rest = bytes(self._view[self._read : self._written])

    def _parse(self) -> None:
        if self._adrift is not None:
            self._read = self._find(self._read, self._written)
            if self._adrift is not None:
                return
        buffer, view, packet = self._buffer, self._view, self._packet
        at, end, last = self._read, self._written, -1
        try:
            while end - at >= 4:
                if buffer[at] == _DOLLAR:
                    stop = at + 4 + (buffer[at + 2] << 8 | buffer[at + 3])
                    if stop > end:
                        break
                    last, at = at, self.run(view, at, end)
                    if at == last:
                        packet(buffer[at + 1], view, at + 4, stop)
                        at = stop
                    continue
                if last >= 0:
                    self._after, last = buffer[last + 1], -1
                stop = self._message(at, end)
                if stop < 0:
                    break
                at = stop
                if self._adrift is not None:
                    break
        finally:
            self._read = at
            if last >= 0:
                self._after = buffer[last + 1]
        if at == end:
            self._read = self._written = 0

    def _message(self, at: int, end: int) -> int:
        """Take one response or request; returns where it ends, -1 if it is not whole yet."""
        buffer = self._buffer
        if buffer[at] in b"\r\n":
            return at + 1
        begun = messages.begins(buffer, at, end)
        if begun is False:
            return self._astray(at, end)
        found = messages.head(buffer, at, end) if begun else None
        if found is None:
            return -1
        stop = found.stop + found.size
        if found.size and self._is_packet(found.stop, end):
            stop = found.stop  # It announced a body and sent none.
        elif stop > end:
            if not self._hurried:
                return -1
            stop = end
        self._heard, self._after = True, None
        if found.method is None:
            body = bytes(buffer[found.stop : stop])
            self._answered(Response(found.status, found.headers, body), found.cseq)
        else:
            self._asked(found)
        return stop

    def _answered(self, response: Response, cseq: str | None) -> None:
        # Some cameras forget the number: then it answers the only request that waits.
        number = next(iter(self._waiting), 0) if cseq is None else messages.number(cseq)
        future = self._waiting.get(number)
        if future is not None and not future.done():
            future.set_result(response)

    def _asked(self, request: messages.Head) -> None:
        """A server's own request (RFC 2326, 10)."""
        answer = _ANSWERS.get(request.method or "", "501 Not Implemented")
        cseq = request.cseq if request.cseq and len(request.cseq) <= _MAX_CSEQ else "0"
        self._write(f"RTSP/1.0 {answer}\r\nCSeq: {cseq}\r\n\r\n".encode())
        if request.method == "REDIRECT":
            raise StreamMoved(dict(request.headers).get("location", ""))
        if request.method == "TEARDOWN":
            raise ConnectionLost

    def _write(self, data: bytes) -> None:
        """Send something, unless the other side has not taken what it was sent before."""
        if self._transport is None or self.ended.done():
            return
        if self._transport.get_write_buffer_size() > MAX_UNSENT:
            raise StreamProtocolError("it takes nothing that it is sent")
        self._transport.write(data)

    def hurry(self) -> None:
        """A body that is shorter than announced, and does not grow: take it as it is."""
        self._hurried = True
        self._load()
        self.buffer_updated(0)
        self._hurried = False

    def take_stray(self) -> bytes:
        """What came outside of messages before any packet: mostly the rest of a body."""
        if self._adrift is not None:
            self._load()
            self._skip(self._read, self._written)
            self._rest, self._adrift = b"", None
        stray, self._stray = bytes(self._stray), bytearray()
        return stray

    def _astray(self, at: int, end: int) -> int:
        """Neither packet nor message: go on where one plausibly begins."""
        self._adrift = 0
        if self._after is not None:
            self.garbled(self._after)
        self._skip(at, at + 1)
        return self._find(at + 1, end)

    def _find(self, at: int, end: int) -> int:
        """Skip to the next packet or message; what is too short to tell waits."""
        for place in _PLACE.finditer(self._buffer, at, end):
            if place.group() != b"$" or self._is_packet(place.start(), end):
                self._skip(at, place.start())
                self._adrift = None
                return place.start()
        stop = max(at, end - _PLACE_BYTES)
        self._skip(at, stop)
        return stop

    def _is_packet(self, at: int, end: int) -> bool:
        """Whether a packet that makes sense begins here, and something that does behind it."""
        buffer = self._buffer
        if end - at < 6 or buffer[at] != _DOLLAR or buffer[at + 4] >> 6 != 2:
            return False
        stop = at + 4 + (buffer[at + 2] << 8 | buffer[at + 3])
        follows = stop >= end or 65 <= buffer[stop] <= 90 or buffer[stop] in b"$r\r\n"
        return follows and self.plausible(buffer[at + 1], buffer[at + 5])

    def _skip(self, at: int, stop: int) -> None:
        self._adrift = (self._adrift or 0) + stop - at
        if self._heard and self._after is None and len(self._stray) < messages.MAX_BODY:
            self._stray += self._buffer[at:stop]
        self._read = stop
        if self._adrift > _MAX_GARBAGE:
            raise StreamProtocolError("neither packets nor messages")
