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
    with mounted(place, "650k"):
        yield place


@contextmanager
def mounted(place: Path, size: str) -> Iterator[None]:
    """A file system of its own; the test is skipped where we are root and may not mount."""
    command = ["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", place]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        pytest.skip(f"no file system can be mounted here: {done.stderr.strip()}")
    try:
        yield
    finally:
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
