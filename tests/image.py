"""A disk that is an image, and copies of it: each has what a power cut would leave at that moment.

What the system keeps of files in memory is not in the image: that is what a power cut takes.
"""

import os
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_PIECE = 1 << 20


def make(image: Path, size: int) -> None:
    """An empty disk of ``size`` bytes, with ext4: Home Assistant's own systems have that.

    Raises:
        OSError: it cannot be made here.
    """
    image.touch()
    os.truncate(image, size)
    try:
        subprocess.run(["mkfs.ext4", "-q", "-F", image], check=True)
    except (OSError, subprocess.CalledProcessError) as err:
        image.unlink()
        raise OSError(str(err)) from None


@contextmanager
def mounted(image: Path, place: Path) -> Iterator[None]:
    """Mount it; only root may, and not everywhere.

    Raises:
        OSError: it is not allowed here.
    """
    place.mkdir(exist_ok=True)
    command = ["mount", "-t", "ext4", "-o", "loop", image, place]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise OSError(done.stderr.strip())
    try:
        yield
    finally:
        subprocess.run(["umount", "--lazy", place], check=True)


def cut(image: Path, copy: Path, within_s: float = 30.0) -> float:
    """Copy the image as it is at one moment; gives that, in seconds since 1970.

    Nothing was written between the copying and the comparing, or both are tried again.

    Raises:
        TimeoutError: it never holds still.
    """
    until = time.monotonic() + within_s
    while time.monotonic() < until:
        subprocess.run(["cp", "--sparse=always", image, copy], check=True)
        at = time.time()
        if _same(image, copy):
            return at
    raise TimeoutError("something is written to the disk all the time")


def _same(image: Path, copy: Path) -> bool:
    """Whether the copy has all that is in the image; holes of the image are holes of the copy."""
    with image.open("rb") as one, copy.open("rb") as other:
        end, stop = os.fstat(one.fileno()).st_size, 0
        while stop < end:
            try:
                at = os.lseek(one.fileno(), stop, os.SEEK_DATA)
            except OSError:  # Nothing but a hole follows.
                return True
            stop = os.lseek(one.fileno(), at, os.SEEK_HOLE)
            while at < stop:
                size = min(_PIECE, stop - at)
                if os.pread(one.fileno(), size, at) != os.pread(other.fileno(), size, at):
                    return False
                at += size
    return True
