"""Has a camera's keyframe decoded by a program that nothing else depends on."""

import asyncio
import logging
import sys
from contextlib import suppress

from roomwitness.capture import StreamInfo

from . import keyframe_decoder

_LOGGER = logging.getLogger(__name__)

# Level 6.2 of both H.264 (table A-1: 139 264 macroblocks) and H.265 (table A.8), 8K among it.
MAX_PIXELS = 35_651_584
_WAIT_S = 30.0


async def decodes(info: StreamInfo, max_pixels: int = MAX_PIXELS) -> bool | None:
    """Whether the keyframe gives a picture of at most so many pixels; None if nobody can tell.

    One that brings the decoder down, or takes too much of it, gives none.
    """
    try:
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            *("-P", keyframe_decoder.__file__, info.decoder, str(max_pixels)),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.DEVNULL,
        )
    except OSError as err:
        _LOGGER.warning("No picture can be decoded: errno %s", err.errno)
        return None
    try:
        async with asyncio.timeout(_WAIT_S):
            await process.communicate(info.keyframe)
    except TimeoutError:
        return None  # This computer is busy: a keyframe that takes long uses up its time.
    finally:
        if process.returncode is None:
            with suppress(ProcessLookupError):
                process.kill()
            await process.wait()
    code = await process.wait()
    if code == keyframe_decoder.PICTURE:
        return True
    down = code < 0  # By a signal.
    return False if down or code == keyframe_decoder.NONE else None
