"""The tree's hashes on disk: ``log.tree``, so that a proof reads a few hashes and not the log.

A cache that the log can always make again, hence never synced and never trusted: what is read from
it is compared with a signed head. Order: a leaf's hash, then the hashes of the subtrees that it
completes (the layout of Go's sumdb/tlog, ``StoredHashIndex``).
"""

import os
from collections.abc import Sequence
from pathlib import Path

from .merkle import EMPTY_ROOT, CompactRange, node_hash

TREE = "log.tree"
_HASH = 32


def stored(size: int) -> int:
    """How many hashes a tree of ``size`` leaves has in the file."""
    return 2 * size - size.bit_count()


class TreeFile:
    """Hashes of one log, 32 bytes each."""

    def __init__(self, path: Path) -> None:
        self._fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)

    def close(self) -> None:
        """Close the file."""
        os.close(self._fd)

    def edge(self, size: int) -> CompactRange:
        """The right edge of the tree of ``size`` leaves, as far as the file knows it."""
        edge, start = [], 0
        for level in range(size.bit_length() - 1, -1, -1):
            if size >> level & 1:
                edge.append(self._node(level, start >> level))
                start += 1 << level
        return CompactRange(size, edge)

    def write(self, size: int, hashes: Sequence[bytes]) -> None:
        """Put what was completed after the tree had ``size`` leaves.

        Raises:
            OSError: the disk is full or unwritable.
        """
        os.pwrite(self._fd, b"".join(hashes), stored(size) * _HASH)

    def cut(self, size: int) -> None:
        """Forget what is behind the tree of ``size`` leaves."""
        os.ftruncate(self._fd, stored(size) * _HASH)

    def subtree(self, start: int, end: int) -> bytes:
        """Head of the tree over the leaves from ``start`` up to before ``end``.

        ``start`` must be where a tree of that size can begin, as in every proof.
        """
        if start == end:
            return EMPTY_ROOT
        root, left = b"", end
        while left > start:
            level = _lowest_bit(left - start)
            left -= 1 << level
            node = self._node(level, left >> level)
            root = node_hash(node, root) if root else node
        return root

    def _node(self, level: int, number: int) -> bytes:
        """The number-th perfect subtree of 2^level leaves; zeros if the file is too short."""
        last_leaf = (number + 1 << level) - 1
        return os.pread(self._fd, _HASH, (stored(last_leaf) + level) * _HASH).ljust(_HASH, b"\0")


def _lowest_bit(number: int) -> int:
    return (number & -number).bit_length() - 1
