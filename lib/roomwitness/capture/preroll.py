"""Pre-roll: the last seconds of a stream, in memory and nowhere else (docs/pre-roll.md).

What is kept are whole groups of pictures, each from its keyframe on, with the sound and metadata
between. Whatever is too old goes with its whole group: without its keyframe nothing can be seen.
"""

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import datetime

from .codecs import AccessUnit, SoundFormat
from .gaps import Gap
from .rtp import Track
from .segmenter import Segmenter
from .sink import SegmentOut
from .status import CaptureStatus
from .timeline import ClockEvent

# The Swedish authority (IMY) allows no more (docs/legal-file.md): nobody can configure it away.
MAX_SECONDS = 15.0
# 15 s at 17 Mbit/s. A camera that sends more is kept for a shorter time.
MAX_BYTES = 32 << 20
# What Python's objects around one item take, about.
_ITEM_BYTES = 512

type Play = Callable[[Segmenter], object]


@dataclass(slots=True)
class _Group:
    """From one keyframe to the next; ``at`` is when it arrived, in monotonic seconds."""

    at: float
    media: int
    since: datetime
    track: Track
    sound: SoundFormat | None
    lost: tuple[int, int, int]
    bytes: int = 0
    items: list[Play] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Run:
    """What one connection delivered without a break, oldest first; ``track`` as it was last.

    ``lost`` are the packets of pictures, sound and metadata that were lost before it.
    """

    items: tuple[Play, ...]
    track: Track
    connection: int
    sound: SoundFormat | None
    lost: tuple[int, int, int]


class PreRoll:
    """A ring of at most ``seconds`` (never more than 15) and ``max_bytes``. One thread's.

    Times are monotonic seconds, so that a clock that is set keeps nothing longer.
    """

    def __init__(self, seconds: float, max_bytes: int = MAX_BYTES) -> None:
        self.seconds = max(0.0, min(seconds, MAX_SECONDS))
        self._max_bytes = max_bytes
        self._groups: deque[tuple[int, _Group]] = deque()
        self._connection = 0
        self._sound: SoundFormat | None = None
        self._sounds_lost = self._metadata_lost = 0
        self._frozen = False
        self._then: dict[int, tuple[tuple[int, int, object], Track]] = {}
        self.bytes = 0

    @property
    def since(self) -> datetime | None:
        """Our wall time at which the oldest picture arrived."""
        return self._groups[0][1].since if self._groups else None

    @property
    def connection(self) -> int:
        """Counts connections."""
        return self._connection

    def connected(self, sound: SoundFormat | None) -> None:
        """Another connection, with this sound: media time begins anew."""
        self._connection += 1
        self._sound = sound
        self._sounds_lost = self._metadata_lost = 0
        self._then.clear()

    def picture(self, unit: AccessUnit, track: Track, now: datetime, at: float) -> None:
        """Take one picture; those before the first keyframe are let go."""
        # Its packets' buffers are shared with much that is let go: one copy of our own.
        kept = replace(unit, parts=[b"".join(unit.parts)])
        then = self._as_of_now(track)
        if unit.key:
            lost = then.lost, self._sounds_lost, self._metadata_lost
            group = _Group(at, unit.time, now, then, self._sound, lost)
            self._groups.append((self._connection, group))
        self._put(lambda segmenter: segmenter.picture(kept, then, now), unit.size, then)
        self.trim(at, unit.time)

    def sound(
        self, time: int, data: bytes, track: Track, pictures: Track, now: datetime, at: float
    ) -> None:
        """Take one sound frame."""
        then, seen = self._as_of_now(track), self._as_of_now(pictures)
        self._sounds_lost = then.lost
        self._put(lambda s: s.sound(time, data, then, seen, now), len(data))
        self.trim(at)

    def metadata(
        self, time: int, document: bytes, track: Track, pictures: Track, now: datetime, at: float
    ) -> None:
        """Take one metadata document."""
        then, seen = self._as_of_now(track), self._as_of_now(pictures)
        self._metadata_lost = then.lost
        self._put(lambda s: s.metadata(time, document, then, seen, now), len(document))
        self.trim(at)

    def _put(self, play: Play, size: int, track: Track | None = None) -> None:
        if not self._groups or self._groups[-1][0] != self._connection:
            return
        group = self._groups[-1][1]
        group.items.append(play)
        group.bytes += size + _ITEM_BYTES
        self.bytes += size + _ITEM_BYTES
        if track is not None:
            group.track = track
        while self.bytes > self._max_bytes:
            self._drop()

    def _drop(self) -> None:
        self.bytes -= self._groups.popleft()[1].bytes

    def _as_of_now(self, track: Track) -> Track:
        """The track as it stands; the same copy as long as nothing of it changed."""
        state = (track.lost, track.epoch, track.report)
        known = self._then.get(id(track))
        if known is None or known[0] != state:
            known = self._then[id(track)] = (state, track.as_of_now())
        return known[1]

    def trim(self, at: float, media: int | None = None) -> None:
        """Let go of what is older than it may be; ``media`` is the newest picture's time."""
        while self._groups and not self._frozen:
            connection, group = self._groups[0]
            old = at - group.at > self.seconds
            newest = self._groups[-1]
            if media is not None and connection == newest[0] == self._connection:
                same = group.track.epoch == newest[1].track.epoch
                # A burst after a stall, or at the start, arrives late: its moments are older.
                old = old or (same and media - group.media > self.seconds * group.track.clock_rate)
            if not old:
                return
            self._drop()

    def freeze(self, at: float) -> datetime | None:
        """Nothing more ages from this moment on; since when there are pictures."""
        if not self._frozen:
            self.trim(at)
            self._frozen = True
        return self.since

    def thaw(self) -> None:
        """Go on as before: nobody wants it."""
        self._frozen = False

    def clear(self) -> None:
        """Let go of everything."""
        self._groups.clear()
        self._then.clear()
        self.bytes = 0

    def take(self) -> list[Run]:
        """Give everything, in order, a run for each connection; nothing is kept."""
        runs: list[Run] = []
        for connection, group in self._groups:
            items, lost = tuple(group.items), group.lost
            if runs and runs[-1].connection == connection:
                before = runs.pop()
                items, lost = before.items + items, before.lost
            runs.append(Run(items, group.track, connection, group.sound, lost))
        self.clear()
        self._frozen = False
        return runs


class Nowhere:
    """The sink of a camera that is only watched: it has no place where anything could be kept."""

    def __init__(self, status: Callable[[CaptureStatus], None]) -> None:
        self.status = status

    def open(self, start: datetime) -> SegmentOut:
        """Refuse."""
        raise RuntimeError("nothing is kept of a camera that is only watched")

    def open_metadata(self, start: datetime) -> SegmentOut:
        """Refuse."""
        return self.open(start)

    def gap(self, gap: Gap) -> None:
        """Nothing is missing where nothing is recorded."""

    def clock(self, event: ClockEvent) -> None:
        """Nothing is recorded whose time could be wrong."""
