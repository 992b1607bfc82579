"""After a kill: what was flushed becomes a whole, listed segment again."""

import hashlib
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

from . import age, files
from .records import Segment
from .writer import OFFSET_BYTES, PART, TAIL


def flushed_plaintext(path: Path, identity: age.Identity) -> bytes:
    """What the last flush of the open segment ``path`` promised, or nothing.

    The tail is replaced whole at each flush, and chunks below its offset were written before it.
    """
    tail_path = path.with_name(path.name + TAIL)
    part_path = path.with_name(path.name + PART)
    if not tail_path.exists():
        return b""
    tail = age.decrypt(tail_path.read_bytes(), [identity])
    offset = int.from_bytes(tail[:OFFSET_BYTES])
    with part_path.open("rb") as part:
        sealed = age.decrypt_prefix(part, [identity]) if offset else b""
    return sealed[:offset] + tail[OFFSET_BYTES:]


def reseal(
    path: Path,
    segment_id: str,
    recording_id: str,
    start: datetime,
    identity: age.Identity,
    commit: Callable[[Segment], None],
) -> Segment | None:
    """Turn an open segment into a whole one; None if nothing of it was flushed.

    Raises:
        OSError: the disk is full or unwritable; nothing is lost, try again.
        AgeFormatError, KeyMissing: the files are damaged or not this recording's.
    """
    part, tail = path.with_name(path.name + PART), path.with_name(path.name + TAIL)
    if path.exists():  # Killed between the rename and the row: the file is whole.
        end = _changed(path)
        recovered = False
    else:
        end = _changed(tail if tail.exists() else part)
        plain = flushed_plaintext(path, identity)
        if not plain:
            part.unlink(missing_ok=True)
            return None
        files.replace(path, age.encrypt(plain, [identity.recipient]), sync=True)
        recovered = True
    data = path.read_bytes()
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


def _changed(path: Path) -> datetime:
    return datetime.fromtimestamp(path.stat().st_mtime, UTC)
