"""Files that survive a kill: exclusive creation, whole writes, synced folders."""

import fcntl
import hashlib
import os
from contextlib import suppress
from pathlib import Path

NEW = ".new"  # What replace() had not yet put in place.


def create(path: Path) -> int:
    """Create for writing, owner only; fails if it exists."""
    return os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)


def write_all(fd: int, data: memoryview | bytes) -> None:
    """Write every byte, however short the system's writes are."""
    view = memoryview(data)
    while view:
        view = view[os.write(fd, view) :]


def write_all_at(fd: int, data: memoryview | bytes, offset: int) -> None:
    """Write every byte at ``offset``, in one call of the system unless it is short."""
    view = memoryview(data)
    while view:
        written = os.pwrite(fd, view, offset)
        view, offset = view[written:], offset + written


def sync(path: Path) -> None:
    """Make what is written of a file survive a power cut, and how long it is; blocks.

    Opened anew: an error that is told here is told once more to whoever writes it.

    Raises:
        OSError: the disk failed, or the file is gone.
    """
    fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


def forget(fd: int) -> None:
    """Have the system keep nothing in memory of an open file that is on the disk: nobody reads it
    soon, and others' files have more use for the room."""
    with suppress(AttributeError, OSError):  # It is advice; macOS takes none.
        os.posix_fadvise(fd, 0, 0, os.POSIX_FADV_DONTNEED)


def sync_folder(path: Path) -> None:
    """Make creations, renames and unlinks in a folder durable."""
    fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


def replace(path: Path, data: bytes, *, sync: bool) -> None:
    """Replace a file's content; a kill leaves the old or the new, whole."""
    temporary = path.with_name(path.name + NEW)
    temporary.unlink(missing_ok=True)
    fd = create(temporary)
    try:
        write_all(fd, data)
        if sync:
            os.fsync(fd)
    finally:
        os.close(fd)
    temporary.replace(path)
    if sync:
        sync_folder(path.parent)


def lock(fd: int) -> bool:
    """Lock an open file (flock(2)) until it is closed, however that ends; False: another has it."""
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:  # A disk in the network that knows no locks.
        return True
    return True


def sha256(path: Path) -> str | None:
    """Digest of a file's bytes in hexadecimal, or None if it cannot be read."""
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError:
        return None
