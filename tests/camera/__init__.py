"""A simulated camera: WS-Discovery, ONVIF and RTSP (H.264, AAC), with faults on demand.

``python -m tests.camera --help``; in tests: ``async with Camera(CameraConfig()) as camera``.
"""

from .camera import Camera
from .config import CameraConfig, Faults
from .profiles import VideoProfile

__all__ = ["Camera", "CameraConfig", "Faults", "VideoProfile"]
