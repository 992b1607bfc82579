"""Scrub: at start and once a day every sealed byte is compared with its digest, and with the log.

The index has the digests, and the custody log the head of the tree over them: whoever changes a
file and its row in the index is found by the log.
"""

import asyncio
import logging
import threading
from collections.abc import Awaitable, Callable, Iterator

from roomwitness.errors import WitnessError
from roomwitness.vault.store import Vault

from .background import end
from .ledger import Ledger
from .status import Problem

_LOGGER = logging.getLogger(__name__)

_EVERY_S = 24 * 3600.0


class Scrub:
    """Runs beside everything else; ``damaged`` are the meetings with a segment that is not whole.

    ``disagreeing`` are the invariants (docs/schema.md) in which index and custody log differ.
    ``found(meeting_id)`` and ``disagrees(name)`` are awaited for each that is new, once more in the
    next round if that failed; ``changed`` is called when ``problems`` are others.
    """

    def __init__(
        self,
        vault: Vault,
        ledger: Ledger,
        found: Callable[[str], Awaitable[None]],
        disagrees: Callable[[str], Awaitable[None]],
        changed: Callable[[], None],
        every_s: float = _EVERY_S,
    ) -> None:
        self._vault = vault
        self._ledger = ledger
        self._found = found
        self._disagrees = disagrees
        self._changed = changed
        self._every_s = every_s
        self._stop = threading.Event()
        self._task: asyncio.Task[None] | None = None
        self._reading: asyncio.Future[tuple[frozenset[str], frozenset[str]]] | None = None
        self._told: set[tuple[str, str]] = set()
        self._failed: str | None = None  # What the last round met that nobody foresaw.
        self.damaged: frozenset[str] = frozenset()
        self.disagreeing: frozenset[str] = frozenset()

    def start(self) -> None:
        """Begin in the background."""
        self._task = asyncio.get_running_loop().create_task(self._run(), name="roomwitness scrub")

    async def _run(self) -> None:
        while not self._stop.is_set():
            failed = None
            try:
                await self._round()
            except WitnessError:
                pass  # The disk is in trouble: the conductor's work says so.
            except Exception as err:  # Nothing may end the check: nobody would miss it.
                failed = type(err).__name__
            if failed != self._failed:
                if failed is not None:
                    _LOGGER.warning("What is stored could not be checked: %s", failed)
                self._failed = failed
                self._changed()
            await asyncio.sleep(self._every_s)

    async def _round(self) -> None:
        self._reading = asyncio.ensure_future(asyncio.to_thread(self._look))
        self.damaged, self.disagreeing = await asyncio.shield(self._reading)
        wrong = {("damaged", each): self._found for each in self.damaged}
        wrong |= {("disagreeing", each): self._disagrees for each in self.disagreeing}
        self._told &= wrong.keys()
        for key in sorted(wrong.keys() - self._told):
            await wrong[key](key[1])
            self._told.add(key)

    def problems(self) -> Iterator[Problem]:
        """Whether the last round could not be made, for a reason that nobody foresaw."""
        if self._failed is not None:
            yield Problem(key="scrub_failed", placeholders={"error": self._failed})

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
