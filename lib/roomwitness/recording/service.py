"""The recording process' own end of the socket: from the first message to the last."""

import asyncio
import logging
import socket
from contextlib import suppress

from .messages import Alive, Begin, Event, Said, packed, read
from .worker import Worker


class _Lines(logging.Handler):
    """Home Assistant's log is written by its own process."""

    def __init__(self, service: Service) -> None:
        super().__init__()
        self._service = service

    def emit(self, record: logging.LogRecord) -> None:
        self._service.send(Said(logger=record.name, level=record.levelno, text=record.getMessage()))


class Service:
    """Serves one socket until the other end says so, or is gone: then what is open is sealed."""

    def __init__(self, sock: socket.socket) -> None:
        self._sock = sock
        self._writer: asyncio.StreamWriter | None = None

    def send(self, event: Event) -> None:
        """Tell the other end, if it is still there."""
        if self._writer is not None and not self._writer.is_closing():
            self._writer.write(packed(event))

    async def run(self) -> None:
        """Serve."""
        reader, self._writer = await asyncio.open_unix_connection(sock=self._sock)
        begin = await read(reader)
        if isinstance(begin, Begin):
            alive = asyncio.create_task(self._alive(begin.alive_s), name="roomwitness alive")
            try:
                await self._serve(reader, Worker(begin.root, self.send))
            finally:
                alive.cancel()
        self._writer.close()
        with suppress(OSError):
            await self._writer.wait_closed()

    async def _serve(self, reader: asyncio.StreamReader, worker: Worker) -> None:
        while not worker.ending:
            command = await read(reader)
            if command is None:
                break
            worker.carry_out(command)  # type: ignore[arg-type]
        await worker.end()

    async def _alive(self, every_s: float) -> None:
        while True:
            self.send(Alive())
            await asyncio.sleep(every_s)


def forward_log(service: Service) -> None:
    """From now on every line goes to Home Assistant's log."""
    root = logging.getLogger()
    root.addHandler(_Lines(service))
    root.setLevel(logging.INFO)
