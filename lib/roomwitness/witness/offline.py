"""What a custodian does while Home Assistant is stopped: for sealed sites and lost keys.

Same order as at work (keys.py): custody log, key file, wraps. Without the key file the log's key
is lost too, and only the wraps are changed.
"""

import sqlite3
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager
from datetime import datetime
from pathlib import Path

from roomwitness.capture.length import length
from roomwitness.custody import (
    CustodyLog,
    LogTampered,
    LogUnwritable,
    disagreements,
    read_account,
)
from roomwitness.vault import Recovered, leftovers
from roomwitness.vault.age import AnyIdentity, KnownIdentity, generate_identity, parse_recipient
from roomwitness.vault.alone import Alone
from roomwitness.vault.check import REPAIRABLE, Finding, Places, repair
from roomwitness.vault.errors import KeyMissing, StoreError, VaultInUse, disk_error
from roomwitness.vault.keyfile import Custodian, StoredKeys, destroy_old
from roomwitness.vault.keys import KeyStore
from roomwitness.vault.leftovers import Leftover
from roomwitness.vault.listed import listed
from roomwitness.vault.store import Vault
from roomwitness.vault.wrapping import KeyRing, Opener, Rewrapped, Wrapping

from .config import signer
from .errors import CustodianKnown, CustodianNotFound, LastCustodian, RecordingKept
from .ledger import Ledger
from .leftovers import Told


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
        log = stack.enter_context(closing(_log(places.root, stored, now)))
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
    stored = _required(keys_file)
    with _alone(places.root / "index.db"):
        pass
    vault = Vault(places.root, places.ephemeral, places.held, stored.ring.site, (), length=length)
    vault.keys.lent = identity
    with ExitStack() as stack:
        vault.open()
        stack.callback(vault.close)
        ledger = Ledger(vault, places.root / "custody", signer(stored), stored.origin)
        ledger.open(now)
        stack.callback(ledger.close)
        account = Told(ledger.log, ledger.folder, ledger.signer.vkey, now, offline=True)
        found = vault.recover(account)
        ledger.recordings.recovered(found, now)
        told = read_account(ledger.folder, ledger.signer.vkey)
        for name, recording in [*disagreements(listed(vault.index.rows), told, told)]:
            if name == "recording-as-logged":
                ledger.recordings.bind_late(recording, now)
        if ledger.recordings.refused:  # check names them.
            raise LogTampered("recordings are not as the log was told: nothing is signed for them")
        return found, vault.closed()


def mend(
    places: Places, keys_file: Path, look: Callable[[], list[Finding]], now: datetime
) -> list[Finding]:
    """Repair what ``look`` finds and can be repaired, each in the custody log before it is done.

    Nobody else has the vault meanwhile.

    Raises:
        VaultInUse: Home Assistant runs, or something still records.
        KeyMissing: there is no key file, so nothing could be logged.
        StoreError, VaultUnwritable, VaultFull, LogTampered, LogUnwritable: it may be repeated.
    """
    stored = _required(keys_file)
    with Alone(places.root / "recording.lock").held(0):
        with _alone(places.root / "index.db"):
            pass
        found = look()
        if not any(finding.invariant in REPAIRABLE for finding in found):
            return found
        # Home Assistant may have opened it since; what it lists is read again once it cannot.
        with _mending(places, stored, now) as (log, known, account):

            def note(finding: Finding) -> None:
                fields = {"invariant": finding.invariant, "of": finding.of}
                log.append("repaired", now, **fields, offline=True)
                log.checkpoint()

            return repair(places, found, known, account, note)


def discard(
    places: Places,
    keys_file: Path,
    recordings: Sequence[str],
    now: datetime,
    identity: AnyIdentity | None = None,
) -> list[Leftover]:
    """Destroy what there is of recordings that the index does not list, logged; gives what it was.

    What may be evidence, of which the log knows nothing (it was lost with the index), goes only by
    a custodian's ``identity`` that opens it.

    Raises:
        VaultInUse, KeyMissing, StoreError, VaultUnwritable, LogTampered, LogUnwritable.
        RecordingKept: one is listed, not there, or held as far as is known; nothing is changed.
    """
    stored = _required(keys_file)
    with (
        Alone(places.root / "recording.lock").held(0),
        _mending(places, stored, now) as (_, known, account),
        closing(KeyStore(places.ephemeral / "ephemeral-keys.db")) as ephemeral,
        closing(KeyStore(places.held / "held-keys.db")) as held,
    ):
        ephemeral.open()
        held.open()
        segments = places.root / "segments"
        found = {one.recording: one for one in leftovers.find(known, ephemeral, held, segments)}
        fates = account.fates()
        opened = _opener(Wrapping(ephemeral, held, stored.ring), identity) if identity else None
        for name in recordings:
            one, fate = found.get(name), fates.get(name)
            if one is None or (fate is not None and fate.held):
                raise RecordingKept
            # What the log does not know may be evidence if a wrap lies where backups take it.
            if fate is None and one.held and (opened is None or opened(name) is None):
                raise RecordingKept
        gone = [found[name] for name in recordings]
        if not account.going(gone, fates):
            raise LogUnwritable("the log cannot be written")
        leftovers.destroy(gone, ephemeral, held, segments)
        return gone


def _required(keys_file: Path) -> StoredKeys:
    stored = StoredKeys.load(keys_file)
    if stored is None:
        raise KeyMissing("no key file of the site here")
    return stored


@contextmanager
def _mending(
    places: Places, stored: StoredKeys, now: datetime
) -> Iterator[tuple[CustodyLog, frozenset[str], Told]]:
    """The log, the recordings that the index lists, and the log's account; all to ourselves."""
    folder = places.root / "custody"
    if not (folder / "log.jsonl").is_file():
        raise LogTampered("the custody log is gone")
    with _alone(places.root / "index.db") as db, closing(_log(places.root, stored, now)) as log:
        if db is None:
            raise StoreError("no such store here")
        known = frozenset(str(row[0]) for row in db.execute("SELECT id FROM recording"))
        yield log, known, Told(log, folder, signer(stored).vkey, now, offline=True)


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


def _log(vault: Path, stored: StoredKeys, now: datetime) -> CustodyLog:
    return CustodyLog(vault / "custody", signer(stored), stored.origin).open(now)


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
def _alone(index: Path) -> Iterator[sqlite3.Connection | None]:
    """Have the index to ourselves: whoever runs has it open (sqlite.org/wal.html, section 8).

    Gives it, or None where there is none.
    """
    if not index.is_file():
        yield None
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
            yield db
        finally:
            db.execute("ROLLBACK")
