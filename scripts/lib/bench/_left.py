"""Wraps of keys that should be gone, searched for in every byte of a folder.

A recording's key exists on disk only wrapped: what would be left of it is bytes of its wraps.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path

from roomwitness.vault.store import Vault

_PIECE = 32


def pieces(vault: Vault, recording_id: str) -> list[bytes]:
    """Of each wrap of the recording, in both stores, two pieces that nothing else has: the end of
    the wrapped key, and that of what it encrypts."""
    found = (store.get(recording_id) for store in (vault._ephemeral, vault._held))
    files = [file for wraps in found if wraps for file in wraps.files.values()]
    ends = [(file, file.index(b"\n--- ")) for file in files]
    return [piece for file, at in ends for piece in (file[at - _PIECE : at], file[-_PIECE:])]


def still_there(root: Path, wanted: Mapping[str, Sequence[bytes]]) -> set[str]:
    """Of which of them some piece is in a file below the folder."""
    if not wanted:
        return set()
    files = [path.read_bytes() for path in root.rglob("*") if path.is_file()]
    return {
        name
        for name, found in wanted.items()
        if any(piece in data for piece in found for data in files)
    }
