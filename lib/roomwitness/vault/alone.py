"""One recorder at a time: who records into a vault, or mends what one left, is alone in it."""

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from roomwitness import files

from .errors import VaultInUse, disk_error

_LOOK_EVERY_S = 0.02


class Alone:
    """An advisory lock on a file in the vault (flock(2)): it goes with its process, however that
    ends."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._fd = -1

    def take(self, wait_s: float) -> None:
        """Be alone; a second call does nothing.

        Raises:
            VaultInUse: somebody else still is, after ``wait_s`` seconds.
            VaultUnwritable, VaultFull: the file cannot be made.
        """
        if self._fd >= 0:
            return
        until = time.monotonic() + wait_s
        try:
            fd = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as err:
            raise disk_error(err) from None
        while not files.lock(fd):
            if time.monotonic() >= until:
                os.close(fd)
                raise VaultInUse
            time.sleep(_LOOK_EVERY_S)
        self._fd = fd

    def release(self) -> None:
        """Others may; a second call does nothing."""
        fd, self._fd = self._fd, -1
        if fd >= 0:
            os.close(fd)

    @contextmanager
    def held(self, wait_s: float) -> Iterator[None]:
        """Be alone for a while.

        Raises:
            VaultInUse, VaultUnwritable, VaultFull: as ``take``.
        """
        self.take(wait_s)
        try:
            yield
        finally:
            self.release()
