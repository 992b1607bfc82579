"""Starts peers as processes of their own, with their own Python where they need one."""

import contextlib
import os
import shutil
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path

HERE = Path(__file__).parent
TOOLS = HERE.parents[1] / ".tools"
IPYCAM = ("ipycam==1.3.0", "opencv-python==5.0.0.93", "numpy==2.4.6")


def free_port() -> int:
    """A TCP port that nobody uses at the moment."""
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return int(sock.getsockname()[1])


@contextlib.contextmanager
def _running(*command: str | Path) -> Iterator[subprocess.Popen[str]]:
    """Run until the block ends; the program must print ``ready`` first."""
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
        yield process
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
    port: int | None = None,
    loop: Path | None = None,
    udp_only: bool = False,
    tls: Path | None = None,
) -> Iterator[tuple[str, subprocess.Popen[str]]]:
    """GStreamer's server with ``/cam`` (H.264, AAC), ``/silent`` and a mount for each codec
    (see gst_rtsp.py): address of the first and process.

    ``loop`` is a folder of access units, one a file, that ``/loop`` plays for ever.
    ``udp_only`` answers 461 to TCP. ``tls`` is a PEM file with key and certificate.
    """
    port = port or free_port()
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
    with _running(*command) as process:
        yield f"{'rtsp' if tls is None else 'rtsps'}://127.0.0.1:{port}/cam", process


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
