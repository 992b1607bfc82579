"""A stream's media clock against our wall clock: offset from the quickest packets, drift fitted.

A packet is never early. So the least of "arrived minus media time" is the line that media time
runs along, and everything above it is the network's delay (docs/time.md).
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import combinations
from statistics import median

_BUCKET_S = 5.0
_BUCKETS = 120
_LEVEL_BUCKETS = 24
_FIT_POINTS = 32
_FIT_SPAN_S = 60.0
_STEP_S = 0.5
# What a camera, or the network, may hold back at a connection's start and then send at once.
_BURST_S = 15.0
_LATE_BUCKETS = 6
# Between the moment of a picture and its first packet: camera's encoder and network, unknown to us.
_UNREPORTED_S = 0.2


@dataclass(slots=True)
class _Least:
    """The quickest packet of one bucket of media time."""

    bucket: int
    media: float
    delay: float


class MediaClock:
    """Pure: ticks and arrivals in, wall times out. ``rate`` is in ticks a second.

    What follows the first may be shown up to ``lead_s`` seconds before it.
    """

    def __init__(self, rate: int, drift_ppm: float = 0.0, *, lead_s: float = 0.0) -> None:
        self._rate = rate
        self._origin: tuple[int, datetime] | None = None
        self._least: list[_Least] = []
        self._slope = -drift_ppm / 1e6
        self._level = 0.0
        self._last: tuple[float, float] | None = None
        # The two latest media times: a picture that is shown between them may follow both.
        self._before, self._highest = -lead_s, 0.0
        self._reported = False
        self._burst = True
        # Whether the newest picture came at once with the one before, and quicker than all: then
        # what follows may show that all of them are older still.
        self.settling = False

    @property
    def running(self) -> bool:
        """Whether anything was observed yet."""
        return self._origin is not None

    @property
    def steady(self) -> bool:
        """Whether a picture that follows the last one by less than a step is none (``jump``)."""
        return self._last is not None and not self._burst and not self._slow()

    @property
    def drift_ppm(self) -> float:
        """How much faster than ours the camera's clock runs, in parts per million."""
        return -self._slope * 1e6

    @property
    def uncertainty_s(self) -> float:
        """How far off a wall time may be: the scatter, and the unknown delay without reports."""
        if not self._least:
            return _UNREPORTED_S
        scatter = sorted(self._late(point.media, point.delay) for point in self._least)
        unknown = 0.0 if self._reported else _UNREPORTED_S
        return scatter[len(scatter) * 9 // 10] + unknown

    def _place(self, ticks: int, wall: datetime) -> tuple[float, float]:
        if self._origin is None:
            self._origin = (ticks, wall)
        first, begin = self._origin
        media = (ticks - first) / self._rate
        return media, (wall - begin).total_seconds() - media

    def _late(self, media: float, delay: float) -> float:
        return delay - self._level - self._slope * media

    def jump(self, ticks: int, wall: datetime) -> float:
        """Seconds by which the media clock was set between the last picture and this; mostly 0."""
        if self._last is None:
            return 0.0
        media, delay = self._place(ticks, wall)
        last_media, last_delay = self._last
        if media < self._highest - _STEP_S and media <= self._before:
            return -self._late(media, delay)
        ahead = -self._late(media, delay)
        if min(ahead, media - last_media, last_delay - delay) > _STEP_S:
            # In a burst time goes on only in the media: what lies between was lost, if anything.
            return 0.0 if self._burst and ahead <= _BURST_S else ahead
        if self._slow():
            return -min(self._late(p.media, p.delay) for p in self._least[-_LATE_BUCKETS:])
        return 0.0

    def _slow(self) -> bool:
        """For half a minute not one packet was in time: it is not the network, the clock stood."""
        least = self._least
        if len(least) <= _LATE_BUCKETS or self._late(least[-1].media, least[-1].delay) <= _STEP_S:
            return False
        return all(self._late(p.media, p.delay) > _STEP_S for p in least[-_LATE_BUCKETS:])

    def observe(self, ticks: int, wall: datetime, *, report: bool = False) -> None:
        """Take a picture, or a sender report, that arrived at ``wall``."""
        media, delay = self._place(ticks, wall)
        last, level = self._last, self._level
        if report:
            if not self._least or abs(self._late(media, delay)) > 2.0:
                return  # Some cameras' reports have nothing to do with their pictures.
            self._reported = True
        else:
            self._burst = self._burst and self._at_once(media, delay)
            self._last = (media, delay)
            if media > self._highest:
                self._before, self._highest = self._highest, media
        bucket = int(media // _BUCKET_S)
        newest = self._least[-1] if self._least else None
        if newest is None or bucket > newest.bucket:
            self._least.append(_Least(bucket, media, delay))
            del self._least[:-_BUCKETS]
            self._fit()
        elif delay < newest.delay + self._slope * (media - newest.media):
            newest.media, newest.delay = media, delay
            self._level = min(self._level, delay - self._slope * media)
        if not report:
            between = media - last[0] if last is not None else 0.0
            self.settling = 0 < between < 2 * (level - self._level)

    def _at_once(self, media: float, delay: float) -> bool:
        """Whether this picture came with the one before, in less than half the time between."""
        if self._last is None or media <= self._last[0]:
            return True
        return self._last[1] - delay > (media - self._last[0]) / 2

    def _fit(self) -> None:
        """Theil and Sen's slope through the finished buckets, then the level below them all."""
        done = self._least[:-1]
        if done and done[-1].media - done[0].media >= _FIT_SPAN_S:
            points = done[:: -(-len(done) // _FIT_POINTS)]
            self._slope = median(
                (b.delay - a.delay) / (b.media - a.media)
                for a, b in combinations(points, 2)
                if b.media > a.media
            )
        recent = self._least[-_LEVEL_BUCKETS:]
        self._level = min(p.delay - self._slope * p.media for p in recent)

    def wall(self, ticks: int) -> datetime:
        """Our wall time at these ticks.

        Raises:
            RuntimeError: nothing was observed yet.
        """
        if self._origin is None:
            raise RuntimeError("no picture yet")
        first, begin = self._origin
        media = (ticks - first) / self._rate
        return begin + timedelta(seconds=media * (1 + self._slope) + self._level)
