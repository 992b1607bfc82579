"""Access units in, encrypted-to-be segments out: cut at keyframes, flushed every fragment."""

from datetime import datetime, timedelta

from roomwitness.policy.words import GapCause

from . import mp4
from .codecs import AccessUnit, SoundFormat, VideoFormat
from .coverage import Coverage
from .errors import StreamProtocolError
from .gaps import OpenGaps
from .hearing import Hearing
from .mp4 import VIDEO_TIMESCALE, SoundFrame
from .open_segment import OpenSegment
from .order import Order
from .rtp import Track, apart
from .sink import SegmentSink
from .timeline import Timeline
from .together import SILENCE_TICKS, begun, ordinary

# A kill costs what came after the last flush: so that it is never more than a second.
_FRAGMENT_TICKS = VIDEO_TIMESCALE // 2
# Less that has come since the last flush is not worth one of its own.
_FLUSH_TICKS = 3 * VIDEO_TIMESCALE // 10
# A fragment is written at the latest when it has so much, whatever its pictures' times say.
_FRAGMENT_BYTES = 16 << 20
_FRAGMENT_SAMPLES = 4096
# What a camera, or the network, may hold back and send at once (docs/time.md).
_MAX_BURST_TICKS = 15 * VIDEO_TIMESCALE
# Nothing that is sent together is held back by so much more than the other.
_MAX_APART = timedelta(seconds=15)
_MOVED = timedelta(milliseconds=20)  # By less it moves when the segment is sealed.


