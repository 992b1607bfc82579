"""ONVIF device and media services: what a recorder asks for, with WS-Security."""

import base64
import hashlib
import re
import secrets
from datetime import UTC, datetime, timedelta

from aiohttp import web

from .config import CameraConfig, Faults

_ENVELOPE = """<?xml version="1.0" encoding="UTF-8"?>
<s:Envelope xmlns:s="http://www.w3.org/2003/05/soap-envelope"
 xmlns:tds="http://www.onvif.org/ver10/device/wsdl" xmlns:trt="http://www.onvif.org/ver10/media/wsdl"
 xmlns:tt="http://www.onvif.org/ver10/schema"><s:Body>{body}</s:Body></s:Envelope>"""
_FAULT = """<s:Fault><s:Code><s:Value>s:Sender</s:Value><s:Subcode><s:Value
 xmlns:ter="http://www.onvif.org/ver10/error">ter:{code}</s:Value></s:Subcode></s:Code>
<s:Reason><s:Text xml:lang="en">{text}</s:Text></s:Reason></s:Fault>"""
_DEVICE, _MEDIA = "/onvif/device_service", "/onvif/media_service"


class OnvifServer:
    """SOAP over HTTP at ``/onvif/...``, and ``POST /fault`` for tests in other processes."""

    def __init__(self, config: CameraConfig, faults: Faults, fault: object) -> None:
        self.config, self.faults = config, faults
        self.port = config.onvif_port
        self.rtsp_port = 0
        self._fault = fault
        self._runner: web.AppRunner | None = None

    async def start(self) -> None:
        app = web.Application()
        app.router.add_post(_DEVICE, self._handle)
        app.router.add_post(_MEDIA, self._handle)
        app.router.add_post("/fault", self._fault)  # type: ignore[arg-type]
        self._runner = web.AppRunner(app)
        await self._runner.setup()
        site = web.TCPSite(self._runner, self.config.host, self.port)
        await site.start()
        self.port = self._runner.addresses[0][1]

    async def stop(self) -> None:
        if self._runner is not None:
            await self._runner.cleanup()
            self._runner = None

    async def _handle(self, request: web.Request) -> web.Response:
        text = await request.text()
        found = re.search(r"<(?:[\w-]+:)?Body[^>]*>\s*<(?:[\w-]+:)?(\w+)", text)
        name = found[1] if found else ""
        if name != "GetSystemDateAndTime" and not self._allowed(text):
            return self._say(_FAULT.format(code="NotAuthorized", text="Not authorized"), 400)
        body = getattr(self, f"_{name}", None)
        if body is None:
            return self._say(_FAULT.format(code="ActionNotSupported", text="No such action"), 500)
        return self._say(body())

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

    def _GetSystemDateAndTime(self) -> str:  # noqa: N802 (ONVIF's name)
        now = datetime.now(UTC) + timedelta(seconds=self.faults.clock_offset_s)
        return (
            "<tds:GetSystemDateAndTimeResponse><tds:SystemDateAndTime>"
            "<tt:DateTimeType>NTP</tt:DateTimeType><tt:DaylightSavings>false</tt:DaylightSavings>"
            f"<tt:UTCDateTime><tt:Time><tt:Hour>{now.hour}</tt:Hour><tt:Minute>{now.minute}"
            f"</tt:Minute><tt:Second>{now.second}</tt:Second></tt:Time><tt:Date><tt:Year>"
            f"{now.year}</tt:Year><tt:Month>{now.month}</tt:Month><tt:Day>{now.day}</tt:Day>"
            "</tt:Date></tt:UTCDateTime></tds:SystemDateAndTime></tds:GetSystemDateAndTimeResponse>"
        )

    def _GetServices(self) -> str:  # noqa: N802
        def service(namespace: str, path: str) -> str:
            return (
                f"<tds:Service><tds:Namespace>http://www.onvif.org/ver10/{namespace}/wsdl"
                f"</tds:Namespace><tds:XAddr>{self._url(path)}</tds:XAddr><tds:Version>"
                "<tt:Major>2</tt:Major><tt:Minor>6</tt:Minor></tds:Version></tds:Service>"
            )

        services = service("device", _DEVICE) + service("media", _MEDIA)
        return f"<tds:GetServicesResponse>{services}</tds:GetServicesResponse>"

    def _GetCapabilities(self) -> str:  # noqa: N802
        return (
            "<tds:GetCapabilitiesResponse><tds:Capabilities>"
            f"<tt:Device><tt:XAddr>{self._url(_DEVICE)}</tt:XAddr></tt:Device>"
            f"<tt:Media><tt:XAddr>{self._url(_MEDIA)}</tt:XAddr><tt:StreamingCapabilities>"
            "<tt:RTPMulticast>false</tt:RTPMulticast><tt:RTP_TCP>true</tt:RTP_TCP>"
            "<tt:RTP_RTSP_TCP>true</tt:RTP_RTSP_TCP></tt:StreamingCapabilities></tt:Media>"
            "</tds:Capabilities></tds:GetCapabilitiesResponse>"
        )

    def _GetDeviceInformation(self) -> str:  # noqa: N802
        return (
            "<tds:GetDeviceInformationResponse><tds:Manufacturer>Room Witness</tds:Manufacturer>"
            "<tds:Model>Simulator</tds:Model><tds:FirmwareVersion>1</tds:FirmwareVersion>"
            f"<tds:SerialNumber>{self.port}</tds:SerialNumber><tds:HardwareId>1</tds:HardwareId>"
            "</tds:GetDeviceInformationResponse>"
        )

    def _GetProfiles(self) -> str:  # noqa: N802
        config = self.config
        sound = (
            '<tt:AudioEncoderConfiguration token="a"><tt:Name>a</tt:Name><tt:UseCount>1'
            "</tt:UseCount><tt:Encoding>AAC</tt:Encoding><tt:Bitrate>32</tt:Bitrate>"
            "<tt:SampleRate>16</tt:SampleRate></tt:AudioEncoderConfiguration>"
            if config.audio
            else ""
        )
        return (
            '<trt:GetProfilesResponse><trt:Profiles token="main" fixed="true"><tt:Name>Main'
            '</tt:Name><tt:VideoEncoderConfiguration token="v"><tt:Name>v</tt:Name><tt:UseCount>1'
            "</tt:UseCount><tt:Encoding>H264</tt:Encoding><tt:Resolution><tt:Width>"
            f"{config.width}</tt:Width><tt:Height>{config.height}</tt:Height></tt:Resolution>"
            "<tt:Quality>5</tt:Quality></tt:VideoEncoderConfiguration>"
            f"{sound}</trt:Profiles></trt:GetProfilesResponse>"
        )

    def _GetStreamUri(self) -> str:  # noqa: N802
        return (
            "<trt:GetStreamUriResponse><trt:MediaUri>"
            f"<tt:Uri>rtsp://{self.config.host}:{self.rtsp_port}/stream</tt:Uri>"
            "<tt:InvalidAfterConnect>false</tt:InvalidAfterConnect><tt:InvalidAfterReboot>false"
            "</tt:InvalidAfterReboot><tt:Timeout>PT0S</tt:Timeout></trt:MediaUri>"
            "</trt:GetStreamUriResponse>"
        )
