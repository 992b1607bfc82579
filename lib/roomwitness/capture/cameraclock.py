"""The camera's own wall clock, as its sender reports tell it, beside ours: offset and steps."""

from collections import deque
from datetime import datetime
from statistics import median

_KEPT = 5
_STEP_S = 0.25
_SLACK = 0.002
_RECONNECT_STEP_S = 1.0
_HOUR = 3600


def whole_hours(seconds: float) -> int:
    """How many whole hours a clock is off, if that is what it is (time zone, DST), else 0."""
    hours = round(seconds / _HOUR)
    return hours if hours and abs(seconds - hours * _HOUR) <= 30 else 0


class CameraClock:
    """Pure. ``offset_s`` is the camera's clock minus ours: the median of the last reports."""

    def __init__(self) -> None:
        self._offsets: deque[float] = deque(maxlen=_KEPT)
        self._relation: tuple[float, float] | None = None
        self._doubted: float | None = None
        self._before: float | None = None

    @property
    def offset_s(self) -> float | None:
        """Seconds; None before the first report."""
        return median(self._offsets) if self._offsets else self._before

    def connected(self) -> None:
        """Another connection: media time begins anew, the camera's clock goes on."""
        self._before = self.offset_s
        self._offsets.clear()
        self._relation = None
        self._doubted = None

    def shift(self, seconds: float) -> None:
        """Our own clock was set by so much: what was measured before is meant by the new one."""
        shifted = [offset - seconds for offset in self._offsets]
        self._offsets.clear()
        self._offsets.extend(shifted)
        if self._before is not None:
            self._before -= seconds

    def report(self, camera: datetime, media_s: float, ours: datetime) -> float:
        """Take what the camera's clock showed at a media time that was ``ours`` by our clock.

        Returns the seconds by which the camera's clock was set since, once two reports agree on
        it; mostly 0.
        """
        offset = (camera - ours).total_seconds()
        relation = camera.timestamp() - media_s
        if self._relation is None:
            self._relation = (relation, media_s)
            step = 0.0 if self._before is None else offset - self._before
            self._offsets.append(offset)
            self._before = None
            return step if abs(step) > _RECONNECT_STEP_S else 0.0
        before, at = self._relation
        change = relation - before
        if abs(change) <= _STEP_S + _SLACK * abs(media_s - at):
            self._relation, self._doubted = (relation, media_s), None
            self._offsets.append(offset)
            return 0.0
        if self._doubted is None or abs(change - self._doubted) > _STEP_S:
            self._doubted = change  # One odd report is not a step.
            return 0.0
        self._relation, self._doubted = (relation, media_s), None
        self._offsets.clear()
        self._offsets.append(offset)
        return change
