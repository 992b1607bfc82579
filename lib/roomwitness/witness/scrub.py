"""Scrub: at start and once a day every sealed byte is compared with its digest, and with the log.

The index has the digests, and the custody log the head of the tree over them: whoever changes a
file and its row in the index is found by the log.
"""

import asyncio
import threading
from collections.abc import Awaitable, Callable
from contextlib import suppress

from roomwitness.errors import WitnessError
from roomwitness.vault import Vault

from .background import end
from .ledger import Ledger

_EVERY_S = 24 * 3600.0


class Scrub:
    """Runs beside everything else; ``damaged`` are the meetings with a segment that is not whole.

    ``disagreeing`` are the invariants (docs/schema.md) in which index and custody log differ.
    ``found(meeting_id)`` and ``disagrees(name)`` are awaited once for each that is new.
    """

    def __init__(
        self,
        vault: Vault,
        ledger: Ledger,
        found: Callable[[str], Awaitable[None]],
        disagrees: Callable[[str], Awaitable[None]],
    ) -> None:
        self._vault = vault
        self._ledger = ledger
        self._found = found
        self._disagrees = disagrees
        self._stop = threading.Event()
        self._task: asyncio.Task[None] | None = None
        self._reading: asyncio.Future[tuple[frozenset[str], frozenset[str]]] | None = None
        self.damaged: frozenset[str] = frozenset()
        self.disagreeing: frozenset[str] = frozenset()

    def start(self) -> None:
        """Begin in the background."""
        self._task = asyncio.get_running_loop().create_task(self._run(), name="roomwitness scrub")

    async def _run(self) -> None:
        while not self._stop.is_set():
            self._reading = asyncio.ensure_future(asyncio.to_thread(self._look))
            with suppress(WitnessError):  # The disk is in trouble: the conductor's work says so.
                damaged, names = await asyncio.shield(self._reading)
                new, self.damaged = damaged - self.damaged, damaged
                differ, self.disagreeing = names - self.disagreeing, names
                for meeting_id in sorted(new):
                    await self._found(meeting_id)
                for name in sorted(differ):
                    await self._disagrees(name)
            await asyncio.sleep(_EVERY_S)

    def _look(self) -> tuple[frozenset[str], frozenset[str]]:
        damaged = frozenset(self._vault.damaged(self._stop.is_set))
        names = frozenset() if self._stop.is_set() else self._ledger.disagreements()
        return damaged, names

    async def stop(self) -> None:
        """End, once the segment that is being read is done: its thread needs the vault open."""
        self._stop.set()
        await end(self._task)
        if self._reading is not None:
            await asyncio.gather(self._reading, return_exceptions=True)
