"""What a stream delivers, fed into a segmenter: watched, counted, stopped when the sink fails."""

import asyncio
from collections.abc import Callable
from datetime import datetime

from roomwitness.errors import WitnessError
from roomwitness.policy.words import GapCause

from .codecs import AccessUnit
from .segmenter import Segmenter
from .stream import Stream

_REPORT_EVERY_S = 1.0


class Feed:
    """Between one stream and its segmenter; ``going(now)`` is called about once a second.

    ``last_bytes``, ``last_picture`` and ``last_key`` are in the event loop's time, 0 until there
    was one.
    """

    def __init__(
        self,
        stream: Stream,
        segmenter: Segmenter,
        clock: Callable[[], datetime],
        going: Callable[[datetime], None],
    ) -> None:
        self._stream = stream
        self._segmenter = segmenter
        self._clock = clock
        self._going = going
        self._loop = asyncio.get_running_loop()
        self._reported = 0.0
        self._broken = False
        self._arrived = 0
        self.last_bytes = 0.0
        self.last_picture = 0.0
        self.last_key = 0.0
        stream.picture, stream.sound = self._picture, self._sound
        stream.metadata = self._metadata

    def look(self) -> None:
        """Note whether anything came since the last look."""
        if self._stream.arrived != self._arrived:
            self._arrived = self._stream.arrived
            self.last_bytes = self._loop.time()

    def _picture(self, unit: AccessUnit) -> None:
        track, segmenter = self._stream.video_track, self._segmenter
        if track is None or self._broken:
            return
        now, frames = self._clock(), segmenter.frames
        self._guard(lambda: segmenter.picture(unit, track, now))
        self.last_picture = self._loop.time()
        if unit.key and segmenter.frames > frames:
            self.last_key = self.last_picture
        if segmenter.frames and self.last_picture - self._reported >= _REPORT_EVERY_S:
            self._reported = self.last_picture
            self._going(now)

    def _sound(self, time: int, data: bytes) -> None:
        sounds, pictures = self._stream.audio_track, self._stream.video_track
        if sounds is not None and pictures is not None and not self._broken:
            now = self._clock()
            self._guard(lambda: self._segmenter.sound(time, data, sounds, pictures, now))

    def _metadata(self, time: int, document: bytes) -> None:
        track, pictures = self._stream.metadata_track, self._stream.video_track
        if track is not None and pictures is not None and not self._broken:
            now = self._clock()
            self._guard(lambda: self._segmenter.metadata(time, document, track, pictures, now))

    def seal(self, cause: GapCause) -> None:
        """Close what is open, unless the sink already failed; what follows is missing for this."""
        track = self._stream.video_track
        if track is not None and not self._broken:
            self._guard(lambda: self._segmenter.finish(track, cause))

    def _guard(self, work: Callable[[], object]) -> None:
        try:
            work()
        except WitnessError:
            self._broken = True
            self._segmenter.abort()
            raise
