"""ONVIF device and media services: what a recorder asks for, with WS-Security."""

import asyncio
import base64
import hashlib
import re
import secrets
import socket
import struct

from aiohttp import web

from . import profiles
from .config import CameraConfig, Faults
from .housekeeping import RECORDING, SEARCH, Housekeeping
from .profiles import VideoProfile
from .signals import DEVICE_IO, EVENTS, SUBSCRIPTION, Fault, HangUp, Signals

_ENVELOPE = """<?xml version="1.0" encoding="UTF-8"?>
<s:Envelope xmlns:s="http://www.w3.org/2003/05/soap-envelope"
 xmlns:tds="http://www.onvif.org/ver10/device/wsdl" xmlns:trt="http://www.onvif.org/ver10/media/wsdl"
 xmlns:tt="http://www.onvif.org/ver10/schema"><s:Body>{body}</s:Body></s:Envelope>"""
_FAULT = """<s:Fault><s:Code><s:Value>s:Sender</s:Value><s:Subcode><s:Value
 xmlns:ter="http://www.onvif.org/ver10/error">ter:{code}</s:Value></s:Subcode></s:Code>
<s:Reason><s:Text xml:lang="en">{text}</s:Text></s:Reason></s:Fault>"""
_DEVICE, _MEDIA, _MEDIA2 = (
    "/onvif/device_service",
    "/onvif/media_service",
    "/onvif/media2_service",
)


