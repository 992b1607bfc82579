"""One look at a device: who it is, its profiles and streams, its clock."""

import asyncio
from dataclasses import dataclass, field

from . import names, xml
from .connection import Connection
from .discovery import plain_endpoint
from .errors import OnvifError, OnvifNoProfile, OnvifUnreachable
from .profiles import Profile, choose, profiles
from .source import OnvifSource


@dataclass(frozen=True, slots=True)
class Identity:
    """Who the device says that it is; empty where it does not say."""

    manufacturer: str
    model: str
    firmware: str
    serial: str


@dataclass(frozen=True, slots=True)
class CameraInfo:
    """What the device says of itself.

    ``clock_offset_s`` is its clock minus ours, in seconds; None if it tells no time. ``endpoint``
    is by what WS-Discovery knows it; empty if it does not say.
    """

    identity: Identity
    endpoint: str = field(repr=False)
    clock_offset_s: float | None
    profiles: tuple[Profile, ...]

    @property
    def best(self) -> Profile:
        """The profile to record unless somebody chooses another."""
        return choose(self.profiles)


async def describe(source: OnvifSource, timeout_s: float = 15.0) -> CameraInfo:
    """Ask a device for everything that a recorder needs.

    Raises:
        OnvifUnreachable, OnvifAuthFailed, OnvifNoProfile, OnvifError.
    """
    try:
        async with asyncio.timeout(timeout_s), Connection(source) as device:
            offset = await _offset(device)
            about = await identity(device)
            endpoint = await _endpoint(device)
            found = await profiles(device)
    except TimeoutError:
        raise OnvifUnreachable("timeout") from None
    if not found:
        raise OnvifNoProfile
    return CameraInfo(about, endpoint, offset, found)


async def _offset(device: Connection) -> float | None:
    try:
        offset = await device.measure_clock(2)
    except OnvifUnreachable:
        raise
    except OnvifError:
        return None  # What it says next decides what is wrong.
    return None if offset is None else offset.seconds


async def _endpoint(device: Connection) -> str:
    try:
        answer = await device.call(names.DEVICE, "GetEndpointReference")
    except OnvifUnreachable:
        raise
    except OnvifError:
        return ""
    return plain_endpoint(xml.text(answer, "GUID"))


async def identity(device: Connection) -> Identity:
    """Who the device is.

    Raises:
        OnvifUnreachable, OnvifAuthFailed, OnvifError.
    """
    about = await device.call(names.DEVICE, "GetDeviceInformation")
    return Identity(
        xml.text(about, "Manufacturer"),
        xml.text(about, "Model"),
        xml.text(about, "FirmwareVersion"),
        xml.text(about, "SerialNumber"),
    )
