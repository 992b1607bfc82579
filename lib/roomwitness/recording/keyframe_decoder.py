"""Whether a keyframe gives a picture: ``python keyframe_decoder.py DECODER MAX_PIXELS < KEYFRAME``.

A program of its own, which imports nothing of ours: what a camera sends is given to FFmpeg nowhere
else, and what it can do to that ends here. It may take neither much memory nor much time, writes no
file, and has nothing to tell but how it ends.
"""

import os
import resource
import sys

PICTURE, NONE, UNKNOWN = 0, 3, 4
# The largest picture of an H.264 or H.265 level 6.2 needs less than half of it.
_MAX_BYTES = 1 << 30
_MAX_CPU_S = 10


def main() -> int:
    """How it ends: ``PICTURE``, ``NONE``, or ``UNKNOWN`` if there is nothing to decode with."""
    name, pixels = sys.argv[1:]
    try:
        import av
    except ImportError:
        return UNKNOWN
    os.nice(10)
    for what, most in (
        (resource.RLIMIT_AS, _MAX_BYTES),
        (resource.RLIMIT_CPU, _MAX_CPU_S),
        (resource.RLIMIT_FSIZE, 0),
        (resource.RLIMIT_CORE, 0),  # It would have the picture in it.
    ):
        resource.setrlimit(what, (most, most))
    try:
        decoder = av.CodecContext.create(name, "r")
        if not isinstance(decoder, av.VideoCodecContext):
            return NONE
        decoder.options = {"max_pixels": pixels}
        decoder.thread_count = 1
        keyframe = av.Packet(sys.stdin.buffer.read())
        found = [*decoder.decode(keyframe), *decoder.decode(None)]
    except Exception:  # Whatever it is, it came of the keyframe.
        return NONE
    return PICTURE if found else NONE


if __name__ == "__main__":
    sys.exit(main())
