"""Access units in, encrypted-to-be segments out: cut at keyframes, flushed every fragment."""

from dataclasses import dataclass, field
from datetime import datetime, timedelta

from roomwitness.policy.words import GapCause

from . import mp4
from .codecs import AccessUnit, SoundFormat, VideoFormat
from .coverage import Coverage
from .errors import StreamProtocolError
from .mp4 import VIDEO_TIMESCALE, Sample
from .rtp import Track
from .sink import SegmentOut, SegmentSink

_FRAGMENT_TICKS = VIDEO_TIMESCALE
# A fragment is written at the latest when it has so much, whatever its pictures' times say.
_FRAGMENT_BYTES = 16 << 20
_FRAGMENT_SAMPLES = 4096
# Leading pictures are shown at most so long before the keyframe that they follow.
_MAX_LEAD = 2 * VIDEO_TIMESCALE
_ANCHOR_SLACK = timedelta(seconds=1)
_USUAL_TICKS = VIDEO_TIMESCALE // 25


@dataclass(slots=True)
class _Open:
    """A segment being written."""

    out: SegmentOut
    video: VideoFormat
    start: datetime
    first: int
    frames: int = 0
    lost_before: int = 0
    fragments: int = 0
    pictures: list[Sample] = field(default_factory=list)
    sounds: list[Sample] = field(default_factory=list)
    sound_first: tuple[int, int] | None = None
    fragment_first: int = 0
    pending: int = 0
    lead: int = 0
    last: int = 0
    duration: int = _USUAL_TICKS


