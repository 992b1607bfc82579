"""The vault: encrypted segments, their keys, the index, and erasure. It knows no cameras.

Here is what recordings are written with; who keeps and erases them imports ``store`` besides. The
recording process does not, and is the smaller for it.
"""

from .intake import Intake
from .live import LiveIntake
from .records import ClockEvent, Gap, Receipt, Recording, Recovered, Segment, SegmentSummary
from .walltime import wall_time
from .writer import SegmentWriter

__all__ = [
    "ClockEvent",
    "Gap",
    "Intake",
    "LiveIntake",
    "Receipt",
    "Recording",
    "Recovered",
    "Segment",
    "SegmentSummary",
    "SegmentWriter",
    "wall_time",
]
