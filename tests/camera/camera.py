"""The whole camera: its services together, and its faults by name."""

from typing import Any, Self

from aiohttp import web

from roomwitness.capture import StreamSource

from .config import CameraConfig, Faults
from .discovery import Discovery
from .media import Media
from .onvif import OnvifServer
from .rtsp import RtspServer


class Camera:
    """A running camera; faults can be set directly, by ``fault()``, or by ``POST /fault``."""

    def __init__(self, config: CameraConfig | None = None) -> None:
        self.config = config or CameraConfig()
        self.faults = Faults()
        c = self.config
        self.media = Media(c.name, c.width, c.height, c.fps, c.gop, c.audio, metadata=c.metadata)
        self.rtsp = RtspServer(c, self.faults, self.media)
        self.onvif = OnvifServer(c, self.faults, self._posted)
        self.signals = self.onvif.signals
        self.discovery: Discovery | None = None

    async def __aenter__(self) -> Self:
        await self.rtsp.start()
        self.onvif.rtsp_port = self.rtsp.port
        await self.onvif.start()
        if self.config.discovery:
            self.discovery = Discovery(
                self.config.name, self.config.host, self.onvif.port, self.onvif.house.endpoint
            )
            await self.discovery.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        if self.discovery is not None:
            self.discovery.stop()
        await self.rtsp.stop()
        await self.onvif.stop()
        self.media.close()

    @property
    def url(self) -> str:
        scheme = "rtsp" if self.config.tls is None else "rtsps"
        return f"{scheme}://{self.config.host}:{self.rtsp.port}/stream"

    def source(self, *, audio: bool = True, password: str | None = None) -> StreamSource:
        """What a recorder needs to be told."""
        word = password if password is not None else self.config.password
        return StreamSource(self.url, self.config.user, word, audio)

    async def fault(self, name: str, value: Any = True) -> None:
        """``drop``, ``refuse_rtsp``, ``accept_rtsp``, ``kill``, ``revive``, ``size``, a fault."""
        if name == "drop":
            self.rtsp.drop()
        elif name == "refuse_rtsp":
            await self.rtsp.stop()
        elif name == "accept_rtsp":
            await self.rtsp.start()
        elif name == "kill":
            await self.rtsp.stop()
            await self.onvif.stop()
        elif name == "revive":
            await self.rtsp.start()
            await self.onvif.start()
        elif name == "size":
            self.media.size = (int(value[0]), int(value[1]))
        elif hasattr(self.faults, name):
            setattr(self.faults, name, value)
        else:
            raise ValueError(name)

    async def _posted(self, request: web.Request) -> web.Response:
        for name, value in (await request.json()).items():
            await self.fault(name, value)
        return web.json_response({"plays": self.rtsp.plays})
