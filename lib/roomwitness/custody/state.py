"""What the log was at its last signed state, so that opening it again is one pass of SHA-256.

``log.state`` is a signed note: up to ``offset`` bytes the log has this digest, this size and this
root. Lines behind it are read one by one. Its first line says that it is no checkpoint.
"""

import base64
import binascii
from dataclasses import dataclass
from typing import Self

from .errors import LogTampered

STATE = "log.state"
_FORM = "roomwitness-log-state/v1"


@dataclass(frozen=True, slots=True)
class State:
    """Size in entries, length in bytes, SHA-256 of those bytes, Merkle root."""

    origin: str
    size: int
    offset: int
    sha256: str
    root: bytes

    def text(self) -> str:
        """The note's text."""
        root = base64.b64encode(self.root).decode()
        return f"{_FORM}\n{self.origin}\n{self.size}\n{self.offset}\n{self.sha256}\n{root}\n"

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read a note's text.

        Raises:
            LogTampered: it is not such a state.
        """
        try:
            form, origin, size, offset, digest, root, _ = text.split("\n")
            if form != _FORM:
                raise LogTampered("not a log's state")
            return cls(origin, int(size), int(offset), digest, base64.b64decode(root))
        except ValueError, binascii.Error:
            raise LogTampered("not a log's state") from None
