"""Hold the index still while somebody copies its files, without holding up anybody who writes.

A reader keeps SQLite from starting its write-ahead log anew (sqlite.org/wal.html, "Concurrency"),
so that main file and log, copied one after the other, always make a whole index together.
"""

import sqlite3
from pathlib import Path

from .errors import VaultUnwritable


class Freeze:
    """One open read transaction on an index."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._db: sqlite3.Connection | None = None

    def begin(self) -> None:
        """Begin, or begin anew.

        Raises:
            VaultUnwritable: the index cannot be read.
        """
        self.end()
        try:
            db = sqlite3.connect(self._path, check_same_thread=False, isolation_level=None)
            db.execute("BEGIN")
            db.execute("SELECT count(*) FROM meeting").fetchone()
        except sqlite3.Error:
            raise VaultUnwritable("the index cannot be held still") from None
        self._db = db

    def end(self) -> None:
        """Let it go; a second call does nothing."""
        if self._db is not None:
            self._db.close()
            self._db = None
