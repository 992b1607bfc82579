"""After a kill: what was flushed becomes a whole, listed segment again."""

import hashlib
import logging
from collections.abc import Callable, Set
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path

from roomwitness import files

from . import age, leftovers
from .errors import (
    AgeFormatError,
    KeyMissing,
    RecordingSealed,
    StoreError,
    VaultFull,
    VaultUnwritable,
    disk_error,
)
from .index import Index
from .keys import KeyStore
from .leftovers import Account
from .listed import held_recordings
from .records import Recording, Recovered, Segment, file_name, segment_of, start_of
from .tail import kept
from .writer import PART, TAIL

_LOGGER = logging.getLogger(__name__)


class Recovery:
    """Walks what is on disk; ``identity`` opens a recording's key or raises ``KeyMissing``, and
    ``length`` tells how many seconds of pictures a segment's text has, None if it has none."""

    def __init__(
        self,
        index: Index,
        ephemeral: KeyStore,
        held: KeyStore,
        segments: Path,
        identity: Callable[[str], age.KnownIdentity],
        hold: Callable[[str], None],
        length: Callable[[bytes], float | None],
    ) -> None:
        self._index = index
        self._ephemeral = ephemeral
        self._held = held
        self._hold = hold
        self._length = length
        self._segments = segments
        self._identity = identity
        self._closed: set[str] = set()
        # Recordings that are there and not in the index, and were left alone.
        self.unlisted: frozenset[str] = frozenset()

    def closed(self) -> int:
        """How many recordings have an open segment that only a custodian can make whole."""
        self._closed = {name for name in self._closed if self._index.recording(name) is not None}
        return len(self._closed)

    def everything(self, account: Account) -> list[Recovered]:
        """Make whole what a kill left open, and take away what the log says was erased."""
        recovered = []
        for recording in self._index.recordings():
            try:
                recovered += self.recording(recording)
            except Exception as err:  # It is none of the others' trouble.
                _LOGGER.warning("A recording could not be made whole: %s", type(err).__name__)
        known = {recording.id for recording in self._index.recordings()}
        self._settle_unlisted(known, account)
        self.settle_holds(known)
        return recovered

    def _settle_unlisted(self, known: set[str], account: Account) -> None:
        try:
            _, left = leftovers.settle(known, self._ephemeral, self._held, self._segments, account)
        except OSError as err:
            raise disk_error(err) from None
        self.unlisted = frozenset(one.recording for one, _ in left)
        for one, fate in left:
            if fate is not None and fate.held and one.ephemeral and not one.held:
                self._hold(one.recording)  # Evidence, though no row says so: into the backups.

    def settle_holds(self, known: Set[str]) -> None:
        """A hold, or a release, that was broken off between index and key store: as the index says.

        The index is in step with the custody log by now (``Ledger.open``). Only of recordings whose
        keys are in the ephemeral store too, so that nothing is lost here.
        """
        held = held_recordings(self._index.rows)
        there, both = self._held.ids(), known & self._ephemeral.ids()
        if over := (there & both) - held:
            self._held.destroy(over)
        for recording_id in (held & both) - there:
            self._hold(recording_id)

    def recording(self, recording: Recording) -> list[Recovered]:
        """Make the open segments of one recording whole, as far as that can be done now."""
        found: list[Recovered] = []
        self._closed.discard(recording.id)
        with suppress(OSError):  # What cannot be mended now stays as it is; check() names it.
            self._make_whole(recording, found)
        return found

    def _make_whole(self, recording: Recording, found: list[Recovered]) -> None:
        folder = self._segments / recording.id
        if not folder.is_dir():
            return
        for unfinished in folder.glob(f"*{files.NEW}"):
            if segment_of(unfinished.name.removesuffix(files.NEW)):
                unfinished.unlink()
        listed = {segment.id for segment in self._index.segments(recording.id)}
        names = {
            found_id
            for path in folder.iterdir()
            if (found_id := segment_of(path.name.removesuffix(PART).removesuffix(TAIL)))
        }
        for identifier in sorted(names):
            path = folder / file_name(identifier)
            if identifier in listed:
                for suffix in (TAIL, PART):
                    path.with_name(path.name + suffix).unlink(missing_ok=True)
                continue
            try:
                segment = reseal(
                    path,
                    identifier,
                    recording.id,
                    start_of(identifier),
                    self._identity(recording.id),
                    self._index.add_segment,
                    self._length,
                )
            except RecordingSealed:
                self._closed.add(recording.id)
                continue
            except OSError, AgeFormatError, KeyMissing, StoreError, VaultFull, VaultUnwritable:
                continue  # It stays as it is; check() names it.
            if segment is not None:
                found.append(
                    Recovered(recording_id=recording.id, segment_id=segment.id, bytes=segment.bytes)
                )


