"""Where the demo keeps what: everything below ``.demo/`` in this checkout."""

import fcntl
import json
import random
import shutil
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Self

TOP = Path(__file__).parents[3]
HOME = TOP / ".demo"
# Below Linux's range for outgoing connections, so that they are still free at the next start.
_CAMERA_PORTS = range(20080, 32000)
_LOCK = "demo.lock"


def is_free(port: int) -> bool:
    """Whether a server could listen there."""
    with socket.socket() as sock:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            sock.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


def _free_ports(wanted: int) -> list[int]:
    found: list[int] = []
    first = random.randrange(len(_CAMERA_PORTS) // 2)  # Two demos that start at once do not meet.
    for port in _CAMERA_PORTS[first:]:
        if is_free(port):
            found.append(port)
            if len(found) == wanted:
                return found
    raise SystemExit("error: no free ports for the simulated cameras")


def is_ours(home: Path) -> bool:
    """Whether the folder may be written and emptied: a demo's, or nobody's yet."""
    marks = (_LOCK, "demo.json")
    if not home.exists():
        return True
    return any((home / name).exists() for name in marks) or not any(home.iterdir())


def empty(home: Path) -> None:
    """Forget the demo that is here; its lock stays, because we hold it."""
    for path in home.iterdir():
        if path.name == _LOCK:
            continue
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        else:
            path.unlink()


@contextmanager
def locked(home: Path, name: str = _LOCK) -> Iterator[bool]:
    """Hold a lock in the folder if nobody else does; it goes with the process."""
    home.mkdir(parents=True, exist_ok=True)
    with (home / name).open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            yield False
        else:
            yield True


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
        ports = iter(_free_ports(2 * len(names)))
        cameras = tuple(CameraPlace(name, next(ports), next(ports)) for name in names)
        return cls(home, port, cameras)

    @property
    def panic(self) -> str:
        """Where the panic button on room 12's camera is pressed."""
        return f"http://127.0.0.1:{self.cameras[0].onvif_port}/panic"

    def at(self, port: int) -> Self:
        """The same demo with its page elsewhere."""
        return replace(self, port=port)

    def taken(self) -> str | None:
        """What to say of the first port that another program uses."""
        if not is_free(self.port):
            return f"port {self.port} is taken by another program: choose another by --port N"
        for camera in self.cameras:
            for port in (camera.onvif_port, camera.rtsp_port):
                if not is_free(port):
                    return (
                        f"port {port} of the demo's camera '{camera.name}' is taken by another"
                        " program: end that, or begin anew by --fresh (which forgets evidence)"
                    )
        return None

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

    @property
    def log(self) -> Path:
        """What Home Assistant printed."""
        return self.home / "home-assistant.log"
