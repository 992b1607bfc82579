"""The vault: encrypted segments, their keys, the index, and erasure. It knows no cameras."""

from .erasure import Erased
from .records import Gap, Receipt, Recording, Recovered, Segment, SegmentSummary
from .store import Vault
from .writer import SegmentWriter

__all__ = [
    "Erased",
    "Gap",
    "Receipt",
    "Recording",
    "Recovered",
    "Segment",
    "SegmentSummary",
    "SegmentWriter",
    "Vault",
]
