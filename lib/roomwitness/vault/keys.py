"""Recording keys, wrapped, in two stores: one that no backup takes, one that every backup takes.

The rollback journal is truncated after each transaction and ``secure_delete`` overwrites what is
deleted, so that no file of a store holds a key that was destroyed (sqlite.org/pragma.html).
"""

import sqlite3
import threading
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path
from typing import Any, NamedTuple, Self

from roomwitness.errors import WitnessError

from . import age
from .errors import CustodiansUnusable, StoreError, VaultUnwritable

# What SQLite may put beside a database.
_BESIDE = ("-journal", "-wal", "-shm")
SITE, CUSTODIAN = "site", "custodian"


def key_id(recipient: age.KnownRecipient) -> str:
    """A public key's short name: eight digits of its digest, which say nothing of its holder."""
    return sha256(str(recipient).encode()).hexdigest()[:8]


class Holder(NamedTuple):
    """Whom a wrap is for: ``SITE`` or ``CUSTODIAN``, and the id of the key."""

    kind: str
    key: str

    @classmethod
    def site(cls, recipient: age.KnownRecipient) -> Self:
        """The site, by that key of its own."""
        return cls(SITE, key_id(recipient))

    @classmethod
    def custodian(cls, recipient: age.KnownRecipient) -> Self:
        """The custodian with that key."""
        return cls(CUSTODIAN, key_id(recipient))


@dataclass(frozen=True, slots=True)
class Wraps:
    """A recording's identity, as one age file for each who may open it.

    One file each, because recipients of different types must not share one (age forbids it for
    post-quantum ones), and because a custodian then goes without anybody's key being needed.
    """

    files: Mapping[Holder, bytes] = field(repr=False)

    @property
    def site(self) -> bytes | None:
        """The site's; None where only custodians can open the recording."""
        return next((file for holder, file in self.files.items() if holder.kind == SITE), None)

    @property
    def custodians(self) -> dict[str, bytes]:
        """The custodians', by key id."""
        return {h.key: file for h, file in self.files.items() if h.kind == CUSTODIAN}

    @property
    def for_backups(self) -> Wraps:
        """Without the site's: what may lie where backups take it."""
        return Wraps({h: file for h, file in self.files.items() if h.kind == CUSTODIAN})


def new_recording_key(
    site: age.Recipient | None, custodians: Sequence[age.KnownRecipient]
) -> tuple[age.KnownRecipient, Wraps]:
    """Make a recording's key pair; its secret half exists only wrapped.

    It is post-quantum where every custodian's is: what lies in backups for years, segments and
    custodians' wraps, then has no weaker link (the site's wrap is in none).

    A custodian whose recipient fails now (a plugin's may) is left out, and gets its wrap later.

    Raises:
        CustodiansUnusable: nobody could open the recording.
    """
    lasting = bool(custodians) and all(map(age.post_quantum, custodians))
    identity = age.generate_hybrid_identity() if lasting else age.generate_identity()
    files = {} if site is None else {Holder.site(site): wrap(identity, site)}
    for custodian in custodians:
        try:
            files[Holder.custodian(custodian)] = wrap(identity, custodian)
        except WitnessError, OSError:
            continue
    if not files:
        raise CustodiansUnusable
    return identity.recipient, Wraps(files)


def wrap(identity: age.KnownIdentity, recipient: age.KnownRecipient) -> bytes:
    """A recording's identity, for one who may open it."""
    return age.encrypt(str(identity).encode(), [recipient])


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
                "CREATE TABLE IF NOT EXISTS wrap (recording TEXT NOT NULL,"
                " kind TEXT NOT NULL CHECK (kind IN ('site', 'custodian')), key TEXT NOT NULL,"
                " file BLOB NOT NULL, PRIMARY KEY (recording, kind, key)) STRICT"
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
        """Close the file, once nobody uses it: SQLite would take the whole process down."""
        with self._lock:
            if self._db is not None:
                self._db.close()
                self._db = None

    @property
    def exists(self) -> bool:
        """Whether there is a store to be opened; else ``open`` makes one."""
        return self._path.is_file()

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
        """Keep these wraps of a recording, beside others that it has."""
        self.change([(recording_id, holder, file) for holder, file in wraps.files.items()])

    def change(self, changes: Iterable[tuple[str, Holder, bytes | None]]) -> None:
        """Put wraps and, where it is None, overwrite and remove them: all or nothing, synced."""
        with self._transaction() as db:
            for recording_id, holder, file in changes:
                if file is None:
                    db.execute(
                        "DELETE FROM wrap WHERE recording = ? AND kind = ? AND key = ?",
                        (recording_id, *holder),
                    )
                else:
                    db.execute(
                        "INSERT OR REPLACE INTO wrap VALUES (?, ?, ?, ?)",
                        (recording_id, *holder, file),
                    )

    def get(self, recording_id: str) -> Wraps | None:
        """The recording's wraps, if they are here."""
        sql = "SELECT kind, key, file FROM wrap WHERE recording = ?"
        rows = self._run(sql, (recording_id,))
        return Wraps({Holder(kind, key): file for kind, key, file in rows}) if rows else None

    def holders(self) -> dict[str, frozenset[Holder]]:
        """Whom each recording is wrapped for."""
        found: dict[str, set[Holder]] = {}
        for recording_id, kind, key in self._run("SELECT recording, kind, key FROM wrap", ()):
            found.setdefault(recording_id, set()).add(Holder(kind, key))
        return {recording_id: frozenset(holders) for recording_id, holders in found.items()}

    def destroy(self, recording_ids: Iterable[str]) -> None:
        """Overwrite and remove; synced when it returns."""
        ids = [(recording_id,) for recording_id in recording_ids]
        with self._transaction() as db:
            db.executemany("DELETE FROM wrap WHERE recording = ?", ids)

    def rewrite(self) -> None:
        """Put all rows anew: SQLite may leave a copy of one where it was before a page was split.

        ``secure_delete`` overwrites rows, not such copies; but of a table that is emptied whole it
        overwrites every page. Synced when it returns.
        """
        with self._transaction() as db:
            rows = db.execute("SELECT * FROM wrap").fetchall()
            db.execute("DELETE FROM wrap")
            db.executemany("INSERT INTO wrap VALUES (?, ?, ?, ?)", rows)

    def raw(self, limit: int) -> bytes | None:
        """Every byte of the store's files as they are on disk; None if there are more than that.

        Raises:
            VaultUnwritable: the store's file is not there any more, so nobody can look into it.
        """
        names = [self._path, *(self._path.with_name(self._path.name + s) for s in _BESIDE)]
        with self._lock:
            found = [path for path in names if path.exists()]
            if self._path not in found:
                raise VaultUnwritable("a key store's file is gone")
            if sum(path.stat().st_size for path in found) > limit:
                return None
            return b"".join(path.read_bytes() for path in found)

    def ids(self) -> frozenset[str]:
        """Recordings whose wraps are here."""
        return frozenset(row[0] for row in self._run("SELECT DISTINCT recording FROM wrap", ()))

    @contextmanager
    def _transaction(self) -> Iterator[sqlite3.Connection]:
        with self._lock:
            db = self._connection()
            try:
                db.execute("BEGIN IMMEDIATE")
                yield db
                db.execute("COMMIT")
            except sqlite3.Error:
                raise VaultUnwritable("a key store cannot be changed") from None
            finally:
                if db.in_transaction:
                    db.execute("ROLLBACK")

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
