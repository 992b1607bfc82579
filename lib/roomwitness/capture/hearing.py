"""What is missing of a connection's sound, beside pictures that come; times are in their ticks."""

from roomwitness.policy.words import GapCause

from .gaps import OpenGaps
from .mp4 import VIDEO_TIMESCALE

# Sound comes in packets of 10 to 100 ms, and may lie behind its pictures by about a second.
_SILENCE_TICKS = 2 * VIDEO_TIMESCALE
# Where a connection begins and ends no sound comes behind: more than a packet is missing.
_EDGE_TICKS = VIDEO_TIMESCALE // 4


class Hearing:
    """Declares lost sound, and a sound that is set up and does not come.

    One for each connection; ``gaps`` and ``first`` (its first picture) are the open segment's.
    ``_since`` is up to when it is known what became of the sound, ``_silent`` whether there was
    none: what a segment's end breaks off goes on in the next, however short it is there.
    """

    def __init__(self) -> None:
        self._last: int | None = None
        self._since: int | None = None
        self._silence: str | None = None
        self._silent = False

    def restart(self) -> None:
        """The camera counts anew."""
        self._last = self._since = self._silence = None
        self._silent = False

    def heard(self, gaps: OpenGaps, first: int, time: int, lost: int) -> None:
        """A sound came, before which so many packets are missing.

        Raises:
            WitnessError: the sink failed.
        """
        known = first if self._since is None else self._since
        if self._silence is not None:
            gaps.extend(self._silence, time)
        elif self._silent and time > known:
            gaps.declare(known, time, GapCause.SOUND_STALLED)
        if lost:
            before = first if self._last is None else self._last
            gaps.declare(min(before, time), time, GapCause.SOUND_LOSS, lost)
        elif self._last is None and not self._silent and time - known > _EDGE_TICKS:
            gaps.declare(known, time, GapCause.SOUND_LOSS)
        self._last = self._since = time
        self._silence, self._silent = None, False

    def ended(self, gaps: OpenGaps, first: int, end: int, lost: int) -> None:
        """No more comes of the connection, or of the camera's count, whose pictures end at ``end``:
        so many packets are missing, or what was still on its way.

        Raises:
            WitnessError: the sink failed.
        """
        known = first if self._since is None else self._since
        if lost:
            before = first if self._last is None else self._last
            gaps.declare(before, max(before, end), GapCause.SOUND_LOSS, lost)
        elif not self._silent and _EDGE_TICKS < end - known <= _SILENCE_TICKS:
            gaps.declare(known, end, GapCause.SOUND_LOSS)

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
        if end - self._since <= (0 if self._silent else _SILENCE_TICKS):
            return
        if self._silence is not None:
            gaps.extend(self._silence, end)
        else:
            self._silence = gaps.declare(self._since, end, GapCause.SOUND_STALLED)
            self._silent = True
        self._since = end

    def sealed(self, gaps: OpenGaps, end: int) -> None:
        """The segment ends, and with it what can be said in its gaps.

        Raises:
            WitnessError: the sink failed.
        """
        if self._silence is not None:
            gaps.extend(self._silence, end)
            self._since, self._silence = end, None
