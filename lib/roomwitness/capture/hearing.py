"""What is missing of a connection's sound, beside pictures that come; times are in their ticks."""

from roomwitness.policy.words import GapCause

from .gaps import OpenGaps
from .mp4 import VIDEO_TIMESCALE

# Sound comes in packets of 10 to 100 ms, and may lie behind its pictures by about a second.
_SILENCE_TICKS = 2 * VIDEO_TIMESCALE


class Hearing:
    """Declares lost sound, and a sound that is set up and does not come.

    One for each connection; ``gaps`` and ``first`` (its first picture) are the open segment's.
    ``_since`` is up to when it is known what became of the sound.
    """

    def __init__(self) -> None:
        self._last: int | None = None
        self._since: int | None = None
        self._silence: str | None = None

    def restart(self) -> None:
        """The camera counts anew."""
        self._last = self._since = self._silence = None

    def heard(self, gaps: OpenGaps, first: int, time: int, lost: int) -> None:
        """A sound came, before which so many packets are missing.

        Raises:
            WitnessError: the sink failed.
        """
        if self._silence is not None:
            gaps.extend(self._silence, time)
        if lost:
            before = first if self._last is None else self._last
            gaps.declare(min(before, time), time, GapCause.SOUND_LOSS, lost)
        self._last = self._since = time
        self._silence = None

    def pictures_resumed(self, time: int) -> None:
        """Pictures were missing until then, and that is declared: for both."""
        if self._since is not None:
            self._since = max(self._since, time)

    def look(self, gaps: OpenGaps, first: int, end: int) -> None:
        """Pictures are there until ``end``: is the sound? What a kill leaves undeclared of its
        silence is as short as what is never declared.

        Raises:
            WitnessError: the sink failed.
        """
        if self._since is None:
            self._since = first
        if end - self._since <= _SILENCE_TICKS:
            return
        if self._silence is not None:
            gaps.extend(self._silence, end)
        else:
            self._silence = gaps.declare(self._since, end, GapCause.SOUND_STALLED)
        self._since = end

    def sealed(self, gaps: OpenGaps, end: int) -> None:
        """The segment ends, and with it what can be said in its gaps.

        Raises:
            WitnessError: the sink failed.
        """
        if self._silence is not None:
            gaps.extend(self._silence, end)
            self._since, self._silence = end, None
