"""What witnesses said of the checkpoints that are kept beside a log."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from .checkpoints import kept_notes
from .cosignature import cosignatures
from .errors import LogTampered
from .signing import parse_vkey


@dataclass(frozen=True, slots=True)
class Witnessed:
    """The newest head that a witness cosigned: of so many entries, at its own time."""

    name: str
    size: int
    time: datetime


def witnessed(folder: Path, vkeys: Sequence[str]) -> list[Witnessed]:
    """The newest cosigned head of each witness; ``verify_log`` holds the heads against the log.

    Raises:
        LogTampered: one of them cosigned none, or a cosignature does not hold.
    """
    found: dict[str, Witnessed] = {}
    for kept, note in kept_notes(folder) if vkeys else ():
        for vkey in vkeys:
            for cosigned in cosignatures(note, [vkey]):
                found[vkey] = Witnessed(cosigned.name, kept.size, cosigned.time)
    missing = [parse_vkey(vkey)[0] for vkey in vkeys if vkey not in found]
    if missing:
        raise LogTampered(f"no kept checkpoint is cosigned by {', '.join(missing)}")
    return list(found.values())
