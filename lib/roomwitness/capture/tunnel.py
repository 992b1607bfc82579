"""RTSP over HTTP, through what lets only web traffic pass.

Apple's "Tunnelling QuickTime RTSP and RTP over HTTP": a GET whose answer never ends brings what the
camera says, a POST that never ends takes requests in base64, and ``x-sessioncookie`` says that they
belong together. Where the server ends the POST, the next request opens another.
"""

import asyncio
from base64 import b64encode
from collections import deque
from collections.abc import Callable
from secrets import token_hex
from typing import Any
from urllib.parse import urlsplit

from roomwitness.auth import Authorizer, choose

from . import messages, tls
from .errors import (
    CameraAuthFailed,
    CameraForbidden,
    CaptureError,
    ConnectionLost,
    StreamProtocolError,
    TransportRefused,
)
from .messages import Response
from .source import Endpoint
from .transport import Packet, RtspTransport

_TYPE = "application/x-rtsp-tunnelled"
# Servers do not count: so long is what every client says.
_LENGTH = "32767"
# An answer that is still on its way when the POST ends comes sooner than this.
_GRACE_S = 0.5
# Requests and answers that wait for a way up: one of ours, and a few to what the camera asks.
_MOST_LATER = 8
_REFUSED = {401: CameraAuthFailed, 403: CameraForbidden}


