"""Who the pseudonyms of the log and the index are: one row a person, which can be erased alone.

Like the key stores: the rollback journal is truncated after each transaction and ``secure_delete``
overwrites what is deleted (sqlite.org/pragma.html): no file says who a forgotten person was.
"""

import os
import secrets
import sqlite3
import threading
from collections.abc import Sequence
from pathlib import Path

from roomwitness import files

from .errors import StoreError, VaultUnwritable

_PREFIX = "p-"


class People:
    """Accounts by pseudonym; all rows are in memory too. Safe for several threads."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._lock = threading.Lock()
        self._db: sqlite3.Connection | None = None
        self._aside = path.with_name(path.name + ".damaged")
        self.damaged = False
        """Whether the last ``open`` found a table that it could not read."""
        self._persons: dict[str, str] = {}
        self._unsaved: set[str] = set()

    def open(self) -> None:
        """Open or make the table. A damaged one is set aside: nothing waits for it to be mended.

        Raises:
            VaultUnwritable: the folder cannot be written.
        """
        self.damaged = False
        try:
            try:
                self._db = self._opened()
            except sqlite3.OperationalError:
                raise
            except sqlite3.DatabaseError:
                self._path.replace(self._aside)
                # It would be rolled back into the new one.
                self._path.with_name(self._path.name + "-journal").unlink(missing_ok=True)
                self.damaged = True
                self._db = self._opened()
        except OSError as err:
            raise VaultUnwritable(f"errno {err.errno}") from None
        except sqlite3.Error:
            raise VaultUnwritable("the table of people cannot be opened") from None

    def _opened(self) -> sqlite3.Connection:
        db = sqlite3.connect(self._path, check_same_thread=False, isolation_level=None)
        try:
            db.execute("PRAGMA page_size=1024")  # A few rows: a small file.
            db.execute("PRAGMA journal_mode=TRUNCATE")
            db.execute("PRAGMA synchronous=FULL")
            db.execute("PRAGMA secure_delete=ON")
            db.execute(
                "CREATE TABLE IF NOT EXISTS person (id TEXT PRIMARY KEY, account TEXT NOT NULL"
                " UNIQUE) STRICT, WITHOUT ROWID"
            )
            self._path.chmod(0o600)
            self._persons = dict(db.execute("SELECT account, id FROM person").fetchall())
        except BaseException:
            db.close()
            raise
        return db

    def close(self) -> None:
        """Close the file."""
        if self._db is not None:
            self._db.close()
            self._db = None

    def pseudonym(self, account: str) -> str:
        """The person's pseudonym, a new one at first; ``save`` keeps it. Never touches the disk."""
        with self._lock:
            person = self._persons.get(account)
            if person is None:
                person = self._persons[account] = _PREFIX + secrets.token_hex(8)
                self._unsaved.add(account)
            return person

    def known(self, account: str) -> str | None:
        """The pseudonym that a person has, if any."""
        with self._lock:
            return self._persons.get(account)

    @property
    def unsaved(self) -> bool:
        """Whether a new pseudonym waits for ``save``."""
        return bool(self._unsaved)

    def account(self, person: str) -> str | None:
        """Whose pseudonym it is; None if they are forgotten, or it is none."""
        with self._lock:
            return next((name for name, one in self._persons.items() if one == person), None)

    def save(self) -> None:
        """Keep every new pseudonym; synced when it returns.

        Raises:
            VaultUnwritable: they stay in memory, and are tried again by the next call.
        """
        with self._lock:
            rows = [(self._persons[account], account) for account in sorted(self._unsaved)]
            self._change("INSERT INTO person VALUES (?, ?)", rows)
            self._unsaved.clear()

    def forget(self, person: str) -> None:
        """Overwrite and remove the row; synced when it returns. The pseudonym says nothing then.

        A damaged table that was set aside may name the person too: it goes with them.

        Raises:
            VaultUnwritable: the row may still be there.
        """
        with self._lock:
            self._change("DELETE FROM person WHERE id = ?", [(person,)])
            try:
                self._remove_aside()
            except OSError as err:
                raise VaultUnwritable(f"errno {err.errno}") from None
            for account in [name for name, one in self._persons.items() if one == person]:
                del self._persons[account]
                self._unsaved.discard(account)

    def _remove_aside(self) -> None:
        if not self._aside.exists():
            return
        with self._aside.open("r+b") as file:
            file.write(bytes(self._aside.stat().st_size))
            file.flush()
            os.fsync(file.fileno())
        self._aside.unlink()
        files.sync_folder(self._aside.parent)

    def _change(self, sql: str, rows: Sequence[tuple[str, ...]]) -> None:
        if self._db is None:
            raise StoreError("the table of people is closed")
        try:
            self._db.execute("BEGIN IMMEDIATE")
            self._db.executemany(sql, rows)
            self._db.execute("COMMIT")
        except sqlite3.Error:
            if self._db.in_transaction:
                self._db.execute("ROLLBACK")
            raise VaultUnwritable("the table of people cannot be written") from None
