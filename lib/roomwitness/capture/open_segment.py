"""A segment that is being written, and what is not on the disk of it yet."""

from dataclasses import dataclass, field
from datetime import datetime

from roomwitness.policy.words import GapCause

from . import mp4
from .codecs import AccessUnit, SoundFormat, VideoFormat
from .codecs.metadata import ENCODING as METADATA_ENCODING
from .gaps import OpenGaps
from .metadata_file import MetadataFile
from .mp4 import VIDEO_TIMESCALE, SoundFrame
from .sink import SegmentOut, SegmentSink
from .soundplace import SoundPlace
from .timeline import MAX_LEAD_S

_MAX_LEAD = round(MAX_LEAD_S * VIDEO_TIMESCALE)
_USUAL_SOUND = 1024  # Ticks of a frame (AAC), where there is only one.


@dataclass(slots=True)
class OpenSegment:
    """Its first picture has the RTP time ``first`` and our time ``start``, as is known by now.

    ``pictures`` and ``sounds`` are of the fragment that begins at ``fragment_first``, ``pending``
    bytes; when ``flushed`` was the latest picture, all but it was written; ``follows`` says that it
    continues the one before; ``damage`` is an open gap's id.
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
    pictures: list[AccessUnit] = field(default_factory=list)
    sounds: list[SoundFrame] = field(default_factory=list)
    place: SoundPlace = field(default_factory=SoundPlace)
    fragment_first: int = 0
    flushed: int = 0
    pending: int = 0
    lead: int = 0
    follows: bool = False
    offset_start_s: float | None = None
    damage: str | None = None

    def take(self, units: list[AccessUnit]) -> int:
        """Pictures that are new to it; gives their bytes."""
        self.frames += len(units)
        return self.put(units)

    def put(self, units: list[AccessUnit]) -> int:
        """They are in its next fragment; gives their bytes."""
        if not self.pictures:
            self.fragment_first = units[0].time
        self.pictures += units
        size = sum([unit.size for unit in units])
        self.pending += size
        return size

    def write(self, end: int, sound: SoundFormat | None, sound_lead: int) -> None:
        """Its next fragment, until ``end``, before which the first one has the header: with
        room for ``sound_lead`` ticks of sound, unless it is known already how many there are.

        Raises:
            WitnessError: the sink failed.
        """
        self.fragments += 1
        pictures, sounds, sound_end = self.pictures, self.sounds, 0
        if sounds:
            step = sounds[-1].time - sounds[-2].time if len(sounds) > 1 else _USUAL_SOUND
            sound_end = sounds[-1].time + step
        if self.fragments == 1:
            earliest = min((unit.time for unit in pictures), default=self.first)
            self.lead = min(max(0, self.first - earliest), _MAX_LEAD)
            if self.place.lead is None:
                self.place.lead = sound_lead
            self.out.write(mp4.initialization(self.video, sound, self.place.lead))
        made = mp4.fragment(self.fragments, pictures, end, sounds, sound_end, self.lead, self.first)
        self.pictures, self.sounds, self.pending = [], [], 0
        self.out.write(made)

    def beside(self, sink: SegmentSink) -> MetadataFile:
        """The file of the camera's metadata; it is begun at the first need.

        Raises:
            WitnessError: the sink failed.
        """
        if self.metadata is None:
            out = sink.open_metadata(self.start)
            try:
                self.metadata = MetadataFile(out, self.start, METADATA_ENCODING)
            except BaseException:
                out.abort()
                raise
        return self.metadata

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
