"""What is missing of a connection's sound, beside pictures that come; times are in their ticks."""

from roomwitness.policy.words import GapCause

from .gaps import OpenGaps
from .mp4 import VIDEO_TIMESCALE

# Sound comes in packets of 10 to 100 ms, and may lie behind its pictures by about a second.
_SILENCE_TICKS = 2 * VIDEO_TIMESCALE
# Where a connection begins and ends no sound comes behind: more than a packet is missing.
_EDGE_TICKS = VIDEO_TIMESCALE // 4
_SPANS = 100


class Hearing:
    """Declares lost sound, and a sound that is set up and does not come.

    One for each connection; ``gaps`` and ``first`` (its first picture) are the open segment's.
    ``_since`` is up to when it is known what became of the sound, ``_silent`` whether there was
    none: what a segment's end breaks off goes on in the next, however short it is there.
    ``_fresh`` says that none came of its count yet; in ``_excused`` pictures were missing too.
    """

    def __init__(self) -> None:
        self.restart()

    def restart(self) -> None:
        """The camera counts anew."""
        self._last: int | None = None
        self._since: int | None = None
        self._silence: str | None = None
        self._silent = False
        self._fresh = True
        self._excused: list[tuple[int, int]] = []

    def anew(self) -> None:
        """Sound alone is counted anew: how much is missing before the next nobody can know."""
        self._fresh = True

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
        elif self._fresh and not self._silent and self._unexcused(known, time) > _EDGE_TICKS:
            gaps.declare(known, time, GapCause.SOUND_LOSS)
        self._last = time
        self._known_until(time)
        self._silence, self._silent, self._fresh = None, False, False

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
        elif not self._silent and _EDGE_TICKS < self._unexcused(known, end) <= _SILENCE_TICKS:
            gaps.declare(known, end, GapCause.SOUND_LOSS)

    def pictures_resumed(self, begin: int, end: int) -> None:
        """Pictures were missing from then to then, and that is declared: for both."""
        if self._excused:
            begin = max(begin, self._excused[-1][1])
        if end > begin:
            self._excused.append((begin, end))
            del self._excused[:-_SPANS]  # Where there is no sound nobody asks for them.

    def look(self, gaps: OpenGaps, first: int, end: int) -> None:
        """Pictures are there until ``end``: is the sound? What a kill leaves undeclared of its
        silence is as short as what is never declared.

        Raises:
            WitnessError: the sink failed.
        """
        if self._since is None:
            self._since = first
        if self._unexcused(self._since, end) <= (0 if self._silent else _SILENCE_TICKS):
            return
        if self._silence is not None:
            gaps.extend(self._silence, end)
        else:
            self._silence = gaps.declare(self._since, end, GapCause.SOUND_STALLED)
            self._silent = True
        self._known_until(end)

    def sealed(self, gaps: OpenGaps, end: int) -> None:
        """The segment ends, and with it what can be said in its gaps.

        Raises:
            WitnessError: the sink failed.
        """
        if self._silence is not None:
            gaps.extend(self._silence, end)
            self._known_until(end)
            self._silence = None

    def _known_until(self, time: int) -> None:
        self._since = time
        self._excused = [span for span in self._excused if span[1] > time]

    def _unexcused(self, since: int, end: int) -> int:
        """How much of that time there were pictures."""
        gone = sum(max(0, min(end, b) - max(since, a)) for a, b in self._excused)
        return end - since - gone