class Segmenter:
    """Writes one connection's media into segments of about ``segment_seconds``.

    Segment times are our wall clock at the first picture plus the camera's media time, so that
    the network's jitter does not move them; the camera's own clock is kept as an offset beside.
    """

    def __init__(
        self,
        sink: SegmentSink,
        coverage: Coverage,
        *,
        segment_seconds: float,
        sound: SoundFormat | None,
    ) -> None:
        self._sink = sink
        self._coverage = coverage
        self._segment_ticks = round(segment_seconds * VIDEO_TIMESCALE)
        self._sound = sound
        self._open: _Open | None = None
        self._anchor: tuple[datetime, int] | None = None
        self._sound_anchor: tuple[datetime, int] | None = None
        self._flushed: datetime | None = None
        self._lost_seen = 0
        self.frames = 0
        self.bytes = 0
        self.last_key: datetime | None = None

    def picture(self, unit: AccessUnit, track: Track, now: datetime) -> None:
        """Take one picture, which arrived ``now``.

        Raises:
            WitnessError: the sink failed, or the parameter sets make no sense.
        """
        form = unit.format
        current = self._open
        if track.lost > self._lost_seen:
            if current is not None:
                self._declare_loss(current, unit, track.lost - self._lost_seen)
            self._lost_seen = track.lost
        if current is not None and self._must_cut(current, unit, form):
            self._end_segment(current, unit.time, track)
            current = None
        if current is None:
            if not unit.key or form is None:
                return
            current = self._begin_segment(unit, form, track, now)
        highest = max(current.last, current.fragment_first)
        if current.pictures and unit.time > highest:
            current.duration = unit.time - highest
            if unit.key or unit.time - current.fragment_first >= _FRAGMENT_TICKS:
                self._write_fragment(current, unit.time)
        if current.pending > _FRAGMENT_BYTES or len(current.pictures) >= _FRAGMENT_SAMPLES:
            self._write_fragment(current, highest + current.duration)
        if not current.pictures:
            current.fragment_first = unit.time
        current.pictures.append(
            Sample(unit.time - current.first, unit.parts, unit.size, key=unit.key)
        )
        current.pending += unit.size
        current.last = max(current.last, unit.time)
        current.frames += 1
        self.frames += 1
        self.bytes += unit.size
        if unit.key:
            self.last_key = now

    def sound(self, time: int, data: bytes, track: Track, pictures: Track, now: datetime) -> None:
        """Take one sound frame, which arrived ``now``; sound before the first picture is let go."""
        if self._sound_anchor is None:
            self._sound_anchor = (now, time)
        current = self._open
        if current is None:
            return
        if current.sound_first is None:
            shown = self._sound_time(time, track, pictures, now)
            lead = round((shown - current.start).total_seconds() * track.clock_rate)
            current.sound_first = (time, max(0, lead))
        first, lead = current.sound_first
        current.sounds.append(Sample(time - first + lead, (data,), len(data)))
        current.pending += len(data)
        if current.pending > 2 * _FRAGMENT_BYTES or len(current.sounds) > 4 * _FRAGMENT_SAMPLES:
            raise StreamProtocolError("sound without pictures")
        self.bytes += len(data)

    def finish(self, track: Track, cause: GapCause) -> datetime | None:
        """Seal what is open; what is missing from there on is missing for ``cause``."""
        current = self._open
        if current is None:
            return None
        return self._end_segment(current, current.last + current.duration, track, cause)

    def abort(self) -> None:
        """Let go of what is open after the sink failed."""
        current, self._open = self._open, None
        if current is not None:
            self._coverage.recorded(self._flushed or current.start, GapCause.DISK_FULL)
            current.out.abort()

    def _must_cut(self, current: _Open, unit: AccessUnit, form: VideoFormat | None) -> bool:
        if not unit.key:
            return False
        if form is not None and form is not current.video and form != current.video:
            return True
        return unit.time - current.first >= self._segment_ticks

    def _shown(self, time: int) -> datetime:
        """Our wall clock at a picture's media time."""
        if self._anchor is None:
            raise RuntimeError("no picture yet")
        wall, ticks = self._anchor
        return wall + timedelta(seconds=(time - ticks) / VIDEO_TIMESCALE)

    def _sound_time(self, time: int, track: Track, pictures: Track, now: datetime) -> datetime:
        """Our wall clock at a sound's media time: by the camera's reports if it sent them."""
        if track.report is not None and (wall := track.wall(time)) is not None:
            picture = pictures.wall(self._anchor[1]) if self._anchor is not None else None
            if picture is not None and self._anchor is not None:
                return self._anchor[0] + (wall - picture)
        anchor, ticks = self._sound_anchor or (now, time)
        return anchor + timedelta(seconds=(time - ticks) / track.clock_rate)

    def _begin_segment(
        self, unit: AccessUnit, form: VideoFormat, track: Track, now: datetime
    ) -> _Open:
        if self._anchor is None or abs(self._shown(unit.time) - now) > _ANCHOR_SLACK:
            self._anchor = (now, unit.time)
        start = self._shown(unit.time)
        header = mp4.initialization(form, self._sound)
        out = self._sink.open(start)
        self._coverage.resumed(start)
        current = _Open(out, form, start, unit.time, lost_before=track.lost, last=unit.time)
        self._open = current
        self._flushed = start
        out.write(header)
        return current

    def _declare_loss(self, current: _Open, unit: AccessUnit, lost: int) -> None:
        start = self._shown(current.last)
        end = max(start, self._shown(unit.time))
        self._sink.gap(start, end, GapCause.PACKET_LOSS, lost)

    def _write_fragment(self, current: _Open, end: int) -> None:
        current.fragments += 1
        sounds, sound_end = current.sounds, 0
        if sounds:
            step = sounds[-1].time - sounds[-2].time if len(sounds) > 1 else 1024
            sound_end = sounds[-1].time + step
        if current.fragments == 1:
            earliest = min((p.time for p in current.pictures), default=0)
            current.lead = min(max(0, -earliest), _MAX_LEAD)
        pieces = mp4.fragment(
            current.fragments, current.pictures, end - current.first, sounds, sound_end,
            current.lead,
        )  # fmt: skip
        current.pictures, current.sounds, current.pending = [], [], 0
        current.out.write(b"".join(pieces))
        current.out.flush()
        self._flushed = self._shown(end)

    def _end_segment(
        self, current: _Open, end: int, track: Track, cause: GapCause = GapCause.STREAM_CHANGED
    ) -> datetime:
        if current.pictures:
            self._write_fragment(current, end)
        stop = self._shown(end)
        current.out.close(
            start=current.start,
            end=stop,
            media_seconds=mp4.seconds(end - current.first, VIDEO_TIMESCALE),
            frames=current.frames,
            lost_packets=track.lost - current.lost_before,
            clock_offset_s=track.clock_offset_s,
        )
        self._open = None
        self._coverage.recorded(stop, cause)
        return stop
