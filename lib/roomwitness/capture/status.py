"""How a camera's recording goes, for the face to show."""

from dataclasses import dataclass
from datetime import datetime
from typing import Literal


@dataclass(frozen=True, slots=True, kw_only=True)
class CaptureStatus:
    """A snapshot; ``frames`` and ``bytes`` (of media) count since the recorder started.

    ``watching`` is pre-roll: the stream is in memory and nowhere else.

    ``sound_refused`` is the codec of a wanted sound that we cannot record: the picture goes on.
    ``sound_missing`` is the key of another problem with it: the camera offers none
    (``sound_missing``), refuses it (``sound_withheld``), or sends none of it (``sound_silent``).
    """

    state: Literal["connecting", "recording", "watching", "failed"]
    error_key: str | None = None
    sound_refused: str | None = None
    sound_missing: Literal["sound_missing", "sound_withheld", "sound_silent"] | None = None
    frames: int = 0
    bytes: int = 0
    last_frame: datetime | None = None
