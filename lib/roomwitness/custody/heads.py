"""Signed heads beside the log: ``checkpoint``, and two that may be ahead of the lines.

``custody.log.ahead`` is signed before its line is written, and becomes ``checkpoint`` afterwards,
or ``custody.log.held`` while somebody copies the folder. So a kill leaves no line unsigned, and one
of the two that the lines do not reach says nothing and is no sign of tampering. Home Assistant's
backups leave out what is named ``*.log.*``, and fail if a file goes before they have copied it.
"""

from pathlib import Path

from .errors import LogTampered
from .signing import Checkpoint, open_note

CHECKPOINT, AHEAD, HELD = "checkpoint", "custody.log.ahead", "custody.log.held"


def heads_beside(folder: Path, vkey: str) -> dict[Checkpoint, str]:
    """The heads that may be ahead, with their notes, as far as there are any that ``vkey`` signed.

    Whoever reads a log that grows reads these before ``checkpoint``: each may become that.
    """
    found = {}
    for name in (AHEAD, HELD):
        try:
            note = (folder / name).read_bytes().decode()
            found[Checkpoint.parse(open_note(note, vkey))] = note
        except OSError, UnicodeDecodeError, LogTampered:
            continue
    return found
