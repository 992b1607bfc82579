"""A short look at a stream, for set-up and preflight: does it deliver what we can record?"""

import asyncio
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime

from roomwitness.errors import WitnessError

from .codecs import AccessUnit, VideoFormat
from .errors import CaptureError, StreamNoKeyframe, StreamStalled
from .source import StreamSource, Transport
from .stream import Stream

_LOOK_EVERY_S = 0.1
_SOUND_S = 3.0


@dataclass(frozen=True, slots=True)
class StreamInfo:
    """What the stream delivers; codecs by the names that people know.

    ``keyframe`` is one picture in Annex B form (ITU-T H.264 and H.265, B), ``decoder`` FFmpeg's
    name of what decodes it. ``sound_refused`` is a sound's codec that we cannot record;
    ``sound_withheld`` says that the camera offers a sound that is wanted, and refuses it;
    ``sound_silent``, that it was wanted and did not come.
    ``clock_offset_s`` is the camera's wall clock minus ours by its sender report, None without one.
    ``transport`` is how it came, never ``AUTOMATIC``. ``decodes`` says whether the keyframe gives a
    picture, None if nobody tried: this look does not.
    """

    codec: str
    width: int
    height: int
    audio_codec: str | None
    sound_refused: str | None
    clock_offset_s: float | None
    decoder: str
    keyframe: bytes = field(repr=False)
    transport: Transport = Transport.TCP
    sound_withheld: bool = False
    sound_silent: bool = False
    decodes: bool | None = None

    @property
    def has_audio(self) -> bool:
        """Whether the camera offers sound that we can record."""
        return self.audio_codec is not None


async def probe(source: StreamSource, timeout_s: float = 10.0, report_s: float = 0.0) -> StreamInfo:
    """Play until the first keyframe, then for seconds at most: ``report_s`` for a sender report,
    and a few for a sound that is wanted.

    Raises:
        CaptureError: unreachable, refused, unsupported, silent, or without keyframes.
    """
    # Whether the camera could be heard is shown before anybody decides that it may.
    stream = Stream(replace(source, audio=True), lambda: datetime.now(UTC), timeout_s)
    found: asyncio.Future[AccessUnit] = asyncio.get_running_loop().create_future()

    def pictures(units: list[AccessUnit]) -> None:
        key = next((unit for unit in units if unit.key), None)
        if key is not None and not found.done():
            found.set_result(key)

    heard = asyncio.Event()
    stream.pictures, stream.sound = pictures, lambda _time, _data: heard.set()
    try:
        offer = await stream.open()
        sound = offer.audio if source.audio else None  # None is asked for that is not wanted.
        given = await stream.set_up(replace(offer, audio=sound, metadata=None))
        client = await stream.play(given)
        await asyncio.wait(
            (found, client.ended), timeout=timeout_s, return_when=asyncio.FIRST_COMPLETED
        )
        if not found.done():
            reason = client.ended.result() if client.ended.done() else None
            if isinstance(reason, CaptureError):
                raise reason
            raise StreamNoKeyframe if stream.packets else StreamStalled
        unit = found.result()
        offset = await _clock_offset(stream, client.ended, report_s)
        silent = stream.audio_track is not None and not await _within(_SOUND_S, heard)
        transport = stream.transport or Transport.TCP
    finally:
        await stream.close()
    if unit.format is None:
        raise StreamNoKeyframe
    width, height = unit.format.size
    return StreamInfo(
        offer.video_codec.name,
        width,
        height,
        offer.sound.name if offer.sound else None,
        offer.sound_refused,
        offset,
        offer.video_codec.decoder,
        _annex_b(unit, unit.format),
        transport,
        given.sound_withheld,
        silent,
    )


async def _within(seconds: float, event: asyncio.Event) -> bool:
    try:
        async with asyncio.timeout(seconds):
            return await event.wait()
    except TimeoutError:
        return False


async def _clock_offset(
    stream: Stream, ended: asyncio.Future[WitnessError], wait_s: float
) -> float | None:
    loop = asyncio.get_running_loop()
    until, track = loop.time() + wait_s, stream.video_track
    while track is not None:
        if track.clock_offset_s is not None or loop.time() >= until or ended.done():
            return track.clock_offset_s
        await asyncio.wait((ended,), timeout=_LOOK_EVERY_S)
    return None


def _annex_b(unit: AccessUnit, form: VideoFormat) -> bytes:
    """The picture behind its parameter sets, which may be there twice."""
    data, at = b"".join(unit.parts), 0
    out = list(form.nals)
    while at + 4 <= len(data):
        size = int.from_bytes(data[at : at + 4])
        out.append(data[at + 4 : at + 4 + size])
        at += 4 + size
    return b"".join(b"\x00\x00\x00\x01" + nal for nal in out)
