"""The part of the vault that recordings are written to: index and segments, and no key.

A recording's media is encrypted to the recording's own recipient, which the index has.
"""

import os
import secrets
from collections.abc import Iterable
from datetime import datetime
from pathlib import Path

from . import age
from .alone import Alone
from .errors import KeyMissing, VaultFull, disk_error
from .index import Index
from .records import ClockEvent, Gap, Segment, file_name, segment_id, segment_of
from .writer import PART, TAIL, SegmentWriter

# Recording stops while this much is left: erasing, holding and the custody log need some room.
MIN_FREE_BYTES = 64 << 20


class Intake:
    """Takes what is recorded; any number of processes may have one open at the same time.

    ``alone`` is for who records, and for who makes whole what a kill left.
    """

    def __init__(self, root: Path, min_free_bytes: int = MIN_FREE_BYTES) -> None:
        self._root = root
        self._min_free = min_free_bytes
        self._segments = root / "segments"
        self._index = Index(root / "index.db", self._path)
        self.alone = Alone(root / "recording.lock")

    def _path(self, recording_id: str, segment_id: str) -> Path:
        return self._segments / recording_id / file_name(segment_id)

    def open(self) -> None:
        """Open the index.

        Raises:
            VaultUnwritable, VaultFull, StoreError.
        """
        self._index.open()

    def close(self) -> None:
        """Close the index."""
        self._index.close()

    def sync(self) -> None:
        """Make what is in the index safe against a power cut; blocks.

        Raises:
            VaultFull, VaultUnwritable.
        """
        try:
            log = os.open(self._root / "index.db-wal", os.O_RDWR)
            try:
                os.fdatasync(log)
            finally:
                os.close(log)
        except FileNotFoundError:
            return  # Folded into the index, and synced by that.
        except OSError as err:
            raise disk_error(err) from None

    def segment_writer(
        self, recording_id: str, start: datetime, *, metadata: bool = False
    ) -> SegmentWriter:
        """Open a new segment, or a file of the camera's metadata beside one.

        Raises:
            KeyMissing: no such recording.
            VaultFull, VaultUnwritable.
        """
        recording = self._index.recording(recording_id)
        if recording is None:
            raise KeyMissing("no such recording")
        identifier = segment_id(start, secrets.token_hex(4), metadata=metadata)
        return SegmentWriter(
            self._path(recording_id, identifier),
            identifier,
            recording_id,
            age.parse_recipient(recording.recipient),
            start,
            self.add_segment,
            self._require_room,
        )

    def _require_room(self) -> None:
        if self.free_bytes() < self._min_free:
            raise VaultFull("the disk's last room is kept for erasure and the custody log")

    def free_bytes(self) -> int:
        """Free space on the vault's disk, in bytes.

        Raises:
            VaultUnwritable: the disk is gone.
        """
        try:
            disk = os.statvfs(self._root)
        except OSError as err:
            raise disk_error(err) from None
        return disk.f_bavail * disk.f_frsize

    def left_open(self, recording_id: str) -> set[str]:
        """Ids of segments that have a file, open or sealed, and no row.

        Raises:
            VaultUnwritable: the folder cannot be read.
        """
        folder = self._segments / recording_id
        try:
            names = [path.name for path in folder.iterdir()] if folder.is_dir() else []
        except OSError as err:
            raise disk_error(err) from None
        found = {segment_of(name.removesuffix(PART).removesuffix(TAIL)) for name in names}
        listed = {segment.id for segment in self._index.segments(recording_id)}
        return {identifier for identifier in found if identifier is not None} - listed

    def add_segment(self, segment: Segment, gaps: Iterable[Gap] = ()) -> None:
        """List a segment that is on the disk, and put gaps where they are known to be by now."""
        self._index.add_segment(segment, gaps)

    def add_gap(self, gap: Gap) -> None:
        """Keep a gap, or put the one of its id where it is known to be by now."""
        self._index.add_gap(gap)

    def add_clock_event(self, event: ClockEvent) -> None:
        """Keep what a clock did."""
        self._index.add_clock_event(event)