class _Answer(asyncio.Protocol):
    """Collects the head of an HTTP answer.

    What comes after it waits in the system until it is wanted, but for what was read with the head;
    of one that is not ``wanted`` it is thrown away as it comes: it goes on being read, so that
    its end is noticed.
    """

    def __init__(self, *, wanted: bool) -> None:
        self._data = bytearray()
        self._wanted = wanted
        self._transport: asyncio.Transport | None = None
        self.lost = False
        self.ended: Callable[[], None] = lambda: None
        self.head: asyncio.Future[Response] = asyncio.get_running_loop().create_future()
        self.head.add_done_callback(lambda done: done.cancelled() or done.exception())

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Take the connection (asyncio)."""
        assert isinstance(transport, asyncio.Transport)  # noqa: S101 (create_connection's promise)
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        """Take bytes (asyncio)."""
        if self.head.done():
            return
        self._data += data
        try:
            found = messages.web(self._data)
        except CaptureError:
            self._data.clear()
            self.head.set_exception(TransportRefused("no web server"))
            return
        if found is not None:
            response, stop = found
            self.head.set_result(response)
            if self._wanted and self._transport is not None:
                del self._data[:stop]
                self._transport.pause_reading()
            else:
                self._data.clear()

    def connection_lost(self, exc: Exception | None) -> None:
        """Note that nothing more comes (asyncio)."""
        del exc
        self.lost = True
        if not self.head.done():
            self.head.set_exception(ConnectionLost())
        self.ended()

    def rest(self) -> bytes:
        """What came after the head."""
        data, self._data = bytes(self._data), bytearray()
        return data


class _Tunnel(asyncio.Transport):
    """Both connections as one: reads are the GET's, writes go to the POST."""

    def __init__(self, endpoint: Endpoint, port: int, rtsp: RtspTransport) -> None:
        super().__init__()
        self._endpoint = endpoint
        self._port = port
        self._rtsp = rtsp
        self._cookie = token_hex(11)
        parts = urlsplit(endpoint.uri)
        self._target = parts._replace(scheme="", netloc="").geturl() or "/"
        self._authorizer: Authorizer | None = None
        self._down: asyncio.Transport | None = None
        self._up: asyncio.Transport | None = None
        self._answer: _Answer | None = None
        self._writing: asyncio.Task[None] | None = None
        self._later: deque[bytes] = deque()
        self._last = b""
        self._again: asyncio.TimerHandle | None = None
        self._over = False

    async def open(self) -> None:
        """Make both connections.

        Raises:
            CaptureError: unreachable, refused, or no tunnel.
        """
        try:
            answer = await self._get()
            await self._post()
        except BaseException:
            self.abort()
            raise
        if answer.lost or self._down is None:
            raise ConnectionLost
        self._down.set_protocol(self._rtsp)
        self._rtsp.connection_made(self)
        data = memoryview(answer.rest())
        while data:  # Media may have come already.
            room = self._rtsp.get_buffer(-1)
            part = data[: len(room)]
            room[: len(part)] = part
            self._rtsp.buffer_updated(len(part))
            data = data[len(part) :]
        if not self._over:
            self._down.resume_reading()

    async def _get(self) -> _Answer:
        """Ask for the way down, with a password if one is wanted."""
        while True:
            self._down, answer = await tls.connect(
                self._endpoint, self._port, lambda: _Answer(wanted=True)
            )
            self._down.write(self._request("GET", {"Accept": _TYPE}))
            response = await answer.head
            if response.status == 200:
                return answer
            self._down.abort()
            if response.status != 401 or self._authorizer or not self._challenged(response):
                raise _REFUSED.get(response.status, TransportRefused)

    async def _post(self) -> None:
        """Open the way up. Servers mostly answer when it ends: it is not waited for."""
        self._up, answer = await tls.connect(
            self._endpoint, self._port, lambda: _Answer(wanted=False)
        )
        self._answer = answer
        answer.head.add_done_callback(lambda _done: self._answered(answer))
        answer.ended = self._ended
        fields = {
            "Content-Type": _TYPE,
            "Content-Length": _LENGTH,
            "Expires": "Sun, 9 Jan 1972 00:00:00 GMT",
        }
        self._up.write(self._request("POST", fields))

    def _request(self, method: str, fields: dict[str, str]) -> bytes:
        host = f"[{self._endpoint.host}]" if ":" in self._endpoint.host else self._endpoint.host
        fields = {
            "Host": f"{host}:{self._port}",
            "User-Agent": "RoomWitness",
            "x-sessioncookie": self._cookie,
            "Pragma": "no-cache",
            "Cache-Control": "no-cache",
            **fields,
        }
        if self._authorizer is not None:
            fields["Authorization"] = self._authorizer.header(method, self._target)
        lines = (f"{name}: {value}" for name, value in fields.items())
        return "\r\n".join((f"{method} {self._target} HTTP/1.0", *lines, "", "")).encode()

    def _challenged(self, response: Response) -> bool:
        challenge = choose(response.all("www-authenticate"))
        if challenge is None or not self._endpoint.username:
            return False
        name, word = self._endpoint.username, self._endpoint.password
        self._authorizer = Authorizer(challenge, name, word)
        return True

    def _answered(self, answer: _Answer) -> None:
        """The POST was answered, which a server need not do before its end."""
        if self._over or answer is not self._answer or answer.head.exception() is not None:
            return
        response = answer.head.result()
        if response.status == 401 and (before := self._authorizer) is not None:
            # A nonce for one request only: the POST needs its own, and the last request again.
            challenge = choose(response.all("www-authenticate"))
            if challenge and challenge.nonce != before.nonce and self._challenged(response):
                self._send(self._last, anew=True)
                return
        if response.status >= 400:
            self._rtsp.fail(_REFUSED.get(response.status, TransportRefused)())

    def _ended(self) -> None:
        """The POST is over: a request that was on its way may have come too late for it."""
        if not self._over:
            loop = asyncio.get_running_loop()
            self._again = loop.call_later(_GRACE_S, self._send_again, self._last)

    def _send_again(self, data: bytes) -> None:
        # RFC 2326, 12.17: a request that is repeated keeps its number.
        if not self._over and data is self._last and self._rtsp.waiting:
            self._send(data)

    def _send(self, data: bytes, *, anew: bool = False) -> None:
        """Write now, or once there is a way up again."""
        lost = anew or self._answer is None or self._answer.lost
        if self._writing is None and not lost and self._up is not None:
            self._up.write(data)
            return
        if len(self._later) >= _MOST_LATER:
            self._rtsp.fail(StreamProtocolError("it asks, and takes no answer"))
            return
        self._later.append(data)
        if self._writing is None:
            self._writing = asyncio.ensure_future(self._send_later())

    async def _send_later(self) -> None:
        """Open another way up, and write what waits for it."""
        opened = False
        try:
            while self._later:
                data = self._later.popleft()
                if not opened or self._answer is None or self._answer.lost:
                    if self._up is not None:
                        self._up.abort()
                    await self._post()
                    opened = True
                if self._up is not None:
                    self._up.write(data)
        except CaptureError as err:
            self._rtsp.fail(err)
        finally:
            self._writing = None

    def write(self, data: bytes | bytearray | memoryview[Any]) -> None:
        """Send a request (asyncio)."""
        if not self._over:
            self._last = b64encode(data)
            self._send(self._last)

    def get_write_buffer_size(self) -> int:
        """Bytes that were written and are not sent (asyncio)."""
        waiting = sum(map(len, self._later))
        return waiting + (self._up.get_write_buffer_size() if self._up is not None else 0)

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        """About the connection that media comes on (asyncio)."""
        return self._down.get_extra_info(name, default) if self._down is not None else default

    def is_closing(self) -> bool:
        """Whether it is over (asyncio)."""
        return self._over

    def close(self) -> None:
        """Let go of both once what was written is sent (asyncio)."""
        self._end(lambda way: way.close())

    def abort(self) -> None:
        """Let go of both at once (asyncio)."""
        self._end(lambda way: way.abort())

    def _end(self, how: Callable[[asyncio.Transport], None]) -> None:
        self._over = True
        if self._writing is not None:
            self._writing.cancel()
        if self._again is not None:
            self._again.cancel()
        for way in (self._up, self._down):
            if way is not None:
                how(way)


async def connect(endpoint: Endpoint, port: int, packet: Packet) -> RtspTransport:
    """An RTSP connection through a tunnel at this port of the camera's host.

    Raises:
        CameraAuthFailed: the tunnel itself wants another password.
        TransportRefused: what answers offers no tunnel.
        CaptureError: as ``tls.connect``.
    """
    rtsp = RtspTransport(packet)
    await _Tunnel(endpoint, port, rtsp).open()
    return rtsp
