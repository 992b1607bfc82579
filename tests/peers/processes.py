"""Starts peers as processes of their own, with their own Python where they need one."""

import contextlib
import os
import secrets
import shutil
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path

HERE = Path(__file__).parent
TOOLS = HERE.parents[1] / ".tools"
IPYCAM = ("ipycam==1.3.0", "opencv-python==5.0.0.93", "numpy==2.4.6")


def free_port() -> int:
    """A TCP port that nobody uses, and that the system gives nobody who asks for any port.

    So it stays free while tests run side by side: what they start elsewhere asks for any.
    """
    while True:
        port = secrets.choice(range(20_000, 32_000))
        with socket.socket() as sock, contextlib.suppress(OSError):
            sock.bind(("127.0.0.1", port))
            return port


@contextlib.contextmanager
def _running(*command: str | Path) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """Run until the block ends; the program must print ``ready`` first.

    Yields the process, and what else was in that line.
    """
    clean = {k: v for k, v in os.environ.items() if k not in ("PYTHONPATH", "LD_LIBRARY_PATH")}
    process = subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, env=clean
    )
    try:
        assert process.stdout is not None
        line = process.stdout.readline()
        while line and not line.startswith("ready"):
            line = process.stdout.readline()
        assert line, f"{command[1]} did not start"
        yield process, line.removeprefix("ready").strip()
    finally:
        process.kill()
        process.wait()


@contextlib.contextmanager
def gstreamer(
    *,
    user: str | None = None,
    password: str = "",
    auth: str = "digest",
    size: str = "640x360",
    fps: int = 10,
    gop: int = 10,
    bitrate_kbit: int = 500,
    port: int = 0,
    loop: Path | None = None,
    udp_only: bool = False,
    tls: Path | None = None,
) -> Iterator[tuple[str, subprocess.Popen[str]]]:
    """GStreamer's server with ``/cam`` (H.264, AAC), ``/silent`` and a mount for each codec
    (see gst_rtsp.py): address of the first and process.

    ``loop`` is a folder of access units, one a file, that ``/loop`` plays for ever.
    ``port`` 0 is any free one. ``udp_only`` answers 461 to TCP. ``tls`` is a PEM file with key
    and certificate.
    """
    command = [
        "/usr/bin/python3",
        str(HERE / "gst_rtsp.py"),
        *("--port", str(port), "--size", size, "--fps", str(fps), "--gop", str(gop)),
        *("--bitrate", str(bitrate_kbit), "--auth", auth),
    ]
    if user is not None:
        command += ["--user", user, "--password", password]
    if loop is not None:
        command += ["--loop", str(loop)]
    if udp_only:
        command.append("--udp-only")
    if tls is not None:
        command += ["--tls", str(tls)]
    with _running(*command) as (process, bound):
        yield f"{'rtsp' if tls is None else 'rtsps'}://127.0.0.1:{bound}/cam", process


@contextlib.contextmanager
def ipycam(*, user: str = "", password: str = "") -> Iterator[tuple[int, int]]:
    """An ipycam camera: its ONVIF and RTSP ports."""
    python = _ipycam_python()
    onvif, rtsp = free_port(), free_port()
    with _running(python, HERE / "ipycam_camera.py", str(onvif), str(rtsp), user, password):
        yield onvif, rtsp


def _ipycam_python() -> Path:
    """Its dependencies do not go with Home Assistant's pins: an environment of its own."""
    home = TOOLS / "ipycam"
    python = home / "bin" / "python"
    if not (home / ".done").exists():
        uv = shutil.which("uv") or str(TOOLS / "uv" / "bin" / "uv")
        subprocess.run([uv, "venv", "-q", "--clear", "--python", "python3", home], check=True)
        subprocess.run([uv, "pip", "install", "-q", "--python", python, *IPYCAM], check=True)
        (home / ".done").touch()
    return python
