"""A conversation with one device: its services, by whichever of ONVIF's ways it lets us in.

Credentials never go in clear: as a WS-Security digest, or as an HTTP Digest once the device has
challenged us; Basic is not answered. Addresses that the device names are taken at the host that we
reached it by, and it cannot send us elsewhere.
"""

import asyncio
import contextlib
import errno
import secrets
import traceback
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Self
from urllib.parse import urlsplit
from xml.etree.ElementTree import Element

import aiohttp
from yarl import URL

from roomwitness.auth import Authorizer, choose

from . import names, soap, xml
from .clock import DeviceTime, Offset, narrow, offset, parse_time
from .errors import OnvifAuthFailed, OnvifError, OnvifFault, OnvifHungUp, OnvifUnreachable
from .source import OnvifSource

_MAX_ANSWER = 1 << 20
_IN_A_THREAD = 1 << 16
_ATTEMPTS = 5
_BETWEEN_ASKS_S = 0.27  # Not a part of a second: each answer then tells something new.


class Connection:
    """``async with Connection(source) as device``.

    ``cautious`` is for a host that may be somebody else's: credentials go only to a device that has
    refused us without.
    """

    def __init__(
        self, source: OnvifSource, *, cautious: bool = False, timeout_s: float = 5.0
    ) -> None:
        self.source = source
        self.time: DeviceTime | None = None
        self.clock: Offset | None = None
        self._timeout = aiohttp.ClientTimeout(total=timeout_s)
        self._token = source.username is not None and not cautious
        self._authorizer: Authorizer | None = None
        self._version: soap.Version = "1.2"
        self._services: dict[str, str] | None = None
        self._claimed: int | None = None  # The port that it believes its device service to have.
        self._clock_asked = False
        self._session: aiohttp.ClientSession
        self.raw = b""  # The newest answer as it came, namespaces and all.

    async def __aenter__(self) -> Self:
        # Cameras close connections that they promised to keep: each request has its own.
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(force_close=True),
            cookie_jar=aiohttp.DummyCookieJar(),
        )
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._session.close()

    async def call(self, service: str, operation: str, inner: str = "") -> Element:
        """Ask a service by its namespace (names.py); gives the answer's element.

        Raises:
            OnvifFault: the device refuses, or has no such service (code ``actionnotsupported``).
            OnvifAuthFailed, OnvifUnreachable, OnvifError.
        """
        told = ""
        if service != names.DEVICE:
            told = (await self.services()).get(service, "")
            if not told:
                raise OnvifFault({"actionnotsupported"})
        return await self.post(self.address(told), service, operation, inner)

    async def services(self) -> Mapping[str, str]:
        """Address of each service that the device has, by namespace; asked once.

        Raises:
            OnvifAuthFailed, OnvifUnreachable, OnvifError.
        """
        if self._services is None:
            try:
                self._services = await self._listed()
            except OnvifAuthFailed, OnvifUnreachable:
                raise
            except OnvifError:  # Before ONVIF 2.0.
                self._services = await self._capable()
            self._claimed = _port(self._services.get(names.DEVICE, ""))
        return self._services

    async def _listed(self) -> dict[str, str]:
        wanted = "<IncludeCapability>false</IncludeCapability>"
        answer = await self.call(names.DEVICE, "GetServices", wanted)
        return {
            xml.text(service, "Namespace"): xml.text(service, "XAddr")
            for service in xml.every(answer, "Service")
        }

    async def _capable(self) -> dict[str, str]:
        answer = await self.call(names.DEVICE, "GetCapabilities", "<Category>All</Category>")
        return {
            namespace: address
            for name, namespace in names.CAPABILITIES.items()
            if (address := xml.text(answer, name, "XAddr"))
        }

    def address(self, told: str) -> str:
        """An address that the device told, at the host that we reached it by; else its first one.

        Behind NAT its own port is another too; some have services at ports of their own.
        """
        source = self.source
        host = f"[{source.host}]" if ":" in source.host else source.host
        port = _port(told)
        parts = urlsplit(told if port is not None else names.DEVICE_PATH)
        if port is None or port == self._claimed:
            port = source.port
        query = f"?{parts.query}" if parts.query else ""
        return f"http://{host}:{port}{parts.path or '/'}{query}"

    async def measure_clock(self, asks: int = 1) -> Offset | None:
        """How much the device's clock differs from ours; None if it tells no time.

        One answer is right to half a second and half its way; each more narrows it.

        Raises:
            OnvifAuthFailed, OnvifUnreachable, OnvifError.
        """
        self._clock_asked = True
        found: list[Offset] = []
        for number in range(asks):
            if number:
                await asyncio.sleep(_BETWEEN_ASKS_S)
            sent = datetime.now(UTC)
            answer = await self.post(
                self.address(""), names.DEVICE, "GetSystemDateAndTime", anonymous=True
            )
            received = datetime.now(UTC)
            self.time = parse_time(answer)
            if self.time is not None:
                found.append(offset(sent, received, self.time.utc))
        self.clock = narrow(found)
        return self.clock

    async def post(
        self,
        address: str,
        namespace: str,
        operation: str,
        inner: str = "",
        *,
        header: str = "",
        action: str = "",
        anonymous: bool = False,
        timeout_s: float | None = None,
    ) -> Element:
        """Ask at an address (``address()``, of the device's own ones).

        ``action`` is WS-Addressing's where it is not just service and operation. ``anonymous``
        sends no credentials unless they are asked for.

        Raises:
            OnvifFault, OnvifAuthFailed, OnvifUnreachable, OnvifError.
        """
        body = f'<{operation} xmlns="{namespace}">{inner}</{operation}>'
        token, challenged = self._token and not anonymous, False
        for _ in range(_ATTEMPTS):
            security = await self._security() if token else ""
            data = soap.envelope(body, header + security, self._version)
            response, answer = await self._send(
                address, action or f"{namespace}/{operation}", data, timeout_s
            )
            if response.status == 401 and not challenged and self._challenged(response):
                challenged, token, self._token = True, False, False
                continue
            try:
                return await _read(response.status, answer)
            except OnvifAuthFailed:
                if token or self.source.username is None:
                    raise
                token, self._token = True, self._token or not anonymous
            except OnvifFault as err:
                if self._version == "1.1" or not err.codes & {"versionmismatch"}:
                    raise
                self._version = "1.1"
        raise OnvifAuthFailed

    async def _security(self) -> str:
        if not self._clock_asked:
            with contextlib.suppress(OnvifAuthFailed, OnvifFault):
                await self.measure_clock()  # If it tells nobody its time, ours must do.
        now = datetime.now(UTC)
        with contextlib.suppress(OverflowError):  # A clock at the end of all years: ours will do.
            now += timedelta(seconds=self.clock.seconds if self.clock else 0)
        source = self.source
        return soap.token(
            source.username or "", source.password or "", now, secrets.token_bytes(16)
        )

    def _challenged(self, response: aiohttp.ClientResponse) -> bool:
        """Whether this is a challenge that we can answer without telling the password."""
        challenge = choose(response.headers.getall("WWW-Authenticate", []))
        if challenge is None or challenge.scheme != "digest" or self.source.username is None:
            return False
        self._authorizer = Authorizer(challenge, self.source.username, self.source.password or "")
        return True

    async def _send(
        self, address: str, action: str, data: bytes, timeout_s: float | None
    ) -> tuple[aiohttp.ClientResponse, bytes]:
        try:
            url = URL(address, encoded=True)
        except ValueError:
            raise OnvifUnreachable("no address") from None
        headers = {"Content-Type": f'application/soap+xml; charset=utf-8; action="{action}"'}
        if self._version == "1.1":
            headers = {"Content-Type": "text/xml; charset=utf-8", "SOAPAction": f'"{action}"'}
        if self._authorizer is not None:
            headers["Authorization"] = self._authorizer.header("POST", url.raw_path_qs)
        timeout = self._timeout if timeout_s is None else aiohttp.ClientTimeout(total=timeout_s)
        try:
            async with self._session.post(
                url, data=data, headers=headers, allow_redirects=False, timeout=timeout
            ) as response:
                self.raw = await _bounded(response)
                return response, self.raw
        except (TimeoutError, OSError, aiohttp.ClientError, ValueError) as err:
            _let_go(err)
            raise (OnvifHungUp if _hung_up(err) else OnvifUnreachable)(type(err).__name__) from None


