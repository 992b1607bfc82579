"""One open segment.

``NAME.part`` grows by whole 64 KiB chunks. What waits for its chunk is kept, sealed, in
``NAME.tail`` (tail.py) at each flush: so a kill costs at most what came after the last flush, and
nothing is ever on disk in the clear. Creation order (Moonfire NVR, schema.md):
part file, sync, rename, sync folder, then the row.
"""

import hashlib
import os
from collections.abc import Callable
from datetime import datetime
from pathlib import Path

from roomwitness import files

from . import age
from .errors import disk_error
from .records import Gap, Segment, SegmentSummary
from .tail import Tail

PART, TAIL = ".part", ".tail"


class SegmentWriter:
    """Encrypts one segment to disk; used by one thread."""

    def __init__(
        self,
        path: Path,
        segment_id: str,
        recording_id: str,
        recipient: age.KnownRecipient,
        start: datetime,
        commit: Callable[[Segment, tuple[Gap, ...]], None],
        require_room: Callable[[], None],
    ) -> None:
        require_room()
        self._path = path
        self._part = path.with_name(path.name + PART)
        self._tail_path = path.with_name(path.name + TAIL)
        self._tail = Tail(self._tail_path, recipient)
        self._id = segment_id
        self._recording_id = recording_id
        self._start = start
        self._commit = commit
        self._require_room = require_room
        self._sha = hashlib.sha256()
        self._size = 0
        self._flushed = 0
        try:
            path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            self._fd = files.create(self._part)
            files.sync_folder(path.parent)
            self._encryptor = age.Encryptor([recipient], self._put)
        except OSError as err:
            raise disk_error(err) from None

    @property
    def folder(self) -> Path:
        """Where its files are."""
        return self._path.parent

    @property
    def open_files(self) -> tuple[Path, ...]:
        """What a power cut must leave of it as it was at the last flush: in this order."""
        return self._part, self._tail_path

    def _put(self, data: memoryview | bytes) -> None:
        files.write_all(self._fd, data)
        self._sha.update(data)
        self._size += len(data)

    def write(self, data: bytes | bytearray | memoryview) -> None:
        """Take plaintext.

        Raises:
            VaultFull, VaultUnwritable: abort the segment; what was flushed is safe.
        """
        try:
            self._encryptor.write(data)
        except OSError as err:
            raise disk_error(err) from None

    def flush(self, start: datetime | None = None) -> None:
        """Make all that was written survive a kill of this process; the segment began at ``start``,
        as is known by now, None if nothing new is.

        Raises:
            VaultFull, VaultUnwritable: the flush before this one still stands.
        """
        sealed, pending = self._encryptor.sealed, self._encryptor.pending
        if sealed + len(pending) == self._flushed:
            return
        self._require_room()
        self._start = start or self._start
        try:
            self._tail.keep(sealed, pending, self._start)
        except OSError as err:
            raise disk_error(err) from None
        self._flushed = sealed + len(pending)

    def close(self, summary: SegmentSummary) -> Segment:
        """Seal the last chunk, sync, name, and list the segment.

        Raises:
            VaultFull, VaultUnwritable: what was flushed is safe and is recovered later.
        """
        try:
            self.flush(summary.start)
            self._encryptor.finish()
            os.fsync(self._fd)
            files.forget(self._fd)
            self._let_go()
            self._part.rename(self._path)
            files.sync_folder(self._path.parent)
            segment = Segment(
                id=self._id,
                recording_id=self._recording_id,
                path=self._path,
                start=summary.start,
                end=summary.end,
                media_seconds=summary.media_seconds,
                bytes=self._size,
                sha256=self._sha.hexdigest(),
                frames=summary.frames,
                lost_packets=summary.lost_packets,
                clock_offset_s=summary.clock_offset_s,
                clock_offset_start_s=summary.clock_offset_start_s,
                drift_ppm=summary.drift_ppm,
                clock_uncertainty_s=summary.clock_uncertainty_s,
                clock_source=summary.clock_source,
            )
            self._commit(segment, summary.gaps)
            self._tail_path.unlink(missing_ok=True)
        except OSError as err:
            raise disk_error(err) from None
        return segment

    def abort(self) -> None:
        """Let go of the file; what was flushed stays for recovery, an empty one goes."""
        try:
            self._let_go()
            if not self._flushed:
                self._tail_path.unlink(missing_ok=True)
                self._part.unlink(missing_ok=True)
        except OSError as err:
            raise disk_error(err) from None

    def _let_go(self) -> None:
        self._tail.close()
        self._encryptor.close()
        fd, self._fd = self._fd, -1
        if fd >= 0:
            os.close(fd)
