"""Media profiles: of Media2 (ONVIF Media2, 5.2) where the device has it, else of Media."""

import math
from collections.abc import Iterable
from dataclasses import dataclass, field
from urllib.parse import urlsplit, urlunsplit
from xml.etree.ElementTree import Element
from xml.sax.saxutils import escape

from . import names, xml
from .connection import Connection
from .errors import OnvifAuthFailed, OnvifError, OnvifFault, OnvifUnreachable

# What capture records. Of two equal pictures the first plays in every browser.
RECORDABLE = ("H264", "H265")
# More than a room's camera needs, and what a disk is not reckoned for.
_BIT_RATE_CAP_KBIT = 8000
_MAX_PROFILES = 64


@dataclass(frozen=True, slots=True)
class Profile:
    """A media profile; ``url`` is its RTSP address, without credentials, at the host we asked.

    ``encoding`` is ONVIF's name (``H264``, ``H265``); a ``frame_rate`` (1/s) or ``bit_rate``
    (kbit/s) of 0 is one that the device does not tell.
    """

    token: str
    name: str
    encoding: str
    width: int
    height: int
    frame_rate: float
    bit_rate: int
    has_audio: bool
    url: str = field(repr=False)

    @property
    def label(self) -> str:
        """For people: what it delivers, and by what name the camera knows it."""
        parts = [f"{self.width}×{self.height} {self.encoding.replace('H26', 'H.26')}"]
        if self.frame_rate:
            parts.append(f"{self.frame_rate:g} fps")
        if self.bit_rate:
            parts.append(f"{self.bit_rate / 1000:.3g} Mbit/s")
        return f"{', '.join(parts)} ({self.name})"


def choose(profiles: Iterable[Profile], cap_kbit: int = _BIT_RATE_CAP_KBIT) -> Profile:
    """The best to record: most picture, then within the cap, then frame rate, codec, bit rate.

    Raises:
        ValueError: there is none.
    """

    def worth(profile: Profile) -> tuple[int, bool, float, bool, int]:
        return (
            profile.width * profile.height,
            profile.bit_rate <= cap_kbit,
            profile.frame_rate,
            profile.encoding == RECORDABLE[0],
            profile.bit_rate,
        )

    return max((p for p in profiles if p.encoding in RECORDABLE), key=worth)


async def profiles(device: Connection) -> tuple[Profile, ...]:
    """The profiles that can be recorded, in the device's order.

    Raises:
        OnvifAuthFailed, OnvifUnreachable, OnvifError.
    """
    services = await device.services()
    if names.MEDIA2 in services:
        try:
            found = await _media2(device)
        except OnvifAuthFailed, OnvifUnreachable:
            raise
        except OnvifError:
            found = ()
        if found:
            return found
    return await _media1(device)


async def _media2(device: Connection) -> tuple[Profile, ...]:
    answer = await device.call(names.MEDIA2, "GetProfiles", "<Type>All</Type>")
    found = []
    for item in list(xml.every(answer, "Profiles"))[:_MAX_PROFILES]:
        video, audio = xml.find(item, "VideoEncoder"), xml.find(item, "AudioEncoder")
        wanted = f"<Protocol>RTSP</Protocol><ProfileToken>{_token(item)}</ProfileToken>"
        found.append(await _profile(device, names.MEDIA2, item, video, audio, wanted))
    return tuple(profile for profile in found if profile is not None)


async def _media1(device: Connection) -> tuple[Profile, ...]:
    answer = await device.call(names.MEDIA, "GetProfiles")
    found = []
    for item in list(xml.every(answer, "Profiles"))[:_MAX_PROFILES]:
        video = xml.find(item, "VideoEncoderConfiguration")
        audio = xml.find(item, "AudioEncoderConfiguration")
        wanted = (
            "<StreamSetup><tt:Stream>RTP-Unicast</tt:Stream><tt:Transport><tt:Protocol>RTSP"
            "</tt:Protocol></tt:Transport></StreamSetup>"
            f"<ProfileToken>{_token(item)}</ProfileToken>"
        )
        found.append(await _profile(device, names.MEDIA, item, video, audio, wanted))
    return tuple(profile for profile in found if profile is not None)


async def _profile(
    device: Connection,
    service: str,
    item: Element,
    video: Element | None,
    audio: Element | None,
    wanted: str,
) -> Profile | None:
    encoding = xml.text(video, "Encoding").upper().replace(".", "")
    if encoding not in RECORDABLE:
        return None
    try:
        answer = await device.call(service, "GetStreamUri", wanted)
    except OnvifFault:
        return None  # A profile that is not ready to be played; others may be.
    url = at(xml.text(answer, "Uri"), device.source.host)
    if not url:
        return None
    token = item.get("token", "")
    return Profile(
        token,
        xml.text(item, "Name") or token,
        encoding,
        int(_number(xml.text(video, "Resolution", "Width"))),
        int(_number(xml.text(video, "Resolution", "Height"))),
        _number(xml.text(video, "FrameRateLimit")),
        int(_number(xml.text(video, "BitrateLimit"))),
        audio is not None,
        url,
    )


def at(url: str, host: str) -> str:
    """The same RTSP address at the host that we reached the device by, without credentials."""
    try:
        parts = urlsplit(url)
        port = f":{parts.port}" if parts.port is not None else ""
    except ValueError:
        return ""
    place = f"[{host}]" if ":" in host else host
    return urlunsplit((parts.scheme, place + port, parts.path, parts.query, ""))


def _token(item: Element) -> str:
    return escape(item.get("token", ""))


def _number(text: str) -> float:
    try:
        number = float(text)
    except ValueError:
        return 0.0
    return min(max(number, 0.0), 1e6) if math.isfinite(number) else 0.0
