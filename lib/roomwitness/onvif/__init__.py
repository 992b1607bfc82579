"""ONVIF: finding cameras on the network, and asking one for its streams and clock."""

from .device import CameraInfo, Profile, describe
from .discovery import DiscoveredCamera, discover, parse_match
from .errors import OnvifAuthFailed, OnvifError, OnvifNoProfile, OnvifUnreachable

__all__ = [
    "CameraInfo",
    "DiscoveredCamera",
    "OnvifAuthFailed",
    "OnvifError",
    "OnvifNoProfile",
    "OnvifUnreachable",
    "Profile",
    "describe",
    "discover",
    "parse_match",
]
