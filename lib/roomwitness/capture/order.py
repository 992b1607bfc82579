"""In which order pictures are shown, as far as their times tell: what may still be to come."""

_USUAL_TICKS = 90000 // 25
_RAISES_TO_KNOW = 2


class Order:
    """Follows one connection's pictures in decoding order; times are in RTP ticks.

    A picture that is shown later than all before it may be followed by some that are shown
    between it and the latest one before it (ITU-T H.264, C.4.5.3; H.265, C.5.2.3). Where the step
    between the two is no longer than the finest one seen, there is no room for any.
    """

    def __init__(self) -> None:
        self.last = 0
        self.depth = 0  # How long before the latest one a later one was shown, at most.
        self._before = 0
        self._previous: int | None = None
        self._finest = _USUAL_TICKS
        self._step = 0
        self._known = False
        self._raises = 0
        self._reordered = False

    def take(self, time: int) -> None:
        """The next picture is shown at ``time``."""
        previous, self._previous = self._previous, time
        if previous is None:
            self.last = self._before = time
            return
        if time > self.last:
            self._before, self.last = self.last, time
            self._raises += 1
        elif time < self.last:
            self._reordered = True
            self.depth = max(self.depth, self.last - time)
        step, paced = abs(time - previous), self._step
        self._step = step
        # A longer one, once, is a hole; twice, it is the camera's new pace.
        slower = not self._reordered and 4 * abs(step - paced) <= step
        if step and (not self._known or step < self._finest or slower):
            self._finest, self._known = step, True

    def lost(self) -> None:
        """Pictures may be missing: what was learned of the order begins anew."""
        self._raises = 0

    def anew(self) -> None:
        """Media time begins anew."""
        self._previous, self._raises, self.depth = None, 0, 0

    @property
    def duration(self) -> int:
        """How long a picture is shown."""
        return self._finest

    @property
    def complete(self) -> int:
        """The latest picture before which none can be to come."""
        return self.last if self._sure else self._before

    @property
    def covered(self) -> int:
        """Until when every picture that is shown before is there."""
        return self.complete + (self._finest if self._sure else min(self._finest, _USUAL_TICKS))

    @property
    def _sure(self) -> bool:
        room = self.last - self._before
        return self._raises >= _RAISES_TO_KNOW and 2 * room <= 3 * self._finest
