"""An RTSP 1.0 client (RFC 2326): describe, set up, play, keep alive."""

import asyncio
import contextlib
from typing import Self

from roomwitness.errors import WitnessError

from . import sdp
from .auth import Authorizer, choose
from .errors import (
    CameraAuthFailed,
    CameraUnreachable,
    CaptureError,
    StreamNotFound,
    StreamProtocolError,
    StreamUnsupported,
    TransportRefused,
)
from .source import Endpoint, StreamSource
from .transport import Address, Packet, Response, RtspTransport

_AGENT = "RoomWitness"
_DEFAULT_TIMEOUT_S = 60.0
_MIN_KEEP_ALIVE_S = 5.0

_FAILED: dict[int, type[CaptureError]] = {
    401: CameraAuthFailed,
    403: CameraAuthFailed,
    404: StreamNotFound,
    410: StreamNotFound,
    415: StreamUnsupported,
    454: StreamProtocolError,
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
        self._keep_alive_method = "GET_PARAMETER"

    @classmethod
    async def connect(cls, source: StreamSource, packet: Packet, timeout_s: float) -> Self:
        """Open the connection; ``packet`` gets every interleaved packet.

        Raises:
            CameraUnreachable: refused, or not within ``timeout_s``.
            StreamUnsupported: not an RTSP address.
        """
        endpoint = source.endpoint()
        loop = asyncio.get_running_loop()
        try:
            async with asyncio.timeout(timeout_s):
                _, transport = await loop.create_connection(
                    lambda: RtspTransport(packet), endpoint.host, endpoint.port
                )
        except OSError:
            raise CameraUnreachable from None
        return cls(endpoint, transport, timeout_s)

    @property
    def ended(self) -> asyncio.Future[WitnessError]:
        """Done when the connection is over; its result is the reason."""
        return self._transport.ended

    async def describe(self) -> sdp.Description:
        """Ask what the stream holds."""
        response = await self._request(
            "DESCRIBE", self._endpoint.uri, {"Accept": "application/sdp"}
        )
        base = response.get("content-base") or response.get("content-location")
        return sdp.parse(response.body.decode("utf-8", "replace"), base or self._endpoint.uri)

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
        await self._request("PLAY", description.control, {"Range": "npt=0.000-"})

    async def keep_alive(self) -> None:
        """Keep the session from timing out, for as long as the connection stands."""
        while True:
            await asyncio.sleep(max(_MIN_KEEP_ALIVE_S, self._session_timeout_s / 2))
            try:
                await self._request(self._keep_alive_method, self._endpoint.uri, {})
            except StreamProtocolError:
                # RFC 2326 makes GET_PARAMETER optional; OPTIONS is not.
                if self._keep_alive_method == "OPTIONS":
                    raise
                self._keep_alive_method = "OPTIONS"

    def fail(self, reason: WitnessError) -> None:
        """End the connection for this reason."""
        self._transport.fail(reason)

    async def close(self) -> None:
        """Say goodbye, if anyone listens, and let go."""
        if self._session is not None and not self._transport.ended.done():
            with contextlib.suppress(CaptureError, TimeoutError):
                async with asyncio.timeout(min(1.0, self._timeout_s)):
                    await self._request("TEARDOWN", self._endpoint.uri, {})
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
            if name.lower() == "timeout" and seconds.isascii() and seconds.isdigit():
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
        try:
            async with asyncio.timeout(self._timeout_s):
                return await self._transport.exchange(self._cseq, request)
        except TimeoutError:
            raise CameraUnreachable from None
