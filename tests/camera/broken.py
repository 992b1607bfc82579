"""ONVIF as real cameras get it wrong: the simulated device behind each of their mistakes."""

import hashlib
import re
import secrets
from datetime import UTC, datetime, timedelta
from typing import Literal

from aiohttp import web

from .config import CameraConfig, Faults
from .onvif import OnvifServer

type Mistake = Literal[
    "digest_only",
    "digest_and_token",
    "basic_first",
    "basic_only",
    "xaddr_nowhere",
    "soap11_as_html",
    "soap11_only",
    "hour_24",
    "undeclared_prefix",
    "no_services",
    "private_time",
    "no_time",
    "behind_nat",
    "redirect",
    "html",
    "empty",
    "doctype",
    "endless",
]
_REALM = "camera"


class BrokenOnvif(OnvifServer):
    """``mistake`` is made in every answer; WS-Security tokens older than 5 s are refused.

    ``told`` is everything that was sent to it.
    """

    def __init__(self, config: CameraConfig, mistake: Mistake) -> None:
        async def no_faults(_request: web.Request) -> web.Response:
            return web.Response(status=404)

        super().__init__(config, Faults(), no_faults)
        self.mistake = mistake
        self.told: list[str] = []
        self._nonce = secrets.token_hex(8)
        if mistake == "hour_24":  # Its clock stands in the first hour of the day.
            now = datetime.now(UTC)
            self.faults.clock_offset_s = (
                datetime(now.year, now.month, now.day, 0, 20, tzinfo=UTC) - now
            ).total_seconds()

    async def _handle(self, request: web.Request) -> web.StreamResponse:  # type: ignore[override]
        text = await request.text()
        self.told.append(f"{request.headers} {text}")
        mistake = self.mistake
        if mistake.startswith(("digest", "basic")):
            if not self._digest(request):
                return self._challenge()
            if mistake != "digest_and_token" and "Security>" in text:
                return web.Response(status=400, text="Bad Request")
        if mistake == "soap11_only" and "schemas.xmlsoap.org/soap/envelope" not in text:
            return web.Response(status=500, content_type="text/xml", text=_VERSION)
        if mistake == "redirect":
            raise web.HTTPTemporaryRedirect(f"http://127.0.0.1:{self.port}/elsewhere")
        if mistake == "html":
            return web.Response(text="<html><body><p>Welcome<br></body></html>")
        if mistake == "empty":
            return web.Response()
        if mistake == "endless":
            return await self._endless(request)
        asks_time = "GetSystemDateAndTime" in text
        if mistake == "private_time" and asks_time and "Security>" not in text:
            return self._spoilt(self._say(_PRIVATE, 400))
        if mistake == "no_services" and "GetServices" in text:
            return web.Response(status=400, text=_VERSION.replace("VersionMismatch", "Client"))
        response = await super()._handle(request)
        return self._spoilt(response)

    def _allowed(self, text: str) -> bool:
        if self.mistake.startswith("digest_only") or self.mistake.startswith("basic"):
            return True
        return super()._allowed(text) and self._fresh(text)

    def _fresh(self, text: str) -> bool:
        found = re.search(r"Created[^>]*>([^<]+)Z<", text)
        if found is None or self.mistake in ("private_time", "no_time"):
            return found is not None
        created = datetime.fromisoformat(found[1]).replace(tzinfo=UTC)
        now = datetime.now(UTC) + timedelta(seconds=self.faults.clock_offset_s)
        return abs(now - created) < timedelta(seconds=5)

    def _spoilt(self, response: web.Response) -> web.Response:
        text, kind = response.text or "", "application/soap+xml"
        match self.mistake:
            case "xaddr_nowhere":
                text = re.sub(r"http://[\d.]+:\d+/", "http://0.0.0.0/", text)
            case "behind_nat":
                text = re.sub(r"http://[\d.]+:\d+/", "http://192.168.7.7:8899/", text)
            case "soap11_as_html" | "soap11_only":
                kind = "text/html"
                text = text.replace(
                    "http://www.w3.org/2003/05/soap-envelope",
                    "http://schemas.xmlsoap.org/soap/envelope/",
                )
                text = re.sub(
                    r"<s:Fault>.*ter:(\w+)<.*</s:Fault>",
                    r"<s:Fault><faultcode>s:Client</faultcode><faultstring>sender not authorized"
                    "</faultstring></s:Fault>",
                    text,
                    flags=re.DOTALL,
                )
            case "hour_24":
                yesterday = (datetime.now(UTC) - timedelta(days=1)).date()
                text = text.replace("<tt:Hour>0<", "<tt:Hour>24<")
                if "<tt:Hour>24<" in text:
                    text = re.sub(
                        r"<tt:Date>.*</tt:Date>",
                        f"<tt:Date><tt:Year>{yesterday.year}</tt:Year><tt:Month>{yesterday.month}"
                        f"</tt:Month><tt:Day>{yesterday.day}</tt:Day></tt:Date>",
                        text,
                    )
            case "undeclared_prefix":
                text = re.sub(r' xmlns:(tt|trt|tds|ter)="[^"]*"', "", text)
            case "no_time":
                text = re.sub(r"<tt:UTCDateTime>.*</tt:UTCDateTime>", "", text)
            case "doctype":
                text = '<!DOCTYPE s [<!ENTITY x "y">]>' + text.partition("?>")[2]
        return web.Response(text=text, status=response.status, content_type=kind)

    def _digest(self, request: web.Request) -> bool:
        header = request.headers.get("Authorization", "")
        told = dict(re.findall(r'(\w+)="?([^",]+)"?', header.removeprefix("Digest ")))
        if told.get("nonce") != self._nonce:
            return False
        ha1 = _md5(f"{self.config.user}:{_REALM}:{self.config.password}")
        ha2 = _md5(f"POST:{request.path_qs}")
        proof = f"{ha1}:{self._nonce}:{told.get('nc')}:{told.get('cnonce')}:auth:{ha2}"
        return told.get("response") == _md5(proof)

    def _challenge(self) -> web.Response:
        response = web.Response(status=401)
        if self.mistake.startswith("basic"):
            response.headers.add("WWW-Authenticate", f'Basic realm="{_REALM}"')
        if self.mistake != "basic_only":
            response.headers.add(
                "WWW-Authenticate", f'Digest realm="{_REALM}", nonce="{self._nonce}", qop="auth"'
            )
        return response

    def new_nonce(self) -> None:
        """What was signed with the old one is refused."""
        self._nonce = secrets.token_hex(8)

    async def _endless(self, request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        for _ in range(64):
            await response.write(b"<a>" * 20_000)
        return response


_VERSION = (
    '<s:Envelope xmlns:s="http://schemas.xmlsoap.org/soap/envelope/"><s:Body><s:Fault>'
    "<faultcode>s:VersionMismatch</faultcode><faultstring>no</faultstring></s:Fault></s:Body>"
    "</s:Envelope>"
)
_PRIVATE = (
    "<s:Fault><s:Code><s:Value>s:Sender</s:Value><s:Subcode><s:Value>ter:NotAuthorized</s:Value>"
    "</s:Subcode></s:Code></s:Fault>"
)


def _md5(text: str) -> str:
    return hashlib.md5(text.encode()).hexdigest()
