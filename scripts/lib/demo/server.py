"""Starts the demo's processes, keeps Home Assistant running, and ends all that it started."""

import asyncio
import contextlib
import ctypes
import os
import signal
import sys
import time
from collections.abc import AsyncIterator
from pathlib import Path

from .place import TOP, Place

_PR_SET_PDEATHSIG = 1
_PATH = (str(TOP / "lib"), str(TOP), str(Path(__file__).with_name("voice")))
_STOP_S = 20.0
# Home Assistant that lives so short so often does not come up at all.
_SHORT_LIFE_S, _SHORT_LIVES = 15.0, 3


def _die_with_parent() -> None:
    """Also if this script is killed without a chance to clean up (prctl(2))."""
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)


async def _start(log: Path, *command: str, ready: bool = False) -> asyncio.subprocess.Process:
    with log.open("ab") as out:
        process = await asyncio.create_subprocess_exec(
            *command,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE if ready else out,
            stderr=out,
            start_new_session=True,
            preexec_fn=_die_with_parent,
            cwd=TOP,
            env=os.environ | {"PYTHONPATH": os.pathsep.join(_PATH)},
        )
    if ready:
        assert process.stdout is not None
        line = await process.stdout.readline()
        if not line.startswith(b"ready"):
            raise SystemExit(f"{command[1:3]} did not start: see {log}")
    return process


async def _stop(process: asyncio.subprocess.Process) -> None:
    """End the process and everything in its session."""
    for number in (signal.SIGTERM, signal.SIGKILL):
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, number)
        try:
            await asyncio.wait_for(process.wait(), _STOP_S)
            break
        except TimeoutError:
            continue


class Server:
    """The cameras and Home Assistant; Home Assistant is started again when it dies."""

    def __init__(self, place: Place) -> None:
        self._place = place
        self._cameras: list[asyncio.subprocess.Process] = []
        self._keeper: asyncio.Task[None] | None = None
        self._hass: asyncio.subprocess.Process | None = None
        self._owner = asyncio.current_task()
        self.failure: str | None = None

    async def start(self) -> None:
        """Start the cameras, then Home Assistant; does not wait for its page."""
        for camera in self._place.cameras:
            self._cameras.append(
                await _start(
                    self._place.home / "cameras.log",
                    *(sys.executable, "-m", "tests.camera", "--name", camera.name),
                    *("--onvif-port", str(camera.onvif_port)),
                    *("--rtsp-port", str(camera.rtsp_port)),
                    *("--user", "camera", "--password", "demo password", "--discovery"),
                    *("--inputs", "1", "--relays", "1"),
                    ready=True,
                )
            )
        self._keeper = asyncio.create_task(self._keep())

    async def _keep(self) -> None:
        hass = Path(sys.executable).with_name("hass")
        lives = 0
        while True:
            began = time.monotonic()
            # What it needs is in uv.lock: it shall fetch and compile nothing by itself.
            command = (sys.executable, str(hass), "-c", str(self._place.config), "--skip-pip")
            self._hass = await _start(self._place.log, *command)
            self._place.running.write_text(str(self._hass.pid))
            code = await self._hass.wait()
            lives = lives + 1 if time.monotonic() - began < _SHORT_LIFE_S else 0
            if lives == _SHORT_LIVES:
                break
            print(f"Home Assistant ended (code {code}); starting it again", flush=True)
            await asyncio.sleep(1)
        tail = "".join(self._place.log.read_text(errors="replace").splitlines(True)[-15:])
        self.failure = f"Home Assistant ends as soon as it starts ({code}); its log says:\n{tail}"
        if self._owner is not None:
            self._owner.cancel()

    async def stop(self) -> None:
        """End everything that was started."""
        self._place.running.unlink(missing_ok=True)
        if self._keeper is not None:
            self._keeper.cancel()
            await asyncio.gather(self._keeper, return_exceptions=True)
        processes = [*([self._hass] if self._hass else []), *self._cameras]
        await asyncio.gather(*(_stop(process) for process in processes))


@contextlib.asynccontextmanager
async def running(place: Place) -> AsyncIterator[Server]:
    """A server for as long as the block runs."""
    server = Server(place)
    try:
        await server.start()
        yield server
    except asyncio.CancelledError:
        if server.failure is not None:
            raise SystemExit(f"error: {server.failure}") from None
        raise
    finally:
        await asyncio.shield(server.stop())
