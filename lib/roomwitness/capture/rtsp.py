"""An RTSP 1.0 client (RFC 2326): describe, set up, play, keep alive."""

import asyncio
import contextlib
from collections.abc import Callable
from typing import Self

from roomwitness.auth import Authorizer, choose
from roomwitness.errors import WitnessError

from . import sdp, tls, tunnel
from .errors import (
    CameraAuthFailed,
    CameraForbidden,
    CameraUnreachable,
    CaptureError,
    ConnectionLost,
    StreamMoved,
    StreamNotFound,
    StreamProtocolError,
    StreamUnsupported,
    TransportRefused,
)
from .messages import Response
from .source import Endpoint, StreamSource
from .transport import Address, Over, Packet, RtspTransport, Run

_AGENT = "RoomWitness"
_DEFAULT_TIMEOUT_S = 60.0
_MIN_KEEP_ALIVE_S = 0.5
# RFC 2326 makes only OPTIONS obligatory; some servers let it pass without effect.
_KEEP_ALIVES = ("GET_PARAMETER", "OPTIONS", "SET_PARAMETER")
_STRAY_S = 0.1
_INVALID_RANGE = 457
_MOVED = frozenset({301, 302, 303, 307, 308})

_FAILED: dict[int, type[CaptureError]] = {
    401: CameraAuthFailed,
    403: CameraForbidden,
    404: StreamNotFound,
    410: StreamNotFound,
    415: StreamUnsupported,
    454: ConnectionLost,
    461: TransportRefused,
}


