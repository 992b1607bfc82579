"""ONVIF: finding cameras on the network, and asking one for its streams and clock."""

from .connection import Connection
from .device import CameraInfo, Identity, describe, identity
from .discovery import DiscoveredCamera, discover, parse_match
from .errors import OnvifAuthFailed, OnvifError, OnvifFault, OnvifNoProfile, OnvifUnreachable
from .following import DeviceId, another, endpoint_of, follow
from .profiles import Profile, at, choose
from .recordings import OwnRecordings, own_recordings
from .source import OnvifSource
from .timekeeping import DeviceClock, read_clock, set_clock

__all__ = [
    "CameraInfo",
    "Connection",
    "DeviceClock",
    "DeviceId",
    "DiscoveredCamera",
    "Identity",
    "OnvifAuthFailed",
    "OnvifError",
    "OnvifFault",
    "OnvifNoProfile",
    "OnvifSource",
    "OnvifUnreachable",
    "OwnRecordings",
    "Profile",
    "another",
    "at",
    "choose",
    "describe",
    "discover",
    "endpoint_of",
    "follow",
    "identity",
    "own_recordings",
    "parse_match",
    "read_clock",
    "set_clock",
]