class OnvifServer:
    """SOAP over HTTP at ``/onvif/...``, and ``POST /fault`` for tests in other processes."""

    def __init__(self, config: CameraConfig, faults: Faults, fault: object) -> None:
        self.config, self.faults = config, faults
        self.port = config.onvif_port
        self.rtsp_port = 0
        self.refused = 0
        self.house = Housekeeping(faults)
        self._fault = fault
        self.signals = Signals(config, faults, self._url)
        self._runner: web.AppRunner | None = None

    async def start(self) -> None:
        app = web.Application()
        app.router.add_post(_DEVICE, self._handle)
        app.router.add_post(_MEDIA, self._handle)
        app.router.add_post(_MEDIA2, self._handle)
        for path in (EVENTS, DEVICE_IO, SUBSCRIPTION + "/{number}"):
            app.router.add_post(path, self._handle)
        app.router.add_post("/panic", self._panic)
        app.router.add_post(RECORDING, self._handle)
        app.router.add_post(SEARCH, self._handle)
        app.router.add_post("/fault", self._fault)  # type: ignore[arg-type]
        self._runner = web.AppRunner(app, handler_cancellation=True, shutdown_timeout=1)
        await self._runner.setup()
        site = web.TCPSite(self._runner, self.config.host, self.port)
        await site.start()
        self.port = self._runner.addresses[0][1]

    async def stop(self) -> None:
        self.signals.lose()
        if self._runner is not None:
            # asyncio trips over a connection that it has accepted when the server closes.
            loop = asyncio.get_running_loop()
            for site in self._runner.sites:
                for sock in site._server.sockets:  # type: ignore[attr-defined]
                    loop.remove_reader(sock)
            await asyncio.sleep(0.01)
            await self._runner.cleanup()
            self._runner = None

    async def _handle(self, request: web.Request) -> web.Response:
        text = await request.text()
        found = re.search(r"<(?:[\w-]+:)?Body[^>]*>\s*<(?:[\w-]+:)?(\w+)", text)
        name = found[1] if found else ""
        if name != "GetSystemDateAndTime" and not self._allowed(text):
            self.refused += 1
            return self._say(_FAULT.format(code="NotAuthorized", text="Not authorized"), 400)
        if (told := self.house.answer(name, text)) is not None:
            if told.startswith("!"):
                return self._say(_FAULT.format(code=told[1:], text="No"), 400)
            return self._say(told)
        if name in ("GetProfiles", "GetStreamUri"):
            return self._media(name, text, media2=request.path == _MEDIA2)
        if name == "SetSynchronizationPoint" and self.faults.synchronization:
            return await self._no_soap(self.faults.synchronization)
        try:
            if (told := await self.signals.answer(name, text, request.path)) is not None:
                return self._say(told)
        except Fault as fault:
            return self._say(_FAULT.format(code=fault, text="No"), 400)
        except HangUp:
            if (transport := request.transport) is not None:
                if self.faults.closes_empty == "reset":
                    sock = transport.get_extra_info("socket")
                    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                transport.abort()
            return web.Response()
        body = getattr(self, f"_{name}", None)
        if body is None:
            return self._say(_FAULT.format(code="ActionNotSupported", text="No such action"), 500)
        return self._say(body())

    @staticmethod
    async def _no_soap(how: str) -> web.Response:
        if how == "silent":
            await asyncio.Event().wait()
        if how == "empty":
            return web.Response()
        return web.Response(status=int(how), text="No")

    async def _panic(self, _request: web.Request) -> web.Response:
        """Somebody presses the button on the first input, for a second."""
        self.signals.press()
        await asyncio.sleep(1)
        self.signals.release()
        return web.Response(text="The panic button was pressed.\n")

    @staticmethod
    def _say(body: str, status: int = 200) -> web.Response:
        text = _ENVELOPE.format(body=body)
        return web.Response(text=text, status=status, content_type="application/soap+xml")

    def _allowed(self, text: str) -> bool:
        if self.config.user is None:
            return True
        if self.faults.wrong_password:
            return False
        values = {
            name: match[1]
            for name in ("Username", "Password", "Nonce", "Created")
            if (match := re.search(rf"<(?:[\w-]+:)?{name}(?: [^>]*)?>([^<]*)<", text))
        }
        if len(values) < 4 or values["Username"] != self.config.user:
            return False
        plain = base64.b64decode(values["Nonce"]) + values["Created"].encode()
        digest = hashlib.sha1(plain + self.config.password.encode()).digest()
        return secrets.compare_digest(base64.b64encode(digest).decode(), values["Password"])

    def _url(self, path: str) -> str:
        return f"http://{self.config.host}:{self.port}{path}"

    def _GetServices(self) -> str:  # noqa: N802
        def service(namespace: str, path: str) -> str:
            return (
                f"<tds:Service><tds:Namespace>http://www.onvif.org/{namespace}/wsdl"
                f"</tds:Namespace><tds:XAddr>{self._url(path)}</tds:XAddr><tds:Version>"
                "<tt:Major>2</tt:Major><tt:Minor>6</tt:Minor></tds:Version></tds:Service>"
            )

        services = service("ver10/device", _DEVICE) + service("ver10/media", _MEDIA)
        services += service("ver10/events", EVENTS) + service("ver10/deviceIO", DEVICE_IO)
        if self.config.media2:
            services += service("ver20/media", _MEDIA2)
        services += "".join(service(*item) for item in self.house.services.items())
        return f"<tds:GetServicesResponse>{services}</tds:GetServicesResponse>"

    def _GetCapabilities(self) -> str:  # noqa: N802
        return (
            "<tds:GetCapabilitiesResponse><tds:Capabilities>"
            f"<tt:Device><tt:XAddr>{self._url(_DEVICE)}</tt:XAddr></tt:Device>"
            f"<tt:Events><tt:XAddr>{self._url(EVENTS)}</tt:XAddr><tt:WSSubscriptionPolicySupport>"
            "true</tt:WSSubscriptionPolicySupport><tt:WSPullPointSupport>true"
            "</tt:WSPullPointSupport><tt:WSPausableSubscriptionManagerInterfaceSupport>false"
            "</tt:WSPausableSubscriptionManagerInterfaceSupport></tt:Events>"
            f"<tt:Media><tt:XAddr>{self._url(_MEDIA)}</tt:XAddr><tt:StreamingCapabilities>"
            "<tt:RTPMulticast>false</tt:RTPMulticast><tt:RTP_TCP>true</tt:RTP_TCP>"
            "<tt:RTP_RTSP_TCP>true</tt:RTP_RTSP_TCP></tt:StreamingCapabilities></tt:Media>"
            "</tds:Capabilities></tds:GetCapabilitiesResponse>"
        )

    def _GetDeviceInformation(self) -> str:  # noqa: N802
        return (
            "<tds:GetDeviceInformationResponse><tds:Manufacturer>Room Witness</tds:Manufacturer>"
            "<tds:Model>Simulator</tds:Model><tds:FirmwareVersion>1</tds:FirmwareVersion>"
            f"<tds:SerialNumber>{self.house.serial or self.port}</tds:SerialNumber>"
            "<tds:HardwareId>1</tds:HardwareId></tds:GetDeviceInformationResponse>"
        )

    @property
    def profiles(self) -> tuple[VideoProfile, ...]:
        """As configured; else the one that it plays."""
        c = self.config
        main = VideoProfile("main", "H264", c.width, c.height, c.fps, audio=c.audio)
        return c.profiles or (main,)

    def _media(self, name: str, text: str, *, media2: bool) -> web.Response:
        if name == "GetProfiles" and media2:
            return self._say(profiles.media2(self.profiles, text))
        if name == "GetProfiles":
            return self._say(profiles.media1(self.profiles))
        profile = profiles.asked(self.profiles, text)
        if profile is None or not profile.ready:
            return self._say(_FAULT.format(code="NoProfile", text="No such profile"), 400)
        scheme = "rtsp" if self.config.tls is None else "rtsps"
        uri = profile.uri or f"{scheme}://{self.config.host}:{self.rtsp_port}/stream"
        if media2:
            return self._say(
                '<tr2:GetStreamUriResponse xmlns:tr2="http://www.onvif.org/ver20/media/wsdl">'
                f"<tr2:Uri>{uri}</tr2:Uri></tr2:GetStreamUriResponse>"
            )
        return self._say(
            f"<trt:GetStreamUriResponse><trt:MediaUri><tt:Uri>{uri}</tt:Uri>"
            "<tt:InvalidAfterConnect>false</tt:InvalidAfterConnect><tt:InvalidAfterReboot>false"
            "</tt:InvalidAfterReboot><tt:Timeout>PT0S</tt:Timeout></trt:MediaUri>"
            "</trt:GetStreamUriResponse>"
        )
