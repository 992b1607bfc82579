"""What preflight looks at: small pure checks, each the key of a translated problem or None."""

from datetime import timedelta

import av

from roomwitness.capture import StreamInfo

# Before anybody has measured this camera: what most send at 1080p.
ASSUMED_BITS_PER_S = 4_000_000


def undecodable(info: StreamInfo) -> str | None:
    """Whether the keyframe gives a picture. Decodes, so run it in a thread."""
    try:
        decoder = av.CodecContext.create(info.decoder, "r")
        if not isinstance(decoder, av.VideoCodecContext):
            return "keyframe_undecodable"
        pictures = [*decoder.decode(av.Packet(info.keyframe)), *decoder.decode(None)]
    except av.FFmpegError, ValueError:
        return "keyframe_undecodable"
    return None if pictures else "keyframe_undecodable"


def without_sound(info: StreamInfo, *, wanted: bool) -> str | None:
    """Whether sound is wanted and the camera offers none; one that we refuse is told elsewhere."""
    return "sound_missing" if wanted and not info.has_audio and not info.sound_refused else None


def needed_bytes(cameras: int, length: timedelta) -> int:
    """Room that so many cameras take in so long, at the assumed bit rate."""
    return int(cameras * length.total_seconds() * ASSUMED_BITS_PER_S / 8)
