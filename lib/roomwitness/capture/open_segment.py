"""A segment that is being written, and what is not on the disk of it yet."""

from dataclasses import dataclass, field
from datetime import datetime

from roomwitness.policy.words import GapCause

from .codecs import VideoFormat
from .gaps import OpenGaps
from .metadata_file import MetadataFile
from .mp4 import Sample
from .sink import SegmentOut
from .soundplace import SoundPlace


@dataclass(slots=True)
class OpenSegment:
    """Its first picture has the RTP time ``first`` and our time ``start``, as is known by now.

    ``pictures`` and ``sounds`` are of the fragment that begins at ``fragment_first``, ``pending``
    bytes; ``follows`` says that it continues the one before; ``damage`` is an open gap's id.
    """

    out: SegmentOut
    video: VideoFormat
    start: datetime
    first: int
    gaps: OpenGaps
    frames: int = 0
    lost_before: int = 0
    fragments: int = 0
    metadata: MetadataFile | None = None
    metadata_lost: int = 0
    pictures: list[Sample] = field(default_factory=list)
    sounds: list[Sample] = field(default_factory=list)
    place: SoundPlace = field(default_factory=SoundPlace)
    fragment_first: int = 0
    pending: int = 0
    lead: int = 0
    follows: bool = False
    offset_start_s: float | None = None
    damage: str | None = None

    def damaged_from(self, time: int) -> None:
        """Pictures refer to lost ones from then on.

        Raises:
            WitnessError: the sink failed.
        """
        if self.damage is None:
            # A tick long: as much of it as is on the disk. Each flush extends it.
            self.damage = self.gaps.declare(time, time + 1, GapCause.DAMAGED)

    def damaged_until(self, time: int) -> None:
        """Declared as far as it is known, so that a kill leaves nothing damaged undeclared.

        Raises:
            WitnessError: the sink failed.
        """
        if self.damage is not None:
            self.gaps.extend(self.damage, time)
