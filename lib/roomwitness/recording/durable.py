"""What is recorded of a threat survives a power cut: synced again and again while it is written.

Other recordings are synced at each segment's end: most of them are erased soon, and each sync is
work for the disk, and wear.
"""

import asyncio
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

from roomwitness import files

from .session import Session

# With the half second until what came is written (capture/batch.py), and the disk's time for it.
SYNC_EVERY_S = 1.0


class Syncing:
    """Syncs what is open of some sessions, in a thread, for as long as there are any."""

    def __init__(self) -> None:
        self._sessions: set[Session] = set()
        self._task: asyncio.Task[None] | None = None

    def set(self, session: Session, *, on: bool) -> None:
        """Whether this session is one of them."""
        if not on:
            self._sessions.discard(session)
            return
        self._sessions.add(session)
        if self._task is None:
            self._task = asyncio.create_task(self._forever(), name="roomwitness syncing")

    async def _forever(self) -> None:
        try:
            while self._sessions:
                await asyncio.to_thread(sync, self._open())
                await asyncio.sleep(SYNC_EVERY_S)
        finally:
            self._task = None

    def _open(self) -> list[tuple[Path, tuple[Path, ...]]]:
        writers = [writer for session in self._sessions for writer in session.writers]
        return [(writer.folder, writer.open_files) for writer in writers]

    async def stop(self) -> None:
        """No more; a sync that runs ends by itself."""
        self._sessions.clear()
        if (task := self._task) is not None:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)


def sync(found: Iterable[tuple[Path, tuple[Path, ...]]]) -> None:
    """Sync files, each group in its order and then its folder; blocks.

    One that is gone is sealed by now; what a failing disk says is told to whoever writes, too.
    """
    for folder, names in found:
        with suppress(OSError):
            for name in names:
                files.sync(name)
            files.sync_folder(folder)
