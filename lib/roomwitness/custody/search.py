"""Lines of a long log that have some bytes in them, found without reading each as an entry."""

from collections.abc import Iterator
from pathlib import Path

_PIECE = 1 << 20


def lines_with(log: Path, wanted: bytes, length: int) -> Iterator[bytes]:
    """Lines, without their newlines, among the log's first ``length`` bytes; in order.

    Raises:
        OSError: it cannot be read.
    """
    with log.open("rb") as file:
        while file.tell() < length:
            piece = file.read(min(_PIECE, length - file.tell()))
            if not piece.endswith(b"\n"):
                piece += file.readline()
            if not piece:
                return  # It is shorter than it was said to be.
            if wanted in piece:
                yield from (line for line in piece.split(b"\n") if wanted in line)