class RtspClient:
    """One connection to one stream. Every request raises a ``CaptureError`` when it fails."""

    def __init__(self, endpoint: Endpoint, transport: RtspTransport, timeout_s: float) -> None:
        self._endpoint = endpoint
        self._transport = transport
        self._timeout_s = timeout_s
        self._authorizer: Authorizer | None = None
        self._let_in = False
        self._session: str | None = None
        self._session_timeout_s = _DEFAULT_TIMEOUT_S
        self._cseq = 0
        self._control = endpoint.uri

    @classmethod
    async def connect(cls, source: StreamSource, packet: Packet, timeout_s: float) -> Self:
        """Open the connection; ``packet`` gets every interleaved packet.

        Raises:
            CameraUnreachable: refused, or not within ``timeout_s``.
            StreamUnsupported: not an RTSP address.
            TlsFailed, CertificateUnknown, CertificateChanged: over TLS (tls.py).
            CameraAuthFailed, TransportRefused: by the tunnel (tunnel.py).
        """
        endpoint = source.endpoint()
        try:
            async with asyncio.timeout(timeout_s):
                if endpoint.tunnel_port is not None:
                    transport = await tunnel.connect(endpoint, endpoint.tunnel_port, packet)
                else:
                    _, transport = await tls.connect(
                        endpoint, endpoint.port,
                        lambda: RtspTransport(packet, direct=not endpoint.tls),
                    )  # fmt: skip
        except TimeoutError:
            raise CameraUnreachable from None
        return cls(endpoint, transport, timeout_s)

    @property
    def ended(self) -> asyncio.Future[WitnessError]:
        """Done when the connection is over; its result is the reason."""
        return self._transport.ended

    @property
    def keep_alive_s(self) -> float:
        """Seconds between two signs of life: half of what the camera allows."""
        return max(_MIN_KEEP_ALIVE_S, self._session_timeout_s / 2)

    def watch(
        self,
        plausible: Callable[[int, int], bool],
        garbled: Callable[[int], None],
        run: Run,
        over: Over,
    ) -> None:
        """What to do with garbage between packets, with many alike, and behind what came at once;
        see ``RtspTransport``."""
        self._transport.plausible, self._transport.garbled = plausible, garbled
        self._transport.run, self._transport.over = run, over

    def batch(self, *, on: bool = True) -> None:
        """From now on what comes is read some at a time, or as it comes."""
        self._transport.batch(on=on)

    async def describe(self) -> sdp.Description:
        """Ask what the stream holds."""
        uri = self._endpoint.uri
        response = await self._request("DESCRIBE", uri, {"Accept": "application/sdp"})
        body = response.body
        if body and not body.endswith((b"\n", b"\r")):
            await asyncio.sleep(_STRAY_S)
        body += self._transport.take_stray()  # It was longer than its Content-Length.
        given = response.get("content-base") or response.get("content-location")
        base = sdp.base(uri, given) if given else uri
        found = sdp.parse(body.decode("utf-8", "replace"), base)
        self._control = found.control
        return found

    @property
    def addresses(self) -> tuple[Address, Address, int]:
        """Our end, the camera's end and the address family of the connection (``socket``)."""
        return self._transport.addresses

    async def setup(self, media: sdp.Media, transport: str) -> str:
        """Ask for one media in this way; returns the answer's ``Transport``, or nothing."""
        response = await self._request("SETUP", media.control, {"Transport": transport})
        return response.get("transport") or ""

    async def play(self, description: sdp.Description) -> None:
        """Start the packets."""
        try:
            await self._request("PLAY", description.control, {"Range": "npt=0.000-"})
        except StreamProtocolError as err:
            if err.placeholders.get("status") != str(_INVALID_RANGE):
                raise
            await self._request("PLAY", description.control, {})

    async def keep_alive(self) -> None:
        """Keep the session from timing out, for as long as the connection stands.

        A camera that refuses every way, or does not answer, still plays: whether it does is for
        the watchdogs to see.

        Raises:
            ConnectionLost: the connection is over, or the camera has forgotten the session.
            StreamMoved: the stream is elsewhere.
        """
        ways = list(_KEEP_ALIVES)
        while ways:
            await asyncio.sleep(self.keep_alive_s)
            while ways:
                try:
                    await self._request(ways[0], self._control, {})
                    break
                except ConnectionLost, StreamMoved:
                    raise
                except CameraUnreachable:  # No answer: next time in another way.
                    ways.append(ways.pop(0))
                    break
                except CaptureError:
                    ways.pop(0)

    @property
    def peer(self) -> str | None:
        """Network address of the camera, None if the connection is over."""
        return self._transport.peer

    def fail(self, reason: WitnessError) -> None:
        """End the connection for this reason."""
        self._transport.fail(reason)

    async def close(self) -> None:
        """Say goodbye, if anyone listens, and let go."""
        if self._session is not None and not self._transport.ended.done():
            with contextlib.suppress(CaptureError, TimeoutError):
                async with asyncio.timeout(min(1.0, self._timeout_s)):
                    await self._request("TEARDOWN", self._control, {})
        self._transport.close()

    async def _request(self, method: str, uri: str, headers: dict[str, str]) -> Response:
        response = await self._send(method, uri, headers)
        tries = 2  # One more for a nonce that went stale.
        while response.status == 401 and tries and self._challenged(response):
            response = await self._send(method, uri, headers)
            tries -= 1
        if self._authorizer is not None and response.status != 401:
            self._let_in = True
            for info in response.all("authentication-info"):
                self._authorizer.informed(info)
        if response.status in _MOVED and (location := response.get("location")):
            raise StreamMoved(location)
        if response.status != 200:
            raise _FAILED.get(response.status, StreamProtocolError)(status=str(response.status))
        session = response.get("session")
        if session is not None:
            self._take_session(session)
        return response

    def _challenged(self, response: Response) -> bool:
        """Whether the request is worth repeating with an answer to this challenge."""
        challenge = choose(response.all("www-authenticate"))
        name, before = self._endpoint.username, self._authorizer
        if challenge is None or not name:
            return False
        # Many cameras let a nonce expire without the word "stale".
        expired = self._let_in and before is not None and challenge.nonce != before.nonce
        if before is not None and not challenge.stale and not expired:
            return False
        self._authorizer = Authorizer(challenge, name, self._endpoint.password)
        self._let_in = False
        return True

    def _take_session(self, text: str) -> None:
        identifier, *parameters = text.split(";")
        self._session = identifier.strip()
        for parameter in parameters:
            name, _, value = parameter.strip().partition("=")
            seconds = value.strip()
            if name.strip().lower() == "timeout" and seconds.isascii() and seconds.isdigit():
                self._session_timeout_s = min(max(1.0, float(seconds)), 3600.0)

    async def _send(self, method: str, uri: str, headers: dict[str, str]) -> Response:
        self._cseq += 1
        fields = {"CSeq": str(self._cseq), "User-Agent": _AGENT, **headers}
        if self._session is not None:
            fields["Session"] = self._session
        if self._authorizer is not None:
            fields["Authorization"] = self._authorizer.header(method, uri)
        lines = [f"{method} {uri} RTSP/1.0", *(f"{k}: {v}" for k, v in fields.items())]
        request = ("\r\n".join(lines) + "\r\n\r\n").encode()
        hurry = asyncio.get_running_loop().call_later(self._timeout_s / 2, self._transport.hurry)
        try:
            async with asyncio.timeout(self._timeout_s):
                return await self._transport.exchange(self._cseq, request)
        except TimeoutError:
            raise (StreamProtocolError if self._transport.nonsense else CameraUnreachable) from None
        finally:
            hurry.cancel()
