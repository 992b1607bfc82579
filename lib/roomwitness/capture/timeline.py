"""The one timeline of a recording: three clocks tied together (docs/time.md)."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal

from .cameraclock import CameraClock, whole_hours
from .hostclock import HostClock
from .mediaclock import MediaClock
from .rtp import SenderReport

_RATE = 90000
_MIN_EVERY_S = 1.0
# Leading pictures are shown at most so long before the keyframe that they follow.
MAX_LEAD_S = 2.0

type ClockEventKind = Literal[
    "camera_offset", "camera_step", "camera_hours", "media_step", "host_step"
]


@dataclass(frozen=True, slots=True, kw_only=True)
class ClockEvent:
    """Something a clock did at ``at`` (ours, afterwards): set by ``seconds``, or first compared."""

    kind: ClockEventKind
    at: datetime
    seconds: float


@dataclass(frozen=True, slots=True, kw_only=True)
class SegmentClock:
    """What is known of the clocks over one segment.

    Offsets are the camera's wall clock minus ours in seconds, None without sender reports;
    ``drift_ppm`` is how much faster than ours the camera's media clock runs.
    """

    offset_start_s: float | None = None
    offset_end_s: float | None = None
    drift_ppm: float = 0.0
    uncertainty_s: float = 0.0
    source: Literal["rtcp", "arrival"] = "arrival"


def _pictures(drift_ppm: float = 0.0) -> MediaClock:
    return MediaClock(_RATE, drift_ppm, lead_s=MAX_LEAD_S)


class Timeline:
    """Our wall time of every picture of one camera, over all its connections."""

    def __init__(
        self,
        clock: Callable[[], datetime] | None = None,
        note: Callable[[ClockEvent], None] = lambda _event: None,
    ) -> None:
        self._host = clock if isinstance(clock, HostClock) else None
        self._note = note
        self._media = _pictures()
        self._sounds: MediaClock | None = None
        self._camera = CameraClock()
        self._epoch = 0
        self._adopted = self._host.stepped_s if self._host else 0.0
        self._report: SenderReport | None = None

    @property
    def step_s(self) -> float:
        """By how much our own clock was set and the timeline does not yet follow."""
        return self._host.stepped_s - self._adopted if self._host else 0.0

    @property
    def epoch(self) -> int:
        """The count of the track that media time follows."""
        return self._epoch

    @property
    def settling(self) -> bool:
        """Whether the pictures that come show that those before are older than was known."""
        return self._media.settling

    def adopt(self, now: datetime) -> float:
        """Follow our own clock's step from here on; returns it."""
        step = self.step_s
        if step:
            self._adopted += step
            self._camera.shift(step)
            self._media, self._sounds = _pictures(self._media.drift_ppm), None
            self._note(ClockEvent(kind="host_step", at=now, seconds=step))
        return step

    def steady(self, epoch: int) -> bool:
        """Whether pictures that follow the last one closely break nothing: ``breaks`` need not be
        asked for each."""
        return epoch == self._epoch and self._media.steady

    def connected(self) -> None:
        """A new connection: media time begins anew."""
        self._media, self._sounds = _pictures(self._media.drift_ppm), None
        self._camera.connected()
        self._epoch, self._report = 0, None

    def _ours(self, now: datetime) -> datetime:
        step = self.step_s
        return now - timedelta(seconds=step) if step else now

    def breaks(self, ticks: int, now: datetime, epoch: int) -> bool:
        """Whether media time no longer continues: what is open must be sealed, then ``restart``."""
        if not self._media.running:  # It begins with this one, by whatever count that is.
            self._epoch = epoch
            return False
        if epoch != self._epoch:
            return True
        return self._media.jump(ticks, self._ours(now)) != 0.0

    def restart(self, ticks: int, now: datetime, epoch: int) -> None:
        """Media time goes on from here by another count."""
        if epoch == self._epoch:
            jump = self._media.jump(ticks, self._ours(now))
            self._note(ClockEvent(kind="media_step", at=now, seconds=jump))
        self._epoch = epoch
        self._media, self._sounds = _pictures(self._media.drift_ppm), None
        self._camera.connected()

    def observe(self, ticks: int, now: datetime, report: SenderReport | None) -> None:
        """Take a picture that arrived ``now``, and the newest sender report."""
        self._media.observe(ticks, self._ours(now))
        if report is None or report is self._report:
            return
        self._report = report
        # One that came before our clock was set, or before the first picture, is let go.
        if self.step_s and (now - report.arrived).total_seconds() > _MIN_EVERY_S:
            return
        self._media.observe(report.time, self._ours(report.arrived), report=True)
        ours = self._media.wall(report.time)
        first = self._camera.offset_s is None
        step = self._camera.report(report.wall, report.time / _RATE, ours)
        if first and (offset := self._camera.offset_s) is not None:
            self._note(ClockEvent(kind="camera_offset", at=ours, seconds=offset))
        if step:
            kind: ClockEventKind = "camera_hours" if whole_hours(step) else "camera_step"
            self._note(ClockEvent(kind=kind, at=ours, seconds=step))

    def wall(self, ticks: int) -> datetime:
        """Our wall time of a picture, as well as it is known by now."""
        return self._media.wall(ticks)

    def deaf(self) -> None:
        """Sound begins to count anew."""
        self._sounds = None

    def hear(self, ticks: int, rate: int, now: datetime) -> bool:
        """Take a sound that arrived ``now``; ``rate`` is its ticks a second.

        Gives whether its media clock was set since the one before: its times begin anew.
        """
        ours, sounds = self._ours(now), self._sounds
        was_set = sounds is not None and sounds.jump(ticks, ours) != 0.0
        if sounds is None or was_set:
            self._sounds = sounds = MediaClock(rate, self._media.drift_ppm)
        sounds.observe(ticks, ours)
        return was_set

    def heard(self, ticks: int) -> datetime:
        """Our wall time of a sound by its arrivals, as well as it is known by now.

        Raises:
            RuntimeError: nothing was heard yet.
        """
        if self._sounds is None:
            raise RuntimeError("no sound yet")
        return self._sounds.wall(ticks)

    @property
    def offset_s(self) -> float | None:
        """The camera's wall clock minus ours, in seconds; None without sender reports."""
        return self._camera.offset_s

    def segment(self, offset_start_s: float | None) -> SegmentClock:
        """What is known of the clocks as a segment ends."""
        return SegmentClock(
            offset_start_s=self.offset_s if offset_start_s is None else offset_start_s,
            offset_end_s=self.offset_s,
            drift_ppm=self._media.drift_ppm,
            uncertainty_s=self._media.uncertainty_s,
            source="arrival" if self.offset_s is None else "rtcp",
        )
