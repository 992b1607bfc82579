"""Recording keys, wrapped, in two stores: one that no backup takes, one that every backup takes.

The rollback journal is truncated after each transaction and ``secure_delete`` overwrites what is
deleted, so that no file of a store holds a key that was destroyed (sqlite.org/pragma.html).
"""

import sqlite3
import threading
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from . import age
from .errors import StoreError, VaultUnwritable

# What SQLite may put beside a database.
_BESIDE = ("-journal", "-wal", "-shm")


@dataclass(frozen=True, slots=True)
class Wraps:
    """A recording's identity as two age files: for the site, and for the custodians."""

    site: bytes | None = field(repr=False)
    custodians: bytes = field(repr=False)


def new_recording_key(
    site: age.Recipient | None, custodians: Sequence[age.Recipient]
) -> tuple[age.Recipient, Wraps]:
    """Make a recording's key pair; its secret half exists only wrapped."""
    identity = age.generate_identity()
    secret = str(identity).encode()
    wraps = Wraps(
        site=age.encrypt(secret, [site]) if site else None,
        custodians=age.encrypt(secret, custodians),
    )
    return identity.recipient, wraps


class KeyStore:
    """Wraps by recording id; every change is on disk when the call returns."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._lock = threading.Lock()
        self._db: sqlite3.Connection | None = None
        self._file: tuple[int, int] | None = None

    def open(self) -> None:
        """Open or make the store.

        Raises:
            VaultUnwritable: the folder cannot be written.
            StoreError: the file is no key store.
        """
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            db = sqlite3.connect(self._path, check_same_thread=False, isolation_level=None)
            db.execute("PRAGMA journal_mode=TRUNCATE")
            db.execute("PRAGMA synchronous=FULL")
            db.execute("PRAGMA secure_delete=ON")
            db.execute(
                "CREATE TABLE IF NOT EXISTS wrap (recording TEXT PRIMARY KEY, site BLOB,"
                " custodians BLOB NOT NULL) STRICT"
            )
            self._path.chmod(0o600)
            self._file = self._seen()
        except OSError as err:
            raise VaultUnwritable(f"errno {err.errno}") from None
        except sqlite3.OperationalError:
            raise VaultUnwritable("a key store cannot be opened") from None
        except sqlite3.DatabaseError:
            raise StoreError("a key store is damaged") from None
        self._db = db

    def close(self) -> None:
        """Close the file."""
        if self._db is not None:
            self._db.close()
            self._db = None

    @property
    def in_place(self) -> bool:
        """Whether the path still names the file that was opened: SQLite would not tell."""
        return self._file is not None and self._seen() == self._file

    def _seen(self) -> tuple[int, int] | None:
        try:
            found = self._path.stat()
        except OSError:
            return None
        return found.st_dev, found.st_ino

    def put(self, recording_id: str, wraps: Wraps) -> None:
        """Keep a recording's wraps."""
        self._run(
            "INSERT OR REPLACE INTO wrap VALUES (?, ?, ?)",
            (recording_id, wraps.site, wraps.custodians),
        )

    def get(self, recording_id: str) -> Wraps | None:
        """The recording's wraps, if they are here."""
        rows = self._run("SELECT site, custodians FROM wrap WHERE recording = ?", (recording_id,))
        return Wraps(*rows[0]) if rows else None

    def destroy(self, recording_ids: Iterable[str]) -> None:
        """Overwrite and remove; synced when it returns."""
        ids = [(recording_id,) for recording_id in recording_ids]
        with self._lock:
            db = self._connection()
            try:
                db.execute("BEGIN IMMEDIATE")
                db.executemany("DELETE FROM wrap WHERE recording = ?", ids)
                db.execute("COMMIT")
            except sqlite3.Error:
                if db.in_transaction:
                    db.execute("ROLLBACK")
                raise VaultUnwritable("a key could not be destroyed") from None

    def raw(self, limit: int) -> bytes | None:
        """Every byte of the store's files as they are on disk; None if there are more than that."""
        names = [self._path, *(self._path.with_name(self._path.name + s) for s in _BESIDE)]
        with self._lock:
            found = [path for path in names if path.exists()]
            if sum(path.stat().st_size for path in found) > limit:
                return None
            return b"".join(path.read_bytes() for path in found)

    def ids(self) -> frozenset[str]:
        """Recordings whose wraps are here."""
        return frozenset(row[0] for row in self._run("SELECT recording FROM wrap", ()))

    def _run(self, sql: str, values: tuple[object, ...]) -> list[tuple[Any, ...]]:
        with self._lock:
            try:
                return self._connection().execute(sql, values).fetchall()
            except sqlite3.Error:
                raise VaultUnwritable("a key store cannot be used") from None

    def _connection(self) -> sqlite3.Connection:
        if self._db is None:
            raise StoreError("the key store is closed")
        return self._db
