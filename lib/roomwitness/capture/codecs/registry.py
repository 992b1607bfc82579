"""Codecs by the encoding name of a session description (RFC 8866, a=rtpmap)."""

from collections.abc import Callable, Mapping

from ..errors import StreamUnsupported
from ..sdp import Media
from . import aac, g711, h264, h265, latm, opus
from .base import SoundCodec, VideoCodec

VIDEO: Mapping[str, Callable[[Media], VideoCodec]] = {"H264": h264.codec, "H265": h265.codec}
SOUND: Mapping[str, Callable[[Media], SoundCodec]] = {
    "MPEG4-GENERIC": aac.codec,
    "MP4A-LATM": latm.codec,
    "PCMA": g711.codec,
    "PCMU": g711.codec,
    "OPUS": opus.codec,
}
_MAX_NAME = 24


def video_codec(media: Media) -> VideoCodec:
    """The codec of a picture.

    Raises:
        StreamUnsupported: none that we record.
    """
    make = VIDEO.get(media.encoding)
    if make is None:
        raise StreamUnsupported("a picture in a codec that we do not record")
    return make(media)


def sound_codec(media: Media) -> SoundCodec:
    """The codec of a sound.

    Raises:
        StreamUnsupported: none that we record.
    """
    make = SOUND.get(media.encoding)
    if make is None:
        raise StreamUnsupported("a sound in a codec that we do not record")
    return make(media)


def shown_name(media: Media) -> str:
    """What to call a codec that we refuse: the camera's own word, fit to be shown."""
    word = "".join(c for c in media.encoding if c.isascii() and (c.isalnum() or c in "-._"))
    return word[:_MAX_NAME] or f"RTP {media.payload_type}"
