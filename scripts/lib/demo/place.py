"""Where the demo keeps what: everything below ``.demo/`` in this checkout."""

import json
import os
import socket
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Self

TOP = Path(__file__).parents[3]
HOME = TOP / ".demo"


def free_port() -> int:
    """A TCP port on loopback that nobody uses at the moment."""
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return int(sock.getsockname()[1])


def is_free(port: int) -> bool:
    """Whether a server could listen there."""
    with socket.socket() as sock:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            sock.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


@dataclass(frozen=True)
class CameraPlace:
    """One simulated camera; its ports stay, because Home Assistant remembers them."""

    name: str
    onvif_port: int
    rtsp_port: int


@dataclass(frozen=True)
class Place:
    """Folders and ports of the demo."""

    home: Path
    port: int
    cameras: tuple[CameraPlace, ...]

    @classmethod
    def load(cls, home: Path) -> Self | None:
        """The demo that was set up here before, if it was."""
        try:
            data = json.loads((home / "demo.json").read_text())
        except OSError, ValueError:
            return None
        return cls(home, data["port"], tuple(CameraPlace(**c) for c in data["cameras"]))

    @classmethod
    def new(cls, home: Path, port: int) -> Self:
        """Choose ports for a demo that is not there yet."""
        names = ("Room 12 door", "Room 14 desk")
        cameras = tuple(CameraPlace(name, free_port(), free_port()) for name in names)
        return cls(home, port, cameras)

    def save(self) -> None:
        """Remember that it is set up."""
        data = {"port": self.port, "cameras": [asdict(camera) for camera in self.cameras]}
        (self.home / "demo.json").write_text(json.dumps(data, indent=2))

    @property
    def config(self) -> Path:
        """Home Assistant's configuration folder."""
        return self.home / "config"

    @property
    def url(self) -> str:
        """Where Home Assistant answers."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def identity(self) -> Path:
        """The custodian's identity, which in a real site is in nobody's file system."""
        return self.home / "custodian-identity.txt"

    @property
    def running(self) -> Path:
        """Process id of a running demo's Home Assistant."""
        return self.home / "running.pid"

    def is_running(self) -> bool:
        """Whether a demo's Home Assistant runs here now."""
        try:
            os.kill(int(self.running.read_text()), 0)
        except OSError, ValueError:
            return False
        return True

    @property
    def log(self) -> Path:
        """What Home Assistant printed."""
        return self.home / "home-assistant.log"
