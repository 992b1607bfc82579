"""One connected stream: its tracks set up, its packets routed."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from . import sdp
from .aac import AacDepacketizer, AacFormat, aac_format
from .errors import ConnectionLost, StreamUnsupported
from .h264 import AccessUnit, H264Depacketizer
from .mp4 import VIDEO_TIMESCALE
from .rtp import Track
from .rtsp import RtspClient
from .source import StreamSource


@dataclass(frozen=True, slots=True)
class Offer:
    """What the camera described and we take; a sound in another codec is left out."""

    description: sdp.Description
    video: sdp.Media
    audio: sdp.Media | None
    audio_format: AacFormat | None
    audio_encoding: str | None


def choose_media(description: sdp.Description, *, audio: bool) -> Offer:
    """Pick what we record.

    Raises:
        StreamUnsupported: no H.264 picture.
    """
    video = description.first("video", "H264")
    if video is None or video.clock_rate != VIDEO_TIMESCALE:
        raise StreamUnsupported("no H.264 picture")
    any_sound = next((m for m in description.media if m.kind == "audio"), None)
    encoding = any_sound.encoding if any_sound else None
    sound = description.first("audio", "MPEG4-GENERIC") if audio else None
    form = None
    if sound is not None:
        try:
            form = aac_format(sound)
        except StreamUnsupported:
            sound = None
    return Offer(description, video, sound, form, encoding)


class Stream:
    """Connects, plays, and gives pictures and sound to its owner until it is closed."""

    def __init__(self, source: StreamSource, clock: Callable[[], datetime], timeout_s: float):
        self._source = source
        self._clock = clock
        self._timeout_s = timeout_s
        self._client: RtspClient | None = None
        self._keep_alive: asyncio.Task[None] | None = None
        self._routes: dict[int, Track] = {}
        self.picture: Callable[[AccessUnit], None] = lambda _unit: None
        self.sound: Callable[[int, bytes], None] = lambda _time, _data: None
        self.video_track: Track | None = None
        self.audio_track: Track | None = None
        self.packets = 0

    async def open(self) -> Offer:
        """Connect and describe.

        Raises:
            CaptureError: as it says.
        """
        client = await RtspClient.connect(self._source, self._packet, self._timeout_s)
        self._client = client
        return choose_media(await client.describe(), audio=self._source.audio)

    async def play(self, offer: Offer) -> RtspClient:
        """Set the tracks up and start them; ``picture`` and ``sound`` must be set before.

        Raises:
            CaptureError: as it says.
        """
        client = self._client
        if client is None:
            raise ConnectionLost
        self.video_track = Track(
            offer.video.payload_type, VIDEO_TIMESCALE, H264Depacketizer(self.picture)
        )
        self._routes[await client.setup(offer.video, 0)] = self.video_track
        if offer.audio is not None and offer.audio_format is not None:
            form = offer.audio_format
            self.audio_track = Track(
                offer.audio.payload_type, form.clock_rate, AacDepacketizer(form, self.sound)
            )
            self._routes[await client.setup(offer.audio, 2)] = self.audio_track
        await client.play(offer.description)
        self._keep_alive = asyncio.create_task(client.keep_alive(), name="rtsp keep-alive")
        self._keep_alive.add_done_callback(self._kept_alive)
        return client

    def _kept_alive(self, task: asyncio.Task[None]) -> None:
        if not task.cancelled() and task.exception() is not None and self._client is not None:
            self._client.fail(ConnectionLost())

    def _packet(self, channel: int, view: memoryview, start: int, end: int) -> None:
        track = self._routes.get(channel & ~1) if channel & 1 else self._routes.get(channel)
        if track is None:
            return
        if not channel & 1:
            self.packets += 1
            track.rtp(view, start, end)
        elif track.rtcp(view, start, end, self._clock()) and self._client is not None:
            self._client.fail(ConnectionLost())

    async def close(self) -> None:
        """Stop the packets and let go; a second call does nothing."""
        if self._keep_alive is not None:
            self._keep_alive.cancel()
            self._keep_alive = None
        client, self._client = self._client, None
        if client is not None:
            await client.close()
