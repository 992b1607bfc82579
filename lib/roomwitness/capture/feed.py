"""What a stream delivers, fed into a segmenter: watched, counted, stopped when the sink fails."""

import asyncio
from collections.abc import Callable
from datetime import datetime, timedelta

from roomwitness.errors import WitnessError
from roomwitness.policy.words import GapCause

from .batch import WAIT_S
from .codecs import AccessUnit
from .errors import cause_of
from .preroll import PreRoll, Run
from .segmenter import Segmenter
from .stream import Stream

_REPORT_EVERY_S = 1.0


class Feed:
    """Between one stream and where it goes; ``going(now)`` is called about once a second.

    It goes to a segmenter, or only into the memory of a pre-roll until ``record`` gives one.
    ``last_bytes``, ``last_picture``, ``last_sound`` and ``last_key`` are in the event loop's time,
    0 until there was one.
    """

    def __init__(
        self,
        stream: Stream,
        to: Segmenter | PreRoll,
        clock: Callable[[], datetime],
        going: Callable[[datetime], None],
    ) -> None:
        self._stream = stream
        self._to = to
        self._clock = clock
        self._going = going
        self._loop = asyncio.get_running_loop()
        self._reported = 0.0
        self._broken = False
        self._arrived = 0
        self.last_bytes = 0.0
        self.last_picture = 0.0
        self.last_sound = 0.0
        self.last_key = 0.0
        stream.pictures, stream.sound = self._pictures, self._sound
        stream.metadata, stream.over = self._metadata, self._over
        if isinstance(to, Segmenter):
            to.beside(stream.audio_track, stream.metadata_track)

    def look(self) -> None:
        """Note whether anything came since the last look."""
        if self._stream.arrived != self._arrived:
            self._arrived = self._stream.arrived
            self.last_bytes = self._loop.time()

    def silent(self, since: float, seconds: float) -> bool:
        """Whether sound is set up, and none came for so long, or since then."""
        late = self._loop.time() - max(since, self.last_sound) > seconds
        return late and self._stream.audio_track is not None

    def record(self, segmenter: Segmenter, before: Run | None) -> None:
        """From now on into this segmenter, first what was in memory ``before``.

        Raises:
            WitnessError: the sink failed; the connection ends.
        """
        stream = self._stream
        stream.settle()
        self._to = segmenter
        tracks = stream.video_track, stream.audio_track, stream.metadata_track
        now = (0 if track is None else track.lost for track in tracks)
        segmenter.forgive(*(now if before is None else before.lost))
        try:
            for play in before.items if before is not None else ():
                self._guard(lambda play=play: play(segmenter))  # type: ignore[misc]
            segmenter.beside(stream.audio_track, stream.metadata_track)
        except WitnessError as err:
            self._stream.fail(err)
            raise

    def _pictures(self, units: list[AccessUnit]) -> None:
        track, to = self._stream.video_track, self._to
        if track is None or self._broken:
            return
        now, at = self._clock(), self._loop.time()
        if isinstance(to, PreRoll):
            for unit in units:  # None is kept for longer because it waited to be read.
                waited = min(max(0.0, (units[-1].time - unit.time) / track.clock_rate), WAIT_S)
                to.picture(unit, track, now - timedelta(seconds=waited), at - waited)
            to.trim(at)
            flowing, seen = to.since is not None, any(unit.key for unit in units)
        else:
            key = to.last_key
            self._guard(lambda: to.pictures(units, track, now))
            flowing, seen = to.frames > 0, to.last_key is not key
        self.last_picture = at
        if seen:
            self.last_key = at
        if flowing and at - self._reported >= _REPORT_EVERY_S:
            self._reported = at
            self._going(now)

    def _over(self) -> None:
        to = self._to
        if isinstance(to, Segmenter) and not self._broken:
            self._guard(to.flush)

    def _sound(self, time: int, data: bytes) -> None:
        sounds, pictures, to = self._stream.audio_track, self._stream.video_track, self._to
        if sounds is None or pictures is None or self._broken:
            return
        now = self._clock()
        self.last_sound = self._loop.time()
        if isinstance(to, PreRoll):
            to.sound(time, data, sounds, pictures, now, self.last_sound)
        else:
            self._guard(lambda: to.sound(time, data, sounds, pictures, now))

    def _metadata(self, time: int, document: bytes) -> None:
        track, pictures, to = self._stream.metadata_track, self._stream.video_track, self._to
        if track is None or pictures is None or self._broken:
            return
        now = self._clock()
        if isinstance(to, PreRoll):
            to.metadata(time, document, track, pictures, now, self._loop.time())
        else:
            self._guard(lambda: to.metadata(time, document, track, pictures, now))

    def seal(self, cause: GapCause) -> None:
        """Close what is open, unless the sink already failed; what follows is missing for this.

        What still comes until the connection is closed is not wanted.
        """
        track, to = self._stream.video_track, self._to
        if track is not None and not self._broken and isinstance(to, Segmenter):
            self._stream.settle()
            self._guard(lambda: to.finish(track, cause))
        self._broken = True

    def _guard(self, work: Callable[[], object]) -> None:
        try:
            work()
        except WitnessError as err:
            self._broken = True
            if isinstance(self._to, Segmenter):
                self._to.abort(cause_of(err))
            raise
