"""One connected stream: its tracks set up, its packets routed."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Literal

from roomwitness.errors import WitnessError

from . import sdp
from .carrier import Carrier
from .codecs import AccessUnit, SoundCodec, VideoCodec, shown_name, sound_codec, video_codec
from .codecs.metadata import MetadataDepacketizer, offered
from .errors import (
    CameraForbidden,
    CameraUnreachable,
    CaptureError,
    ConnectionLost,
    StreamMoved,
    StreamNotFound,
    StreamProtocolError,
    StreamUnsupported,
)
from .redirect import MAX_REDIRECTS, moved
from .rtp import Track
from .rtsp import RtspClient
from .source import StreamSource, Transport

# The first packets are read as they come: clocks begin with them.
_CALM_S = 2.0
_REPORTS = range(200, 208)  # RTCP packet types (RFC 3550, 12.1; RFC 4585, 3611).


@dataclass(frozen=True, slots=True)
class Offer:
    """What the camera described and we take.

    ``sound`` is None if there is none, or none was wanted, or ``sound_refused`` names its codec,
    or the camera offered it and then refused it: ``sound_withheld``.
    """

    description: sdp.Description
    video: sdp.Media
    video_codec: VideoCodec
    audio: sdp.Media | None = None
    sound: SoundCodec | None = None
    sound_refused: str | None = None
    sound_withheld: bool = False
    metadata: sdp.Media | None = None

    @property
    def sound_missing(self) -> Literal["sound_missing", "sound_withheld"] | None:
        """Key of the problem if sound was wanted and there is none; not if its codec is it."""
        if self.sound_withheld:
            return "sound_withheld"
        return "sound_missing" if self.sound is None and self.sound_refused is None else None


def choose_media(description: sdp.Description, *, audio: bool) -> Offer:
    """Pick what we record: the first picture and the first sound that we can.

    Raises:
        StreamUnsupported: no picture in a codec that we record.
    """
    video, codec = _first_picture(description)
    about = next((m for m in description.of("application") if offered(m)), None)
    sounds = description.of("audio") if audio else ()
    for media in sounds:
        try:
            return Offer(description, video, codec, media, sound_codec(media), metadata=about)
        except StreamUnsupported:
            continue
    refused = shown_name(sounds[0]) if sounds else None
    return Offer(description, video, codec, sound_refused=refused, metadata=about)


def _first_picture(description: sdp.Description) -> tuple[sdp.Media, VideoCodec]:
    reason = StreamUnsupported("no picture")
    for media in description.of("video"):
        try:
            return media, video_codec(media)
        except StreamUnsupported as err:
            reason = err
    raise reason


class Stream:
    """Connects, plays, and gives pictures and sound to its owner until it is closed.

    ``pictures`` gets those that came together in one list; never those before and behind a sound,
    a document, a loss or a new count (``Track.lost``, ``Track.epoch``) in the same. ``over``
    follows when all that was received at once is given.
    """

    def __init__(self, source: StreamSource, clock: Callable[[], datetime], timeout_s: float):
        self._source = source
        self._clock = clock
        self._timeout_s = timeout_s
        self._client: RtspClient | None = None
        self._carrier: Carrier | None = None
        self._keep_alive: asyncio.Task[None] | None = None
        self._calm: asyncio.TimerHandle | None = None
        self._routes: dict[int, Track] = {}
        self._came: list[AccessUnit] = []
        self.pictures: Callable[[list[AccessUnit]], None] = lambda _units: None
        self.over: Callable[[], None] = lambda: None
        self.sound: Callable[[int, bytes], None] = lambda _time, _data: None
        self.metadata: Callable[[int, bytes], None] = lambda _time, _document: None
        self.video_track: Track | None = None
        self.audio_track: Track | None = None
        self.metadata_track: Track | None = None
        self.packets = 0
        self.arrived = 0

    async def open(self) -> Offer:
        """Connect and describe.

        Raises:
            CaptureError: as it says.
        """
        for _ in range(MAX_REDIRECTS + 1):
            client = await RtspClient.connect(self._source, self._packet, self._timeout_s)
            self._client = client
            client.watch(self._plausible, self._garbled, self._run, self._over)
            try:
                return choose_media(await client.describe(), audio=self._source.audio)
            except StreamMoved as err:
                self._source = self.moved(err)
                await client.close()
        raise StreamProtocolError("redirects without end")

    def moved(self, to: StreamMoved) -> StreamSource:
        """The source at the address that the camera named.

        Raises:
            StreamUnsupported: that is none.
        """
        return moved(self._source, to.location, self._client.peer if self._client else None)

    async def set_up(self, offer: Offer) -> Offer:
        """Set the tracks up; returns the offer without the sound that the camera then refused.

        Raises:
            CaptureError: as it says.
        """
        client = self._client
        if client is None:
            raise ConnectionLost
        self._carrier = carrier = Carrier(self._source, client, self._packet, self._over)
        self.video_track = Track(
            offer.video.payload_type,
            offer.video.clock_rate,
            offer.video_codec.depacketizer(self._came.append),
            self.settle,
        )
        self._routes[await carrier.set_up(offer.video, 0)] = self.video_track
        if offer.audio is not None and offer.sound is not None:
            track = Track(
                offer.audio.payload_type,
                offer.sound.format.clock_rate,
                offer.sound.depacketizer(self._sound),
            )
            if await self._beside(carrier, offer.audio, 2, track):
                self.audio_track = track
            else:
                offer = replace(offer, audio=None, sound=None, sound_withheld=True)
        if (about := offer.metadata) is not None:
            found = MetadataDepacketizer(self._metadata)
            track = Track(about.payload_type, about.clock_rate, found)
            if await self._beside(carrier, about, 4, track):
                self.metadata_track = track
        return offer

    async def _beside(self, carrier: Carrier, media: sdp.Media, channel: int, track: Track) -> bool:
        """Set up what comes beside the picture: refused, the picture comes all the same.

        RFC 2326, appendix A: an answer of 4xx changes no state.
        """
        try:
            self._routes[await carrier.set_up(media, channel)] = track
        except CameraForbidden:
            return False  # The same user may see, but not hear.
        except CameraUnreachable, StreamNotFound, StreamUnsupported, StreamProtocolError:
            return False  # Without any answer too: whether it is gone, PLAY will tell.
        return True

    async def play(self, offer: Offer) -> RtspClient:
        """Start what was set up; ``picture`` and ``sound`` must be set before.

        Raises:
            CaptureError: as it says.
        """
        client, carrier = self._client, self._carrier
        if client is None or carrier is None:
            raise ConnectionLost
        await client.play(offer.description)
        carrier.playing()
        self._calm = asyncio.get_running_loop().call_later(_CALM_S, client.batch)
        self._keep_alive = asyncio.create_task(client.keep_alive(), name="rtsp keep-alive")
        self._keep_alive.add_done_callback(self._kept_alive)
        return client

    def _kept_alive(self, task: asyncio.Task[None]) -> None:
        if not task.cancelled() and task.exception() is not None and self._client is not None:
            reason = task.exception()
            self._client.fail(reason if isinstance(reason, CaptureError) else ConnectionLost())

    def _packet(self, channel: int, view: memoryview, start: int, end: int) -> None:
        self.arrived += 1
        track = self._routes.get(channel)
        if track is not None:
            self.packets += 1
            track.rtp(view, start, end)
        elif (track := self._routes.get(channel - 1)) is not None:
            if track.rtcp(view, start, end, self._clock()) and self._client is not None:
                self._client.fail(ConnectionLost())
        elif end - start > 1 and self._adopts(channel, view[start + 1] & 0x7F):
            self._packet(channel, view, start, end)

    def _over(self) -> None:
        self.settle()
        self.over()

    def settle(self) -> None:
        """Give the pictures that have come, and were not given yet.

        Raises:
            WitnessError: their owner's.
        """
        if self._came:
            came = self._came[:]
            self._came.clear()  # The depacketizer has this very list.
            self.pictures(came)

    def _sound(self, time: int, data: bytes) -> None:
        self.settle()
        self.sound(time, data)

    def _metadata(self, time: int, document: bytes) -> None:
        self.settle()
        self.metadata(time, document)

    def _run(self, view: memoryview, at: int, end: int) -> int:
        track = self._routes.get(view[at + 1])
        stop = at if track is None else track.run(view, at, end)
        if stop != at:
            self.arrived += 1
            self.packets += 1
        return stop

    def _adopts(self, channel: int, payload_type: int) -> bool:
        """A camera that sends on another channel than it said is known by its payload type."""
        for known, track in self._routes.items():
            if track.payload_type == payload_type and not track.begun:
                del self._routes[known]
                self._routes[channel] = track
                return True
        return False

    def _plausible(self, channel: int, second: int) -> bool:
        """Whether a packet on this channel may begin so (RFC 3550, 5.1 and 6.4)."""
        track = self._routes.get(channel)
        if track is not None:
            return second & 0x7F == track.payload_type
        return channel - 1 in self._routes and second in _REPORTS

    def _garbled(self, channel: int) -> None:
        """What was the last packet on this channel may be none, or not whole."""
        suspects = self._routes.get(channel) or self._routes.get(channel - 1)
        for track in [suspects] if suspects else self._routes.values():
            track.suspect()

    @property
    def transport(self) -> Transport | None:
        """How the media comes; None before it is set up."""
        return self._carrier.transport if self._carrier is not None else None

    def fail(self, reason: WitnessError) -> None:
        """End the connection for this reason."""
        if self._client is not None:
            self._client.fail(reason)

    async def drain(self) -> None:
        """Take what has come and was not read yet."""
        if self._client is not None:
            self._client.batch(on=False)
            for _ in range(2):  # The loop looks at the socket, then reads it.
                await asyncio.sleep(0)

    async def close(self) -> None:
        """Stop the packets and let go; a second call does nothing."""
        if self._calm is not None:
            self._calm.cancel()
        if self._keep_alive is not None:
            self._keep_alive.cancel()
            self._keep_alive = None
        client, self._client = self._client, None
        carrier, self._carrier = self._carrier, None
        try:
            if client is not None:
                await client.close()
        finally:
            if carrier is not None:
                carrier.close()
