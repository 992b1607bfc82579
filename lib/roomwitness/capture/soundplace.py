"""Where the sounds of one segment lie, in ticks of their own clock after its first picture."""


class SoundPlace:
    """One segment's; ``lead`` is for how many ticks before the first picture there is room.

    That is settled by the first sound, or when the segment's header is written.
    """

    def __init__(self) -> None:
        self._knot: tuple[int, int] | None = None
        self._last: int | None = None
        self.lead: int | None = None

    @property
    def known(self) -> bool:
        """Whether this count of sounds is tied to the pictures."""
        return self._knot is not None

    def anew(self) -> None:
        """The sounds are counted anew."""
        self._knot = None

    def tie(self, time: int, after: int) -> int:
        """The sound at RTP ``time`` lies ``after`` ticks behind the first picture; negative, if it
        was made before it. Gives the room that there is now."""
        if self.lead is None:
            self.lead = max(0, -after)
        if self._last is not None:
            after = max(after, self._last + 1)
        self._knot = (time, after)
        return self.lead

    def at(self, time: int) -> int | None:
        """Ticks after the first picture; None if there is no room so early.

        Raises:
            RuntimeError: nothing was tied yet.
        """
        if self._knot is None:
            raise RuntimeError("no sound is tied to a picture yet")
        first, after = self._knot
        place = time - first + after
        if place < -(self.lead or 0):
            return None
        self._last = place
        return place
