"""One simulated camera that every recorder of a bench connects to, in a process of its own."""

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from tests.peers import free_port


@contextmanager
def simulated_camera() -> Iterator[str]:
    """A small, cheap picture; gives the stream's address."""
    port = free_port()
    command = (
        *(sys.executable, "-m", "tests.camera", "--rtsp-port", str(port)),
        *("--width", "160", "--height", "96", "--fps", "10", "--gop", "10"),
    )
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            if not process.stdout.readline().startswith("ready"):
                raise SystemExit("the simulated camera did not start")
            yield f"rtsp://127.0.0.1:{port}/stream"
        finally:
            process.kill()
