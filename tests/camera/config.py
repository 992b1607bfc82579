"""What a simulated camera is, and what is wrong with it at the moment."""

import ssl
from dataclasses import dataclass
from typing import Literal

from .profiles import VideoProfile


@dataclass
class CameraConfig:
    """Port 0 takes a free one. Without a user everybody is let in; ``udp`` refuses TCP."""

    name: str = "Camera"
    host: str = "127.0.0.1"
    onvif_port: int = 0
    rtsp_port: int = 0
    user: str | None = None
    password: str = ""
    auth: Literal["digest", "digest-sha256", "basic"] = "digest"
    audio: bool = True
    sound: Literal["aac", "g726"] = "aac"
    metadata: bool = False
    udp: bool = False
    tls: ssl.SSLContext | None = None
    width: int = 640
    height: int = 360
    fps: int = 10
    gop: int = 10
    discovery: bool = False
    profiles: tuple[VideoProfile, ...] = ()
    media2: bool = False
    inputs: int = 0
    relays: int = 0


@dataclass
class Faults:
    """Each can be set at any time; ``lose`` counts down as packets are lost.

    Over UDP: ``shuffle`` packets at a time come in any order, and ``strangers`` send others.
    """

    stall: bool = False
    no_keyframes: bool = False
    wrong_password: bool = False
    garbage: bool = False
    lose: int = 0
    clock_offset_s: float = 0.0
    no_reports: bool = False
    say_goodbye: bool = False
    refuse_metadata: bool = False
    refuse_sound: bool = False
    mute: bool = False
    shuffle: int = 0
    strangers: bool = False
    refuse_events: bool = False
    reference_parameters: bool = False
    longest_subscription_s: float = 600.0
    no_renew: bool = False
    refuse_relay: bool = False
    # What SetSynchronizationPoint is answered with: a status, "empty", "silent".
    synchronization: str = ""
    # An empty poll ends by closing the connection, or resetting it; polls are answered at once.
    closes_empty: Literal["", "close", "reset"] = ""
    no_long_poll: bool = False
