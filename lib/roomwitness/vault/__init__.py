"""The vault: encrypted segments, their keys, the index, and erasure. It knows no cameras."""

from .erasure import Erased
from .intake import Intake
from .live import LiveIntake
from .records import ClockEvent, Gap, Receipt, Recording, Recovered, Segment, SegmentSummary
from .store import Vault
from .walltime import wall_time
from .writer import SegmentWriter

__all__ = [
    "ClockEvent",
    "Erased",
    "Gap",
    "Intake",
    "LiveIntake",
    "Receipt",
    "Recording",
    "Recovered",
    "Segment",
    "SegmentSummary",
    "SegmentWriter",
    "Vault",
    "wall_time",
]
