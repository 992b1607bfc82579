"""Erasure: keys destroyed and synced, then files unlinked, then looked for again.

A thousand recordings cost as many syncs as one: each key store is changed in one transaction, and
the folder of segments is synced once.
"""

import shutil
from collections.abc import Iterable, Mapping, Sequence, Set
from dataclasses import dataclass
from pathlib import Path

from roomwitness import files

from .errors import VaultFull, VaultUnwritable, disk_error
from .index import Index
from .keys import KeyStore
from .receipts import Sizes
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

    A store in which a copy was left is written anew.

    Raises:
        VaultUnwritable: some of it is still there.
    """
    searched = True
    for store in stores:
        left = _left_in(store, needles)
        if left:
            store.rewrite()
            left = _left_in(store, needles)
        if left:
            raise VaultUnwritable("a key's bytes are still there")
        searched &= left is not None
    return searched


def _left_in(store: KeyStore, needles: Sequence[bytes]) -> bool | None:
    """Whether any of it is in the store's files; None if they are too large to search."""
    raw = store.raw(_SEARCHED_BYTES)
    if raw is None:
        return None
    # What was overwritten is zeros, and no wrap holds so many: the rest is soon searched.
    raw = raw.replace(bytes(_ZEROS), b"")
    return any(wanted in raw for wanted in needles)


class Eraser:
    """Destroys keys and unlinks; the index still lists what is gone, until there are receipts."""

    def __init__(self, index: Index, ephemeral: KeyStore, held: KeyStore, segments: Path) -> None:
        self._index = index
        self._stores = (held, ephemeral)
        self._segments = segments
        # By meeting and recording: what to search for, until there is a receipt.
        self._sought: dict[str, dict[str, set[bytes]]] = {}
        # By meeting: whose wraps a store perhaps had, and nobody could see what to search for.
        self._unseen: dict[str, set[tuple[str, KeyStore]]] = {}

    def destroy(
        self, meeting_ids: Sequence[str]
    ) -> dict[str, Erased | VaultFull | VaultUnwritable]:
        """Erase meetings; for each what is gone, or what kept it. May be repeated.

        Keys go first. If they cannot, perhaps for want of room, the segments' going may make it. A
        store that is in trouble keeps neither the other's keys nor files, and no receipt of a
        meeting of which it is known to list nothing.
        """
        sizes = {m: sizes_of(self._index, m) for m in meeting_ids}
        there = self._seek(sizes)
        kept = self._destroy_keys(there)
        failed = {m: self._unlink(found.recordings) for m, found in sizes.items()}
        kept = self._destroy_keys({store: there[store] for store in kept})
        wrong = {
            m: next((e for s, e in kept.items() if there[s] & set(found.recordings)), None)
            or failed[m]
            or self._still_there(found.recordings)
            for m, found in sizes.items()
        }
        verified = self._verify([m for m in meeting_ids if wrong[m] is None])
        return {
            m: wrong[m]
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
            try:
                if any(store.get(recording_id) for store in self._stores):
                    return VaultUnwritable("a key is still there")
            except VaultUnwritable as err:  # Nobody can say that it is gone.
                return err
            if (self._segments / recording_id).exists():
                return VaultUnwritable("a recording's folder is still there")
        return None

    @staticmethod
    def _destroy_keys(there: Mapping[KeyStore, Set[str]]) -> dict[KeyStore, VaultUnwritable]:
        """Each store's, whatever becomes of the other; gives what kept one from it."""
        kept = {}
        for store, recording_ids in there.items():
            try:
                if recording_ids:
                    store.destroy(recording_ids)
            except VaultUnwritable as err:
                kept[store] = err
        return kept

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
            self._unseen.pop(meeting_id, None)

    def _seek(self, sizes: Mapping[str, Sizes]) -> dict[KeyStore, set[str]]:
        """Note the ends of the wraps, beside those that an attempt before this one destroyed.

        Gives by store the recordings of which it has wraps, or does not tell.
        """
        there: dict[KeyStore, set[str]] = {store: set() for store in self._stores}
        for meeting_id, found in sizes.items():
            sought = self._sought.setdefault(meeting_id, {})
            unseen = self._unseen.setdefault(meeting_id, set())
            for recording_id in found.recordings:
                ends = sought.setdefault(recording_id, set())
                for store in self._stores:
                    try:
                        wraps = store.get(recording_id)
                    except VaultUnwritable:
                        there[store].add(recording_id)
                        unseen.add((recording_id, store))
                        continue
                    if wraps is not None:
                        there[store].add(recording_id)
                        unseen.discard((recording_id, store))
                        ends.update(needle(file) for file in wraps.files.values())
        return there

    def _done(self, meeting_id: str, *, searched: bool) -> tuple[str, ...]:
        """The words for what was done.

        Where a kill came between, or a store was lost or did not tell, wraps may have gone before
        anybody had seen them: then nothing was there to search for, and nobody says that it was.
        """
        sought = self._sought[meeting_id].values()
        known = searched and bool(sought) and all(sought) and not self._unseen[meeting_id]
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
        except OSError as err:
            return VaultUnwritable(f"errno {err.errno}")
