"""Erasure: keys destroyed and synced, then files unlinked, then looked for again.

A thousand recordings cost as many syncs as one: each key store is changed in one transaction, and
the folder of segments is synced once.
"""

import shutil
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from roomwitness import files

from .errors import VaultFull, VaultUnwritable, disk_error
from .index import Index
from .keys import KeyStore
from .receipts import sizes as sizes_of

# What is done after the deed; the words stand in receipts (docs/custody.md, "Receipts").
KEYS_ABSENT = "keys absent from both key stores"
BYTES_SEARCHED = "wrapped keys not found in the raw bytes of the key stores"
FILES_ABSENT = "segment files absent"
# A key store is searched byte by byte up to this size; more would keep others waiting.
_SEARCHED_BYTES = 32 << 20
_NEEDLE = 32
_ZEROS = 64


@dataclass(frozen=True, slots=True, kw_only=True)
class Erased:
    """What is gone of a meeting, and how that was verified."""

    recordings: tuple[str, ...]
    segments: int
    bytes: int
    verification: tuple[str, ...]


def needle(file: bytes) -> bytes:
    """The end of a wrap: what a search of the stores' files would find if it were left."""
    return file[-_NEEDLE:]


def bytes_absent(stores: Iterable[KeyStore], needles: Sequence[bytes]) -> bool:
    """Search the stores' files for what was destroyed; False if one is too large to search.

    Raises:
        VaultUnwritable: some of it is still there.
    """
    raw = [store.raw(_SEARCHED_BYTES) for store in stores]
    # What was overwritten is zeros, and no wrap holds so many: the rest is soon searched.
    raw = [data and data.replace(bytes(_ZEROS), b"") for data in raw]
    if any(wanted in data for data in raw if data is not None for wanted in needles):
        raise VaultUnwritable("a key's bytes are still there")
    return None not in raw


class Eraser:
    """Destroys keys and unlinks; the index still lists what is gone, until there are receipts."""

    def __init__(self, index: Index, ephemeral: KeyStore, held: KeyStore, segments: Path) -> None:
        self._index = index
        self._stores = (held, ephemeral)
        self._segments = segments
        # By meeting and recording: what to search for, until there is a receipt.
        self._sought: dict[str, dict[str, set[bytes]]] = {}

    def destroy(
        self, meeting_ids: Sequence[str]
    ) -> dict[str, Erased | VaultFull | VaultUnwritable]:
        """Erase meetings; for each what is gone, or what kept it. May be repeated.

        Keys go first. If they cannot, perhaps for want of room, the segments' going may make it.
        """
        sizes = {m: sizes_of(self._index, m) for m in meeting_ids}
        recordings = [r for found in sizes.values() for r in found.recordings]
        for meeting_id, found in sizes.items():
            self._seek(meeting_id, found.recordings)
        keys_failed: VaultUnwritable | None = None
        try:
            self._destroy_keys(recordings)
        except VaultUnwritable as err:
            keys_failed = err
        failed = {m: self._unlink(found.recordings) for m, found in sizes.items()}
        if keys_failed is not None:
            try:
                self._destroy_keys(recordings)
                keys_failed = None
            except VaultUnwritable as err:
                keys_failed = err
        verified = self._verify(meeting_ids)
        return {
            m: keys_failed
            or failed[m]
            or self._still_there(found.recordings)
            or (
                verified
                if isinstance(verified, VaultUnwritable)
                else Erased(
                    recordings=found.recordings,
                    segments=found.segments,
                    bytes=found.bytes,
                    verification=self._done(m, searched=verified),
                )
            )
            for m, found in sizes.items()
        }

    def _still_there(self, recording_ids: Sequence[str]) -> VaultUnwritable | None:
        for recording_id in recording_ids:
            if any(store.get(recording_id) for store in self._stores):
                return VaultUnwritable("a key is still there")
            if (self._segments / recording_id).exists():
                return VaultUnwritable("a recording's folder is still there")
        return None

    def _destroy_keys(self, recording_ids: Sequence[str]) -> None:
        for store in self._stores:
            store.destroy(recording_ids)

    def _unlink(self, recording_ids: Sequence[str]) -> VaultFull | VaultUnwritable | None:
        try:
            for recording_id in recording_ids:
                folder = self._segments / recording_id
                if folder.exists():
                    shutil.rmtree(folder)
        except OSError as err:
            return disk_error(err)
        return None

    def forget(self, meeting_ids: Iterable[str]) -> None:
        """There are receipts: nothing is searched for any more."""
        for meeting_id in meeting_ids:
            self._sought.pop(meeting_id, None)

    def _seek(self, meeting_id: str, recording_ids: Sequence[str]) -> None:
        """Note the ends of the wraps, beside those that an attempt before this one destroyed."""
        sought = self._sought.setdefault(meeting_id, {})
        for recording_id in recording_ids:
            ends = sought.setdefault(recording_id, set())
            for store in self._stores:
                wraps = store.get(recording_id)
                if wraps is not None:
                    ends.update(needle(file) for file in wraps.files.values())

    def _done(self, meeting_id: str, *, searched: bool) -> tuple[str, ...]:
        """The words for what was done.

        Where a kill came between, or a store was lost, wraps were gone before anybody had seen
        them: then nothing was there to search for, and nobody says that it was.
        """
        sought = self._sought[meeting_id].values()
        known = searched and bool(sought) and all(sought)
        return (KEYS_ABSENT, *((BYTES_SEARCHED,) if known else ()), FILES_ABSENT)

    def _verify(self, meeting_ids: Sequence[str]) -> bool | VaultUnwritable:
        """Sync the unlinking, and search the stores' files; whether that could be done."""
        try:
            files.sync_folder(self._segments)
        except OSError as err:
            return VaultUnwritable(f"errno {err.errno}")
        try:
            sought = [self._sought[meeting_id].values() for meeting_id in meeting_ids]
            return bytes_absent(
                self._stores, [end for ends in sought for one in ends for end in one]
            )
        except VaultUnwritable as err:
            return err
