"""Independent programs that we must get on with: GStreamer's RTSP server, ipycam's ONVIF."""

from .processes import free_port, gstreamer, ipycam

__all__ = ["free_port", "gstreamer", "ipycam"]
