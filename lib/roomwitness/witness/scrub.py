"""Scrub: once at start and once a day every sealed byte is read and compared with its digest."""

import asyncio
import threading
from collections.abc import Awaitable, Callable
from contextlib import suppress

from roomwitness.errors import WitnessError
from roomwitness.vault import Vault

_EVERY_S = 24 * 3600.0


class Scrub:
    """Runs beside everything else; ``damaged`` are the meetings with a segment that is not whole.

    ``found(meeting_id)`` is awaited once for each that is new.
    """

    def __init__(self, vault: Vault, found: Callable[[str], Awaitable[None]]) -> None:
        self._vault = vault
        self._found = found
        self._stop = threading.Event()
        self._task: asyncio.Task[None] | None = None
        self._reading: asyncio.Future[list[str]] | None = None
        self.damaged: frozenset[str] = frozenset()

    def start(self) -> None:
        """Begin in the background."""
        self._task = asyncio.get_running_loop().create_task(self._run(), name="roomwitness scrub")

    async def _run(self) -> None:
        while not self._stop.is_set():
            self._reading = asyncio.ensure_future(
                asyncio.to_thread(self._vault.damaged, self._stop.is_set)
            )
            with suppress(WitnessError):  # The disk is in trouble: the conductor's work says so.
                now = frozenset(await asyncio.shield(self._reading))
                new, self.damaged = now - self.damaged, now
                for meeting_id in sorted(new):
                    await self._found(meeting_id)
            await asyncio.sleep(_EVERY_S)

    async def stop(self) -> None:
        """End, once the segment that is being read is done: its thread needs the vault open."""
        self._stop.set()
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
        if self._reading is not None:
            await asyncio.gather(self._reading, return_exceptions=True)