def flushed_plaintext(path: Path, identity: age.KnownIdentity) -> tuple[bytes, datetime | None]:
    """What the last flush of the open segment ``path`` promised, and when that said it began.

    Chunks below the tail's offset were written before it; only a loss of power can undo that, or
    damage the tail: then as much as there is, in order.

    Raises:
        AgeFormatError: what is there is damaged, or what came before it is missing.
    """
    part, tail = path.with_name(path.name + PART), path.with_name(path.name + TAIL)
    try:
        slots = kept(tail, identity) if tail.exists() else []
    except AgeFormatError:
        if sealed := _sealed(part, identity):
            return sealed, None
        raise
    if slots and slots[0].offset == 0:
        return slots[0].pending, slots[0].start
    sealed = _sealed(part, identity)
    if not slots:
        return sealed, None
    newest, *older = slots
    if newest.offset <= len(sealed):
        return sealed[: newest.offset] + newest.pending, newest.start
    found = [sealed[: s.offset] + s.pending for s in older if s.offset <= len(sealed)]
    if whole := max([sealed, *found], key=len):
        return whole, newest.start
    raise AgeFormatError("a tail without the chunks before it")


def _sealed(part: Path, identity: age.KnownIdentity) -> bytes:
    """What its whole chunks have."""
    if part.stat().st_size < age.CHUNK:
        return b""
    with part.open("rb") as file:
        return age.decrypt_prefix(file, [identity])


def reseal(
    path: Path,
    segment_id: str,
    recording_id: str,
    start: datetime,
    identity: age.KnownIdentity,
    commit: Callable[[Segment], None],
    length: Callable[[bytes], float | None],
) -> Segment | None:
    """Turn an open segment into a whole one; None if nothing of it was flushed.

    It began at ``start``, unless its last flush knew better, and is as long as ``length`` finds in
    its text; where that is None, it ended with its last flush: an attempt that was broken off
    before its row, hours later, changes nothing of that.

    Raises:
        OSError: the disk is full or unwritable; nothing is lost, try again.
        AgeFormatError, KeyMissing: the files are damaged or not this recording's.
    """
    part, tail = path.with_name(path.name + PART), path.with_name(path.name + TAIL)
    end = _changed(next((file for file in (tail, part) if file.exists()), path))
    recovered = part.exists()
    if path.exists():  # A kill came between the file, which is whole, and its row.
        began, plain = _began(tail, identity), None
    else:
        plain, began = flushed_plaintext(path, identity)
        if not plain:
            tail.unlink(missing_ok=True)
            part.unlink(missing_ok=True)
            return None
        files.replace(path, age.encrypt(plain, [identity.recipient]), sync=True)
    data, start = path.read_bytes(), began or start
    seconds = length(_text(data, identity) if plain is None else plain)
    if seconds is not None:
        end = start + timedelta(seconds=seconds)
    segment = Segment(
        id=segment_id,
        recording_id=recording_id,
        path=path,
        start=start,
        end=max(end, start),
        media_seconds=max(0.0, (end - start).total_seconds()),
        bytes=len(data),
        sha256=hashlib.sha256(data).hexdigest(),
        frames=0,
        lost_packets=0,
        recovered=recovered,
    )
    commit(segment)
    part.unlink(missing_ok=True)
    tail.unlink(missing_ok=True)
    return segment


def _text(data: bytes, identity: age.KnownIdentity) -> bytes:
    """What a sealed segment has; nothing if it is damaged, as reading it tells everybody."""
    try:
        return age.decrypt(data, [identity])
    except AgeFormatError:
        return b""


def _began(tail: Path, identity: age.KnownIdentity) -> datetime | None:
    """When the segment began, as its last flush said; nothing else of its tail is needed."""
    with suppress(OSError, AgeFormatError):
        return next((slot.start for slot in kept(tail, identity)), None)
    return None


def _changed(path: Path) -> datetime:
    return datetime.fromtimestamp(path.stat().st_mtime, UTC)
