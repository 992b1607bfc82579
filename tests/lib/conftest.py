"""What several rooms of the library's tests need."""

import errno
import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from hypothesis import settings

# How long an example takes is the machine's business: a deadline only makes a busy one flaky.
settings.register_profile("ours", deadline=None)
settings.load_profile("ours")


@pytest.fixture(params=["quota", *(["small disk"] if os.geteuid() == 0 else [])])
def small_disk(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Path]:
    """A place for at most 650 kB: a disk of its own where we may mount one, and a stand-in.

    An empty index takes half of it.
    """
    place = tmp_path / "disk"
    place.mkdir()
    if request.param == "quota":
        with _quota(place, 650_000):
            yield place
        return
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=650k", "tmpfs", place], check=True)
    yield place
    subprocess.run(["umount", "--lazy", place], check=True)


@contextmanager
def _quota(place: Path, room: int) -> Iterator[None]:
    """Fail writes as a full disk does once ``place`` holds that much."""
    real = os.write

    def write(fd: int, data: bytes) -> int:
        used = sum(p.stat().st_size for p in place.rglob("*") if p.is_file())
        if used + len(data) > room:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return real(fd, data)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "write", write)
        yield
