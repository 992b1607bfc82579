"""Lines that no head signed when the log was opened: taken in, but not taken at their word.

A restored backup has such lines, and so has a log to which somebody wrote. ``unsigned_adopted``
(``first``: the first one's index, ``count``) is the entry behind them, signed together with them.
"""

from collections.abc import Iterable, Sequence
from typing import Any

from .entry import decode_entry
from .errors import LogTampered

ADOPTED = "unsigned_adopted"
_WORD = f'"{ADOPTED}"'.encode()


def doubted(lines: Iterable[tuple[int, bytes]]) -> tuple[range, ...]:
    """The numbers of the entries that were not signed when they were found.

    ``lines`` are numbered entries in order, among them at least those that tell of it. One that was
    itself not signed tells nothing: else it could cast doubt on what was.
    """
    found: list[range] = []
    for number, line in reversed([each for each in lines if _WORD in each[1]]):
        if not in_doubt(number, found):
            found.append(range(max(0, number - _count(line)), number))
    return tuple(found)


def in_doubt(number: int, ranges: Iterable[range]) -> bool:
    """Whether the entry is in one of them."""
    return any(number in each for each in ranges)


def _count(line: bytes) -> int:
    try:
        entry = decode_entry(line)
    except LogTampered:
        return 0
    match entry:
        case {"kind": "unsigned_adopted", "count": int(count)}:
            return count
        case _:
            return 0


def told(leaves: Iterable[bytes], kinds: Sequence[str]) -> list[dict[str, Any]]:
    """A whole log's entries of these kinds that were signed when they were written."""
    words = tuple(f'"{kind}"'.encode() for kind in (*kinds, ADOPTED))
    lines = [
        (number, leaf) for number, leaf in enumerate(leaves) if any(word in leaf for word in words)
    ]
    doubt = doubted(lines)
    entries = [decode_entry(leaf) for number, leaf in lines if not in_doubt(number, doubt)]
    return [entry for entry in entries if entry["kind"] in kinds]
