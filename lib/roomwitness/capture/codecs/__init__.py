"""Codecs, one module each, behind one protocol; a registry finds them."""

from .base import AccessUnit, SoundCodec, SoundFormat, VideoCodec, VideoFormat
from .registry import shown_name, sound_codec, video_codec

__all__ = [
    "AccessUnit",
    "SoundCodec",
    "SoundFormat",
    "VideoCodec",
    "VideoFormat",
    "shown_name",
    "sound_codec",
    "video_codec",
]
