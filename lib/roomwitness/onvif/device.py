"""One look at a device through onvif-zeep-async: who it is, its profiles, streams and clock."""

import asyncio
from dataclasses import dataclass, field
from datetime import timedelta
from types import ModuleType
from typing import Any
from urllib.parse import urlsplit, urlunsplit

from .errors import OnvifAuthFailed, OnvifError, OnvifNoProfile, OnvifUnreachable

_AUTH_WORDS = ("notauthorized", "not authorized", "unauthorized", "401", "failedauthentication")


@dataclass(frozen=True, slots=True)
class Profile:
    """A media profile; ``url`` is its RTSP address, without credentials, at the host we asked."""

    token: str
    name: str
    encoding: str
    width: int
    height: int
    has_audio: bool
    url: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class CameraInfo:
    """What the device says of itself. ``clock_offset_s`` is its clock minus ours, in seconds."""

    manufacturer: str
    model: str
    firmware: str
    serial: str
    clock_offset_s: float
    profiles: tuple[Profile, ...]

    @property
    def best(self) -> Profile:
        """The H.264 profile with the most picture."""
        return max(self.profiles, key=lambda p: p.width * p.height)


async def describe(
    host: str, port: int, username: str | None, password: str | None, timeout_s: float = 15.0
) -> CameraInfo:
    """Ask a device for everything that a recorder needs.

    Raises:
        OnvifUnreachable, OnvifAuthFailed, OnvifNoProfile, OnvifError.
    """
    onvif = await asyncio.to_thread(_import)
    camera = onvif.ONVIFCamera(host, port, username, password, adjust_time=True, nat_override=True)
    try:
        async with asyncio.timeout(timeout_s):
            return await _describe(camera, host)
    except OnvifError:
        raise
    except (TimeoutError, OSError) as err:
        raise OnvifUnreachable(type(err).__name__) from None
    except Exception as err:  # zeep, lxml and aiohttp each raise their own.
        raise _translated(err) from None
    finally:
        await camera.close()


def _import() -> ModuleType:
    """Loading zeep takes most of a second: not on the event loop."""
    import onvif

    module: ModuleType = onvif
    return module


async def _describe(camera: Any, host: str) -> CameraInfo:
    await camera.update_xaddrs()
    device = await camera.create_devicemgmt_service()
    about = await device.GetDeviceInformation()
    media = await camera.create_media_service()
    profiles = []
    for item in await media.GetProfiles() or ():
        encoder = item.VideoEncoderConfiguration
        if encoder is None or str(encoder.Encoding) != "H264":
            continue
        answer = await media.GetStreamUri(
            {
                "StreamSetup": {"Stream": "RTP-Unicast", "Transport": {"Protocol": "RTSP"}},
                "ProfileToken": item.token,
            }
        )
        size = encoder.Resolution
        profiles.append(
            Profile(
                str(item.token),
                str(item.Name or item.token),
                "H264",
                int(size.Width) if size is not None else 0,
                int(size.Height) if size is not None else 0,
                item.AudioEncoderConfiguration is not None,
                _at(str(answer.Uri), host),
            )
        )
    if not profiles:
        raise OnvifNoProfile
    offset: timedelta = camera.dt_diff or timedelta(0)
    return CameraInfo(
        str(about.Manufacturer or ""),
        str(about.Model or ""),
        str(about.FirmwareVersion or ""),
        str(about.SerialNumber or ""),
        offset.total_seconds(),
        tuple(profiles),
    )


def _at(url: str, host: str) -> str:
    """The same address at the host that we reached the device by, without credentials."""
    parts = urlsplit(url)
    place = f"[{host}]" if ":" in host else host
    if parts.port is not None:
        place = f"{place}:{parts.port}"
    return urlunsplit((parts.scheme, place, parts.path, parts.query, ""))


def _translated(err: Exception) -> OnvifError:
    """Which of our errors a foreign one is; its text may hold addresses and is dropped."""
    chain: list[BaseException] = []
    link: BaseException | None = err
    while link is not None and link not in chain:
        chain.append(link)
        link = link.__cause__ or link.__context__
    text = " ".join(f"{type(e).__name__} {e} {getattr(e, 'subcodes', '')}" for e in chain).lower()
    if any(word in text for word in _AUTH_WORDS):
        return OnvifAuthFailed()
    if any(isinstance(e, OSError | TimeoutError) for e in chain) or "connect" in text:
        return OnvifUnreachable()
    return OnvifError(type(err).__name__)
