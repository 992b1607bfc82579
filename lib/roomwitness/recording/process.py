"""How the recording end is started: a process of its own, or a thread for whoever wants that."""

import asyncio
import os
import socket
import sys
import threading
from contextlib import suppress
from importlib.util import find_spec
from pathlib import Path
from typing import Protocol

import cryptography

import roomwitness

from .service import Service

# Sealing 64 cameras takes a second or two; a disk may be slow.
ENDING_S = 10.0
# For glibc (mallopt(3); others ignore it): what is freed goes back. As it is by itself, one large
# picture raises both bounds for good, and pieces of pictures leave holes.
MEMORY = {"MALLOC_MMAP_THRESHOLD_": str(1 << 16), "MALLOC_TRIM_THRESHOLD_": str(1 << 17)}


class Life(Protocol):
    """One started end; it ends when the socket's other end is closed, or tells it to."""

    async def over(self) -> None:
        """Wait until it is gone; help it along if it does not go."""
        ...

    def kill(self) -> None:
        """Make it go at once."""
        ...


class Starter(Protocol):
    """Starts an end that serves this socket."""

    async def __call__(self, theirs: socket.socket) -> Life:
        """Start it; the socket is its own from now on.

        Raises:
            OSError: the system gives no process.
        """
        ...


class _Process:
    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process

    async def over(self) -> None:
        try:
            async with asyncio.timeout(ENDING_S):
                await self._process.wait()
        except TimeoutError:
            self.kill()
            await self._process.wait()

    def kill(self) -> None:
        with suppress(ProcessLookupError):
            self._process.kill()


async def in_process(theirs: socket.socket) -> Life:
    """Another Python with this library and nothing else: not Home Assistant.

    Raises:
        OSError: the system gives no process.
    """
    with theirs:
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            *("-P", "-m", "roomwitness.recording", str(theirs.fileno())),
            pass_fds=(theirs.fileno(),),
            env={**os.environ, **MEMORY, "PYTHONPATH": os.pathsep.join(_places())},
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.DEVNULL,
            start_new_session=True,
        )
    return _Process(process)


def _places() -> list[str]:
    """Where we and what we need were found. Not all of ``sys.path``: Home Assistant has its
    configuration folder there, and a file in it may be called as a module of Python's is."""
    found = {str(Path(module.__path__[0]).parent) for module in (roomwitness, cryptography)}
    av = find_spec("av")  # For the decoder's program, and not imported here: it is large.
    found |= {str(Path(place).parent) for place in (av and av.submodule_search_locations) or ()}
    return sorted(found)


class _Thread:
    def __init__(self, theirs: socket.socket) -> None:
        self._thread = threading.Thread(
            target=lambda: asyncio.run(Service(theirs).run()),
            name="roomwitness-recording",
            daemon=True,
        )
        self._thread.start()

    async def over(self) -> None:
        await asyncio.to_thread(self._thread.join, ENDING_S)

    def kill(self) -> None:
        """A thread cannot be."""


async def in_thread(theirs: socket.socket) -> Life:
    """A thread of this process, with an event loop of its own: for tests."""
    return _Thread(theirs)
