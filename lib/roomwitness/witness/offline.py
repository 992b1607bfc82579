"""What a custodian does while Home Assistant is stopped: for sealed sites and lost keys.

Same order as at work (keys.py): custody log, key file, wraps. Without the key file the log's key
is lost too, and only the wraps are changed.
"""

import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager
from datetime import datetime
from pathlib import Path

from roomwitness.custody import CustodyLog
from roomwitness.vault import Recovered, Vault
from roomwitness.vault.age import AnyIdentity, KnownIdentity, generate_identity, parse_recipient
from roomwitness.vault.check import Places
from roomwitness.vault.errors import KeyMissing, StoreError, VaultInUse, disk_error
from roomwitness.vault.keyfile import Custodian, StoredKeys, destroy_old
from roomwitness.vault.keys import KeyStore
from roomwitness.vault.wrapping import KeyRing, Opener, Rewrapped, Wrapping

from .config import signer
from .errors import CustodianKnown, CustodianNotFound, LastCustodian
from .ledger import Ledger


def rewrap(
    places: Places,
    keys_file: Path,
    identity: AnyIdentity | None,
    add: Sequence[str],
    retire: Sequence[str],
    now: datetime,
) -> Rewrapped:
    """Add and retire custodians, and close what the wraps lack, with a custodian's ``identity``.

    Without ``identity`` the site's key opens what it can.

    Raises:
        VaultInUse: Home Assistant runs.
        IdentityInvalid, CustodianKnown, CustodianNotFound, LastCustodian: nothing was changed.
        StoreError, VaultUnwritable, VaultFull, LogTampered, LogUnwritable: it may be repeated.
    """
    added = [Custodian(str(parse_recipient(text))) for text in add]
    stored = StoredKeys.load(keys_file)
    with ExitStack() as stack:
        stack.enter_context(_alone(places.root / "index.db"))
        ephemeral = KeyStore(places.ephemeral / "ephemeral-keys.db")
        held = KeyStore(places.held / "held-keys.db")
        if not (places.held / "held-keys.db").is_file():
            raise StoreError("no held key store here")
        for store in (ephemeral, held):
            store.open()
            stack.callback(store.close)
        if stored is None:
            site, recipients = generate_identity(), tuple(parse_recipient(text) for text in add)
            wrapping = Wrapping(
                ephemeral, held, KeyRing(site, recipients, retired=frozenset(retire))
            )
            return _carry_out(wrapping, identity, None, now)
        after = _changed(stored, added, retire)
        log = stack.enter_context(closing(_log(places.root, stored)))
        for kind, names in (
            ("custodian_added", [custodian.id for custodian in added]),
            ("custodian_retired", retire),
        ):
            for name in names:
                log.append(kind, now, custodian=name, offline=True)
        log.checkpoint()
        try:
            destroy_old(keys_file)
            after.save(keys_file)
        except OSError as err:
            raise disk_error(err) from None
        return _carry_out(Wrapping(ephemeral, held, after.ring), identity, log, now)


def recover(
    places: Places, keys_file: Path, identity: AnyIdentity, now: datetime
) -> tuple[Sequence[Recovered], int]:
    """Make whole the segments that a kill left open; what was, and how many recordings are left.

    Raises:
        VaultInUse: Home Assistant runs.
        KeyMissing: there is no key file, so nothing could be logged.
        StoreError, VaultUnwritable, VaultFull, LogTampered, LogUnwritable: it may be repeated.
    """
    stored = StoredKeys.load(keys_file)
    if stored is None:
        raise KeyMissing("no key file of the site here")
    with _alone(places.root / "index.db"):
        pass
    vault = Vault(places.root, places.ephemeral, places.held, stored.ring.site, ())
    vault.keys.lent = identity
    with ExitStack() as stack:
        vault.open()
        stack.callback(vault.close)
        ledger = Ledger(vault, places.root / "custody", signer(stored), stored.origin)
        ledger.open(now)
        stack.callback(ledger.close)
        found = vault.recover()
        ledger.recordings.recovered(found, now)
        return found, vault.closed()


def _changed(stored: StoredKeys, add: Sequence[Custodian], retire: Sequence[str]) -> StoredKeys:
    for custodian in add:
        if custodian.id in {c.id for c in stored.custodians}:
            raise CustodianKnown
        stored = stored.adding(custodian)
    for name in retire:
        if name not in {c.id for c in stored.custodians}:
            raise CustodianNotFound
        stored = stored.retiring(name)
    if not stored.custodians:
        raise LastCustodian
    return stored


def _log(vault: Path, stored: StoredKeys) -> CustodyLog:
    return CustodyLog(vault / "custody", signer(stored), stored.origin).open()


def _carry_out(
    wrapping: Wrapping, identity: AnyIdentity | None, log: CustodyLog | None, now: datetime
) -> Rewrapped:
    opened = None if identity is None else _opener(wrapping, identity)
    result = wrapping.rewrap(opened)
    while result.more:
        result = result.then(wrapping.rewrap(opened))
    if log is not None and (result.added or result.removed):
        log.append("rewrapped", now, added=result.added, removed=result.removed, offline=True)
        log.checkpoint()
    return result


def _opener(wrapping: Wrapping, identity: AnyIdentity) -> Opener:
    def opened(recording_id: str) -> KnownIdentity | None:
        try:
            return wrapping.by_custodian(recording_id, identity)
        except KeyMissing:
            return None

    return opened


@contextmanager
def _alone(index: Path) -> Iterator[None]:
    """Have the index to ourselves: whoever runs has it open (sqlite.org/wal.html, section 8)."""
    if not index.is_file():
        yield
        return
    with closing(sqlite3.connect(index, timeout=0, isolation_level=None)) as db:
        try:
            db.execute("PRAGMA locking_mode=EXCLUSIVE")
            db.execute("BEGIN IMMEDIATE")
        except sqlite3.OperationalError:
            raise VaultInUse from None
        except sqlite3.DatabaseError:
            raise StoreError("the index cannot be read") from None
        try:
            yield
        finally:
            db.execute("ROLLBACK")
