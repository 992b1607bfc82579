"""What a codec gives capture: a depacketizer, and a format that describes its MP4 track.

Every module of this package holds one codec behind these shapes; ``registry`` finds them by the
encoding name of a session description. Nothing outside knows a codec by name.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Protocol

from ..rtp import Depacketizer

# A 4K intra picture at the highest levels of H.264 and H.265 stays below this; what is larger is
# no picture. The second bound holds when every packet brings a byte or two.
MAX_UNIT_BYTES = 16 << 20
MAX_UNIT_PIECES = 1 << 16
# RTP sound frames are at most a few KiB (AAC: 768 bytes a channel, ISO/IEC 14496-3, 4.5.3).
MAX_SOUND_BYTES = 1 << 16

type EmitSound = Callable[[int, bytes], None]
type EmitPicture = Callable[[AccessUnit], None]


def nobody() -> None:
    """Nobody is told."""


class Thrower:
    """What every depacketizer does with what it cannot give on: it says so, by ``let_go``.

    Its track sets that, and counts it like a lost packet. What follows from packets that the
    track knows to be missing, or from what was told, is told no second time until something whole
    has come.
    """

    def __init__(self) -> None:
        self.let_go: Callable[[], None] = nobody
        self._known = False

    def lose(self) -> None:
        """Packets are missing before the next payload."""
        self._known = True

    def end(self) -> None:
        """Another count follows; nothing unfinished is of use."""
        self.lose()

    def _throw(self) -> None:
        if not self._known:
            self._known = True
            self.let_go()


class VideoFormat(Protocol):
    """All that a player must know before the first picture; equal formats share a header."""

    @property
    def size(self) -> tuple[int, int]:
        """Width and height in pixels.

        Raises:
            StreamUnsupported: the parameter sets make no sense.
        """
        ...

    @property
    def nals(self) -> tuple[bytes, ...]:
        """The parameter sets, in the order in which a decoder wants them."""
        ...

    def sample_entry(self) -> bytes:
        """The MP4 sample entry (ISO/IEC 14496-12, 8.5.2).

        Raises:
            StreamUnsupported: the parameter sets make no sense.
        """
        ...


class SoundFormat(Protocol):
    """``clock_rate`` counts RTP timestamps and is the MP4 track's timescale, in 1/s."""

    @property
    def clock_rate(self) -> int:
        """Ticks a second."""
        ...

    def sample_entry(self) -> bytes:
        """The MP4 sample entry (ISO/IEC 14496-12, 8.5.2)."""
        ...


@dataclass(slots=True)
class AccessUnit:
    """One picture: NAL units, each behind its four-byte length. ``time`` is in RTP ticks.

    ``format`` holds the parameter sets as they stand at this picture, None before there are any.
    ``damaged`` says that a part of it may be missing; then it is no keyframe either.
    """

    time: int
    parts: list[bytes] = field(default_factory=list)
    size: int = 0
    key: bool = False
    picture: bool = False
    format: VideoFormat | None = None
    damaged: bool = False


class VideoCodec(Protocol):
    """A picture that we record."""

    @property
    def name(self) -> str:
        """As people call it, for example ``H.264``."""
        ...

    @property
    def decoder(self) -> str:
        """As FFmpeg calls its decoder."""
        ...

    def depacketizer(self, emit: EmitPicture) -> Depacketizer:
        """A fresh depacketizer; its errors are ``CaptureError``."""
        ...


class SoundCodec(Protocol):
    """A sound that we record."""

    @property
    def name(self) -> str:
        """As people call it, for example ``AAC``."""
        ...

    @property
    def format(self) -> SoundFormat:
        """What the MP4 track is described by."""
        ...

    def depacketizer(self, emit: EmitSound) -> Depacketizer:
        """A fresh depacketizer; ``emit(time, frame)`` gets the time in RTP ticks."""
        ...
