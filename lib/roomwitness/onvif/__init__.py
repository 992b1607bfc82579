"""ONVIF: finding cameras on the network, and asking one for its streams and clock."""

from .connection import Connection
from .device import CameraInfo, Identity, describe
from .discovery import DiscoveredCamera, discover, parse_match
from .errors import OnvifAuthFailed, OnvifError, OnvifFault, OnvifNoProfile, OnvifUnreachable
from .profiles import Profile, choose
from .source import OnvifSource

__all__ = [
    "CameraInfo",
    "Connection",
    "DiscoveredCamera",
    "Identity",
    "OnvifAuthFailed",
    "OnvifError",
    "OnvifFault",
    "OnvifNoProfile",
    "OnvifSource",
    "OnvifUnreachable",
    "Profile",
    "choose",
    "describe",
    "discover",
    "parse_match",
]