class Segmenter:
    """Writes one connection's media into segments of about ``segment_seconds``.

    Times are those of the ``timeline``: our wall clock, freed from the network's jitter. Where
    the camera begins to count anew, or its media clock is set, the segment ends.
    """

    def __init__(
        self,
        sink: SegmentSink,
        coverage: Coverage,
        *,
        segment_seconds: float,
        sound: SoundFormat | None,
        timeline: Timeline | None = None,
    ) -> None:
        self._sink = sink
        self._coverage = coverage
        self._segment_ticks = round(segment_seconds * VIDEO_TIMESCALE)
        self._sound = sound
        self._open: OpenSegment | None = None
        self._timeline = timeline or Timeline()
        self._timeline.connected()
        self._order = Order()
        self._knot: tuple[int, datetime] | None = None
        self._sound_epoch = 0
        self._sounds_lost_seen = 0
        self._sound_lead = 0
        self._hearing = Hearing()
        self._metadata_lost = 0
        self._sounds: Track | None = None
        self._about: Track | None = None
        self._flushed: datetime | None = None
        self._lost_seen = 0
        self.frames = 0
        self.bytes = 0
        self.last_key: datetime | None = None

    def beside(self, sounds: Track | None, metadata: Track | None) -> None:
        """What comes beside the pictures: what it loses is told though nothing follows."""
        self._sounds, self._about = sounds, metadata

    def forgive(self, pictures: int, sounds: int, metadata: int) -> None:
        """So many packets were lost before the first: nothing of them would have been kept."""
        self._lost_seen, self._sounds_lost_seen = pictures, sounds
        self._metadata_lost = metadata

    def picture(self, unit: AccessUnit, track: Track, now: datetime) -> None:
        """Take one picture, which arrived ``now``.

        Raises:
            WitnessError: the sink failed, or the parameter sets make no sense.
        """
        form = unit.format
        current, timeline, order = self._open, self._timeline, self._order
        if timeline.breaks(unit.time, now, track.epoch):
            if current is not None:
                self.finish(track, GapCause.STREAM_CHANGED)
                self._coverage.anew()
                current = None
            timeline.restart(unit.time, now, track.epoch)
            self._knot = None
            self._hearing.restart()
            self._order.anew()
        timeline.observe(unit.time, now, track.report)
        if track.lost > self._lost_seen:
            if current is not None:
                self._declare_loss(current, unit, track.lost - self._lost_seen)
            else:
                self._coverage.missed(track.lost - self._lost_seen)
            self._lost_seen = track.lost
        elif current is not None:
            self._declare_silence(current, unit)
        if current is not None and self._must_cut(current, unit, form):
            self._end_segment(current, unit.time, track)
            current = None
            if self._adopt(now, recording=True):
                timeline.observe(unit.time, now, None)
        if current is None:
            if not unit.key or form is None:
                self._coverage.dropped()
                return
            self._adopt(now, recording=False)
            timeline.observe(unit.time, now, None)
            current = self._begin_segment(unit, form, track, now)
        elif unit.key:
            current.damaged_until(unit.time)
            current.damage = None
        elif unit.damaged:
            current.damaged_from(unit.time)
        highest = max(order.last, current.fragment_first)
        due = unit.key or unit.time - current.fragment_first >= _FRAGMENT_TICKS
        if current.pictures and unit.time > highest and due:
            self._write_fragment(current, unit.time)
        if current.pending > _FRAGMENT_BYTES or len(current.pictures) >= _FRAGMENT_SAMPLES:
            self._write_fragment(current, highest + order.duration)
        self._take(current, [unit])
        if unit.key:
            self.last_key = now

    def pictures(self, units: list[AccessUnit], track: Track, now: datetime) -> None:
        """Take pictures that arrived together ``now``.

        Raises:
            WitnessError: the sink failed, or the parameter sets make no sense.
        """
        at = 0
        while at < len(units):
            stop = self._take_ordinary(units, at, track, now)
            if stop == at:
                self.picture(units[at], track, now)
                stop += 1
            at = stop

    def _take_ordinary(self, units: list[AccessUnit], at: int, track: Track, now: datetime) -> int:
        """Do what ``picture`` would do with each of those that are ordinary; where they stop."""
        current, timeline, order = self._open, self._timeline, self._order
        if (
            current is None
            or track.lost != self._lost_seen
            or not timeline.steady(track.epoch)
            or current.pending > _FRAGMENT_BYTES
            or len(current.pictures) >= _FRAGMENT_SAMPLES
            or (stop := ordinary(units, at, order.last)) == at
        ):
            return at
        taken = units[at:stop]
        for unit in taken[-2:-1]:  # Of what came at once only the latest was quick.
            timeline.observe(unit.time, now, None)
        timeline.observe(taken[-1].time, now, track.report)
        self._take(current, taken)
        return stop

    def _take(self, current: OpenSegment, units: list[AccessUnit]) -> None:
        self.bytes += current.take(units)
        self.frames += len(units)
        for unit in units:
            self._order.take(unit.time)

    def flush(self) -> None:
        """Nothing more has come: write what there is, but for the picture that came last, of which
        only the next one tells how long it is shown.

        Raises:
            WitnessError: the sink failed.
        """
        current, newest = self._open, self._order.last
        if current is None or newest - current.flushed < _FLUSH_TICKS:
            return
        if place := begun(current.pictures):
            left = current.pictures[place:]
            del current.pictures[place:]
            self._write_fragment(current, left[0].time)
            current.put(left)
            current.flushed = newest

    def sound(self, time: int, data: bytes, track: Track, pictures: Track, now: datetime) -> None:
        """Take one sound frame, which arrived ``now``.

        Before there is a picture it is let go. One made before the segment's first picture, that
        came after it, has a time before it.
        """
        current = self._open
        if anew := track.epoch != self._sound_epoch:
            self._sound_epoch = track.epoch
            self._timeline.deaf()
        if self._timeline.hear(time, track.clock_rate, now) or anew:
            self._hearing.anew()
            if current is not None:
                current.place.anew()
        lost, self._sounds_lost_seen = track.lost - self._sounds_lost_seen, track.lost
        if current is None:
            return
        place = current.place
        if not place.known:
            after = self._sound_after(current, time, track, pictures).total_seconds()
            self._sound_lead = place.tie(time, round(after * track.clock_rate))
        if (at := place.at(time)) is None:
            self._sounds_lost_seen -= lost + 1  # It is one more that is missing before the next.
            return
        shown = current.first + at * VIDEO_TIMESCALE // track.clock_rate
        self._hearing.heard(current.gaps, current.first, shown, lost)
        current.sounds.append(SoundFrame(at + (place.lead or 0), [data], len(data)))
        current.pending += len(data)
        if current.pending > 2 * _FRAGMENT_BYTES or len(current.sounds) > 4 * _FRAGMENT_SAMPLES:
            raise StreamProtocolError("sound without pictures")
        self.bytes += len(data)

    def metadata(
        self, time: int, document: bytes, track: Track, pictures: Track, now: datetime
    ) -> None:
        """Take one metadata document, which arrived ``now``; outside a segment it is let go."""
        current = self._open
        lost, self._metadata_lost = track.lost - self._metadata_lost, track.lost
        if current is None:
            return
        current.metadata_lost += lost
        told = apart(track, time, pictures, current.first)
        at = now if told is None else current.start + told
        current.beside(self._sink).add(at, document)

    def finish(self, track: Track, cause: GapCause) -> datetime | None:
        """Seal what is open; what is missing from there on is missing for ``cause``."""
        current = self._open
        if current is None:
            self._coverage.missed(track.lost - self._lost_seen)
            self._lost_seen = track.lost
            return None
        last = self._order.last + self._order.duration
        if self._sound is not None:
            lost = self._sounds.lost - self._sounds_lost_seen if self._sounds else 0
            self._sounds_lost_seen += lost
            self._hearing.ended(current.gaps, current.first, last, lost)
        self._write_rest(current, last)
        stop = self._end_segment(current, self._order.covered, track, cause)
        if track.epoch != self._timeline.epoch:  # Of its new count nothing was whole.
            self._coverage.dropped()
        self._adopt(stop, recording=True)
        return stop

    def abort(self, cause: GapCause) -> None:
        """Let go of what is open after the sink failed; what follows is missing for ``cause``."""
        current, self._open = self._open, None
        if current is not None:
            self._coverage.recorded(self._flushed or current.start, cause)
            current.out.abort()
            if current.metadata is not None:
                current.metadata.abort()

    def _must_cut(self, current: OpenSegment, unit: AccessUnit, form: VideoFormat | None) -> bool:
        if not unit.key:
            return False
        if form is not None and form is not current.video and form != current.video:
            return True
        length = unit.time - current.first
        if self._timeline.settling and length < self._segment_ticks + _MAX_BURST_TICKS:
            return self._timeline.step_s != 0  # Its times would be those of the burst's end.
        return length >= self._segment_ticks or self._timeline.step_s != 0

    def _adopt(self, now: datetime, *, recording: bool) -> bool:
        """Follow a step of our own clock between two segments; whether there was one."""
        step = self._timeline.adopt(now)
        if step:
            self._knot = None
            self._coverage.stepped(step, recording=recording)
        return step != 0

    def _sound_after(
        self, current: OpenSegment, time: int, track: Track, pictures: Track
    ) -> timedelta:
        """How long after the segment's first picture: by the camera's reports if it sent them, else
        by what came the quickest of both, as far as that is known by now."""
        arrived = self._timeline.heard(time) - self._timeline.wall(current.first)
        told = apart(track, time, pictures, current.first)
        # Reports by two clocks say nothing of the two together.
        return arrived if told is None or abs(told - arrived) > _MAX_APART else told

    def _begin_segment(
        self, unit: AccessUnit, form: VideoFormat, track: Track, now: datetime
    ) -> OpenSegment:
        follows = self._knot is not None and self._knot[0] == unit.time
        start = self._knot[1] if self._knot and follows else self._timeline.wall(unit.time)
        if not follows:
            self._order.anew()
        mp4.initialization(form, self._sound)  # Refuses what makes no sense.
        out = self._sink.open(start)
        gaps = OpenGaps(self._coverage.gaps, start, unit.time)
        current = OpenSegment(out, form, start, unit.time, gaps, lost_before=track.lost)
        current.follows, current.offset_start_s = follows, self._timeline.offset_s
        current.flushed = unit.time
        self._open, self._flushed = current, start
        self._coverage.resumed(start)  # If that fails, what was opened is let go.
        return current

    def _declare_silence(self, current: OpenSegment, unit: AccessUnit) -> None:
        """A camera that made no pictures for a while loses no packets: only its time tells."""
        duration = self._order.duration
        usual = self._order.last + duration
        known = current.frames > 1  # How often the camera makes a picture.
        usually = max(SILENCE_TICKS, 2 * duration, self._order.depth + duration)
        limit = usually if known else 2 * SILENCE_TICKS
        if unit.time - usual > limit:
            current.gaps.declare(usual, unit.time, GapCause.STALLED)
            self._hearing.pictures_resumed(usual, unit.time)

    def _declare_loss(self, current: OpenSegment, unit: AccessUnit, lost: int) -> None:
        """Missing from the last good picture to this; damaged from this to the next keyframe."""
        start = self._order.complete
        self._order.lost()
        current.gaps.declare(start, unit.time, GapCause.PACKET_LOSS, lost)
        self._hearing.pictures_resumed(start, unit.time)
        if not unit.key:
            current.damaged_from(max(start, unit.time))

    def _write_fragment(self, current: OpenSegment, end: int) -> None:
        current.write(end, self._sound, self._sound_lead)
        current.damaged_until(end)
        if self._sound is not None:
            self._hearing.look(current.gaps, current.first, end)
        self._move(current)
        current.out.flush(current.start)
        if current.metadata is not None:
            current.metadata.flush(current.start)
        self._flushed = self._timeline.wall(end)

    def _move(self, current: OpenSegment) -> None:
        """The first packets may have been late: a kill leaves all where it is known to lie."""
        start = current.start if current.follows else self._timeline.wall(current.first)
        if abs(start - current.start) > _MOVED:
            current.start = start
            for gap in self._coverage.mended(start):
                self._coverage.gaps.put(gap)
            current.gaps.moved(start)

    def _write_rest(self, current: OpenSegment, end: int) -> None:
        if current.pictures:
            self._write_fragment(current, end)

    def _end_segment(
        self,
        current: OpenSegment,
        end: int,
        track: Track,
        cause: GapCause = GapCause.STREAM_CHANGED,
    ) -> datetime:
        self._write_rest(current, end)
        start, mended = current.start, []
        if not current.follows:  # By now we know better when the first packets should have come.
            start = self._timeline.wall(current.first)
            mended = self._coverage.mended(start)
        stop = max(start, self._timeline.wall(end))
        current.damaged_until(end)
        self._hearing.sealed(current.gaps, end)
        mended += current.gaps.sealed(start, end, stop)
        if (about := self._about) is not None and about.lost > self._metadata_lost:
            current.metadata_lost += about.lost - self._metadata_lost
            self._metadata_lost = about.lost
            current.beside(self._sink)  # All of it is missing: also that is said.
        current.out.close(
            start=start,
            end=stop,
            media_seconds=mp4.seconds(end - current.first, VIDEO_TIMESCALE),
            frames=current.frames,
            lost_packets=track.lost - current.lost_before,
            clock_offset_s=self._timeline.offset_s,
            clock=self._timeline.segment(current.offset_start_s),
            gaps=tuple(mended),
        )
        self._coverage.gaps.written(mended)
        if current.metadata is not None:
            length = mp4.seconds(end - current.first, VIDEO_TIMESCALE)
            current.metadata.close(start, stop, length, current.metadata_lost)
        self._open = None
        self._knot = (end, stop)
        self._coverage.recorded(stop, cause, track.lost - self._lost_seen)
        self._lost_seen = track.lost
        if current.damage is not None:
            self._coverage.dropped()
        return stop
