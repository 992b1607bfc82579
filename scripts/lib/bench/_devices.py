"""What many cameras answer over ONVIF, in a process of its own: ``python -m bench._devices N``.

Each has an input, a relay, and something that moves before it and stops again. Prints the ports.
"""

import asyncio
import itertools
import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from aiohttp import web

from tests.camera.config import CameraConfig, Faults
from tests.camera.onvif import OnvifServer
from tests.camera.signals import MOTION

_MOVES_EVERY_S = 5.0


@contextmanager
def devices(count: int) -> Iterator[list[int]]:
    """So many, for as long as the block lasts; gives their ports."""
    command = [sys.executable, "-m", "bench._devices", str(count)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            yield json.loads(process.stdout.readline())
        finally:
            process.kill()


async def _no_faults(_request: web.Request) -> web.Response:
    raise web.HTTPNotFound


async def _serve(count: int) -> None:
    config = CameraConfig(inputs=1, relays=1, media2=True)
    servers = [OnvifServer(config, Faults(), _no_faults) for _ in range(count)]
    for server in servers:
        await server.start()
    print(json.dumps([server.port for server in servers]), flush=True)
    for moves in itertools.cycle([True, False]):
        for server in servers:
            await asyncio.sleep(_MOVES_EVERY_S / count)
            server.signals.set(MOTION, "v", moves)


if __name__ == "__main__":
    asyncio.run(_serve(int(sys.argv[1])))