def _hung_up(err: Exception) -> bool:
    """Whether there was a connection that the device closed, or reset."""
    if isinstance(err, aiohttp.ServerDisconnectedError):
        return True
    return isinstance(err, aiohttp.ClientOSError) and err.errno == errno.ECONNRESET


def _let_go(err: BaseException | None) -> None:
    """Free what a failed request left: its frames and errors hold one another in circles, and many
    cameras that do not answer would have Python look for circles in all of Home Assistant."""
    while err is not None:
        traceback.clear_frames(err.__traceback__)
        err.__traceback__ = None
        err = err.__cause__ or err.__context__


async def _bounded(response: aiohttp.ClientResponse) -> bytes:
    answer = b""
    async for chunk in response.content.iter_chunked(1 << 16):
        answer += chunk
        if len(answer) > _MAX_ANSWER:
            raise OnvifError("too long")
    return answer


async def _read(status: int, answer: bytes) -> Element:
    if status in (401, 403):
        raise OnvifAuthFailed
    if len(answer) > _IN_A_THREAD:  # Reading takes the event loop's time.
        return await asyncio.to_thread(soap.read, answer)
    return soap.read(answer)


def _port(address: str) -> int | None:
    """The port of an http address; None if it is none."""
    try:
        parts = urlsplit(address)
        port = parts.port or 80
    except ValueError:
        return None
    return port if parts.scheme == "http" and parts.hostname else None
