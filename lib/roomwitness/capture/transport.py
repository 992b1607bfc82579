"""The bytes of RTSP over TCP (RFC 2326, 10.12): responses and interleaved packets apart.

The hot path of all capture: packets are handed on as a place in the receive buffer, not copied.
"""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from roomwitness.errors import WitnessError

from .errors import ConnectionLost, StreamProtocolError

_BUFFER = 1 << 18
_MAX_HEAD = 1 << 14
_MAX_BODY = 1 << 17
_MAX_DIGITS = 18
_DOLLAR = 0x24

type Address = tuple[Any, ...]
type Packet = Callable[[int, memoryview, int, int], None]


@dataclass(frozen=True, slots=True)
class Response:
    """Status, headers (lower-case name, value) in order, and body."""

    status: int
    headers: tuple[tuple[str, str], ...]
    body: bytes

    def all(self, name: str) -> list[str]:
        """Every value of a header."""
        return [value for key, value in self.headers if key == name]

    def get(self, name: str) -> str | None:
        """First value of a header."""
        return next(iter(self.all(name)), None)


class RtspTransport(asyncio.BufferedProtocol):
    """``packet(channel, view, start, end)`` is called for each interleaved packet.

    ``ended`` is done, with the reason as its result, when nothing more will come.
    """

    def __init__(self, packet: Packet) -> None:
        self._packet = packet
        self._buffer = bytearray(_BUFFER)
        self._view = memoryview(self._buffer)
        self._read = 0
        self._written = 0
        self._waiting: dict[int, asyncio.Future[Response]] = {}
        self._transport: asyncio.Transport | None = None
        self.ended: asyncio.Future[WitnessError] = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Take the connection (asyncio)."""
        assert isinstance(transport, asyncio.Transport)  # noqa: S101 (create_connection's promise)
        self._transport = transport

    def connection_lost(self, exc: Exception | None) -> None:
        """Note that it is over (asyncio)."""
        del exc
        self.fail(ConnectionLost())

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
            CaptureError: the connection ended first.
        """
        if self.ended.done() or self._transport is None:
            raise ConnectionLost
        future: asyncio.Future[Response] = asyncio.get_running_loop().create_future()
        self._waiting[cseq] = future
        self._transport.write(request)
        try:
            return await future
        finally:
            self._waiting.pop(cseq, None)

    def get_buffer(self, sizehint: int) -> memoryview:
        """Give room for received bytes (asyncio)."""
        del sizehint
        if self._read > _BUFFER >> 1 or self._written == _BUFFER:
            left = self._written - self._read
            self._buffer[:left] = self._buffer[self._read : self._written]
            self._read, self._written = 0, left
        return self._view[self._written :]

    def buffer_updated(self, nbytes: int) -> None:
        """Take received bytes (asyncio)."""
        self._written += nbytes
        try:
            self._parse()
        except WitnessError as err:
            self.fail(err)

    def _parse(self) -> None:
        buffer, view, packet = self._buffer, self._view, self._packet
        at, end = self._read, self._written
        try:
            while end - at >= 4:
                if buffer[at] == _DOLLAR:
                    stop = at + 4 + (buffer[at + 2] << 8 | buffer[at + 3])
                    if stop > end:
                        break
                    packet(buffer[at + 1], view, at + 4, stop)
                else:
                    stop = self._message(at, end)
                    if stop < 0:
                        break
                at = stop
        finally:
            self._read = at
        if at == end:
            self._read = self._written = 0

    def _message(self, at: int, end: int) -> int:
        """Take one response or request; returns where it ends, -1 if it is not whole yet."""
        buffer = self._buffer
        if not (65 <= buffer[at] <= 90 or buffer[at] in b"\r\n"):
            raise StreamProtocolError("neither a packet nor a message")
        if buffer[at] in b"\r\n":
            return at + 1
        stop = buffer.find(b"\r\n\r\n", at, end)
        if stop < 0:
            if end - at > _MAX_HEAD:
                raise StreamProtocolError("a header without end")
            return -1
        first, *lines = bytes(buffer[at:stop]).decode("utf-8", "replace").split("\r\n")
        headers = tuple(
            (name.strip().lower(), value.strip())
            for name, _, value in (line.partition(":") for line in lines)
        )
        found = dict(headers)
        size = _number(found.get("content-length", "0"))
        if size > _MAX_BODY:
            raise StreamProtocolError("a body too large")
        stop += 4
        if stop + size > end:
            return -1
        words = first.split(" ", 2)
        if words[0].startswith("RTSP/") and len(words) > 1:
            body = bytes(buffer[stop : stop + size])
            self._answered(Response(_number(words[1]), headers, body), found)
        elif words[0].startswith("HTTP/"):
            raise StreamProtocolError("a web server, not a camera's stream")
        else:
            self._refuse(found.get("cseq", "0"))
        return stop + size

    def _answered(self, response: Response, found: dict[str, str]) -> None:
        # Some cameras forget the number: then it answers the only request that waits.
        cseq = _number(found["cseq"]) if "cseq" in found else next(iter(self._waiting), 0)
        future = self._waiting.get(cseq)
        if future is not None and not future.done():
            future.set_result(response)

    def _refuse(self, cseq: str) -> None:
        """A server's own request (ANNOUNCE, REDIRECT): we do none of them."""
        if self._transport is not None:
            self._transport.write(f"RTSP/1.0 501 Not Implemented\r\nCSeq: {cseq}\r\n\r\n".encode())


def _number(text: str) -> int:
    if not (text.isascii() and text.isdigit() and len(text) <= _MAX_DIGITS):
        raise StreamProtocolError("a malformed message")
    return int(text)
