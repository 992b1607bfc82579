"""A short look at a stream, for set-up and preflight: does it deliver what we can record?"""

import asyncio
from dataclasses import dataclass, field
from datetime import UTC, datetime

from .errors import CaptureError, StreamNoKeyframe, StreamStalled
from .h264 import AccessUnit
from .sdp import parameter_sets
from .source import StreamSource
from .sps import picture_size
from .stream import Stream


@dataclass(frozen=True, slots=True)
class StreamInfo:
    """What the stream delivers. ``keyframe`` is one picture in Annex B form (ITU-T H.264, B)."""

    codec: str
    width: int
    height: int
    audio_codec: str | None
    keyframe: bytes = field(repr=False)

    @property
    def has_audio(self) -> bool:
        """Whether the camera offers sound at all."""
        return self.audio_codec is not None


async def probe(source: StreamSource, timeout_s: float = 10.0) -> StreamInfo:
    """Play until the first keyframe.

    Raises:
        CaptureError: unreachable, refused, unsupported, silent, or without keyframes.
    """
    stream = Stream(source, lambda: datetime.now(UTC), timeout_s)
    found: asyncio.Future[AccessUnit] = asyncio.get_running_loop().create_future()

    def picture(unit: AccessUnit) -> None:
        if unit.key and not found.done():
            found.set_result(unit)

    stream.picture = picture
    try:
        offer = await stream.open()
        client = await stream.play(offer)
        await asyncio.wait(
            (found, client.ended), timeout=timeout_s, return_when=asyncio.FIRST_COMPLETED
        )
        if not found.done():
            reason = client.ended.result() if client.ended.done() else None
            if isinstance(reason, CaptureError):
                raise reason
            raise StreamNoKeyframe if stream.packets else StreamStalled
        unit = found.result()
    finally:
        await stream.close()
    sets = (unit.sps, unit.pps) if unit.sps and unit.pps else parameter_sets(offer.video)
    if sets is None:
        raise StreamNoKeyframe
    width, height = picture_size(sets[0])
    return StreamInfo("H264", width, height, offer.audio_encoding, _annex_b(unit, sets))


def _annex_b(unit: AccessUnit, sets: tuple[bytes, bytes]) -> bytes:
    data, at = b"".join(unit.parts), 0
    out: list[bytes] = []
    if unit.sps is None:
        out += sets
    while at + 4 <= len(data):
        size = int.from_bytes(data[at : at + 4])
        out.append(data[at + 4 : at + 4 + size])
        at += 4 + size
    return b"".join(b"\x00\x00\x00\x01" + nal for nal in out)
