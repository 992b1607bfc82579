"""The intake of the process that records: one loop has all cameras, and waits for nobody.

A gap is in the index before the pictures after it are safe against a kill; as those, it is safe
against a power cut a moment later, when ``sync`` has been called. Where another process is writing
into the index, rows wait in memory, in their order, until ``settle`` finds it free.
"""

import time
from collections import deque
from collections.abc import Callable, Iterable
from contextlib import suppress
from pathlib import Path
from sqlite3 import Connection

from .errors import IndexBusy, StoreError
from .index import put_clock_event, put_gaps, put_segment
from .intake import Intake
from .records import ClockEvent, Gap, Segment

# Nobody writes for so long: whoever has the index locked does not let go of it any more.
_GIVEN_UP_S = 30.0

type Row = Callable[[Connection], None]


class LiveIntake(Intake):
    """``after`` is called when there is something to ``sync`` or to ``settle``."""

    def __init__(self, root: Path, after: Callable[[], None] = lambda: None) -> None:
        super().__init__(root)
        self._after = after
        self._rows: deque[Row] = deque()
        self._since = 0.0
        self.unsynced = False

    @property
    def waiting(self) -> bool:
        """Whether rows are not in the index yet."""
        return bool(self._rows)

    def add_gap(self, gap: Gap) -> None:
        """Keep a gap, or put the one of its id where it is known to be by now."""
        self._put(lambda db: put_gaps(db, [gap]))

    def add_clock_event(self, event: ClockEvent) -> None:
        """Keep what a clock did."""
        self._put(lambda db: put_clock_event(db, event))

    def add_segment(self, segment: Segment, gaps: Iterable[Gap] = ()) -> None:
        """List a segment that is on the disk."""
        gaps = tuple(gaps)
        self._put(lambda db: put_segment(db, segment, gaps), synced=True)

    def _put(self, row: Row, *, synced: bool = False) -> None:
        """Put a row there now, or once the index is free.

        Raises:
            VaultFull, VaultUnwritable, StoreError: it does not wait.
        """
        self._rows.append(row)
        try:
            self._write(synced=synced, patient=False)
        except IndexBusy:
            now = time.monotonic()
            self._since = self._since or now
            if now - self._since > _GIVEN_UP_S:
                self._rows.pop()
                raise
        except BaseException:
            self._rows.pop()
            raise
        self._after()

    def _write(self, *, synced: bool, patient: bool) -> None:
        with self._index.change(patient=patient, synced=synced) as db:
            for row in self._rows:
                row(db)
        self._rows.clear()
        self._since, self.unsynced = 0.0, not synced

    def settle(self, *, patient: bool = False) -> bool:
        """Put what waits into the index; whether nothing waits any more.

        Raises:
            VaultFull, VaultUnwritable, StoreError: it still waits.
        """
        if self._rows:
            try:
                self._write(synced=True, patient=patient)
            except IndexBusy:
                return False
            except StoreError:  # One of them is of a recording that is gone.
                self._write_each()
        return True

    def _write_each(self) -> None:
        while self._rows:
            with suppress(StoreError), self._index.change() as db:
                self._rows[0](db)
            self._rows.popleft()

    def sync(self) -> None:
        """Make what is in the index safe against a power cut; blocks, so for a thread.

        Raises:
            VaultFull, VaultUnwritable.
        """
        self.unsynced = False
        super().sync()

    def close(self) -> None:
        """Close the index, when what waits is in it."""
        try:
            self.settle(patient=True)
        finally:
            super().close()
