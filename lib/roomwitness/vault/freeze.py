"""Hold the index still while somebody copies its files, without holding up anybody who writes.

A reader keeps SQLite from starting its write-ahead log anew (sqlite.org/wal.html, "Concurrency"),
so that main file and log, copied one after the other, always make a whole index together.
"""

import sqlite3
from pathlib import Path

from .errors import VaultUnwritable


def fold(db: sqlite3.Connection) -> bool:
    """Empty the write-ahead log into the main file, without waiting; False if somebody reads.

    So nothing is left of what was overwritten, in the live files and in a copy of them.
    """
    waits = db.execute("PRAGMA busy_timeout").fetchone()[0]
    try:
        db.execute("PRAGMA busy_timeout=0")
        return not db.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()[0]
    except sqlite3.Error:
        return False
    finally:
        db.execute(f"PRAGMA busy_timeout={waits}")


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
            fold(db)
            db.execute("BEGIN")
            db.execute("SELECT count(*) FROM meeting").fetchone()
        except sqlite3.Error:
            raise VaultUnwritable("the index cannot be held still") from None
        self._db = db

    def end(self) -> None:
        """Let it go; a second call does nothing."""
        if self._db is not None:
            self._db.rollback()
            fold(self._db)
            self._db.close()
            self._db = None
