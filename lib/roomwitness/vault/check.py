"""``roomwitness check``: the store's invariants by name (docs/schema.md), from outside.

Read-only, unless asked to repair what can be repaired without a key and without losing anything
that is committed. Index and key stores are compared in SQL, so that a million recordings take
seconds; segment files are looked at by name and size, and read only when asked (``deep``).
"""

import sqlite3
from collections.abc import Callable, Iterator, Mapping, Set
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from roomwitness import files

from .errors import StoreError
from .keys import KeyStore
from .leftovers import Account, Fate, settle
from .records import file_name, segment_of
from .writer import PART, TAIL

# A finding's row is named by its first column.
_SQL = {
    "index-references": (
        "SELECT \"table\" || ':' || rowid FROM pragma_foreign_key_check"
        ' WHERE "table" IN (SELECT name FROM main.sqlite_schema)'
    ),
    "erased-meeting-has-recordings": (
        "SELECT DISTINCT meeting.id FROM recording JOIN meeting ON meeting.id = recording.meeting"
        " WHERE meeting.state = 'erased'"
    ),
    "erased-meeting-has-receipt": (
        "SELECT id FROM meeting WHERE state = 'erased' AND started IS NOT NULL"
        " AND id NOT IN (SELECT meeting FROM receipt)"
    ),
    "receipt-of-erased-meeting": (
        "SELECT receipt.id FROM meeting JOIN receipt ON receipt.meeting = meeting.id"
        " WHERE meeting.state <> 'erased'"
    ),
    "recording-has-key": (
        "SELECT id FROM recording WHERE id NOT IN (SELECT recording FROM ephemeral.wrap)"
        " AND id NOT IN (SELECT recording FROM held.wrap)"
    ),
    "ephemeral-key-has-recording": (
        "SELECT DISTINCT recording FROM ephemeral.wrap"
        " WHERE recording NOT IN (SELECT id FROM recording)"
    ),
    "held-key-has-recording": (
        "SELECT DISTINCT recording FROM held.wrap WHERE recording NOT IN (SELECT id FROM recording)"
    ),
    "held-key-has-hold": (
        "SELECT DISTINCT wrap.recording FROM held.wrap"
        " JOIN recording ON recording.id = wrap.recording"
        " WHERE recording.meeting NOT IN (SELECT meeting FROM hold WHERE released IS NULL)"
    ),
    "hold-has-held-key": (
        "SELECT recording.id FROM hold JOIN recording ON recording.meeting = hold.meeting"
        " WHERE hold.released IS NULL AND recording.id NOT IN (SELECT recording FROM held.wrap)"
        " AND recording.id IN (SELECT recording FROM ephemeral.wrap) GROUP BY recording.id"
    ),
}
REPAIRABLE = frozenset(
    {
        "ephemeral-key-has-recording",
        "held-key-has-recording",
        "held-key-has-hold",
        "hold-has-held-key",
        "folder-has-recording",
        "no-stale-file",
    }
)


@dataclass(frozen=True, slots=True)
class Finding:
    """An invariant that does not hold, and of what; ids only."""

    invariant: str
    of: str
    repaired: bool = False


@dataclass(frozen=True, slots=True)
class Places:
    """The folders of one vault."""

    root: Path
    ephemeral: Path
    held: Path


def check(places: Places, *, sizes: bool = True, deep: bool = False) -> list[Finding]:
    """Every invariant that does not hold, by name.

    ``sizes`` looks at each segment's file, ``deep`` reads it and the index's pages too.

    Raises:
        StoreError: the index or a key store is missing or cannot be read.
    """
    try:
        with closing(_open(places)) as db:
            found = [
                Finding(name, str(row[0])) for name, sql in _SQL.items() for row in db.execute(sql)
            ]
            if deep:
                rows = db.execute("PRAGMA main.integrity_check(20)").fetchall()
                found += [Finding("index-whole", str(r[0])) for r in rows if r[0] != "ok"]
            found += _folders(db, places.root / "segments", sizes=sizes, deep=deep)
    except sqlite3.DatabaseError:
        raise StoreError("the store cannot be read") from None
    return found


def _open(places: Places) -> sqlite3.Connection:
    paths = {
        "main": places.root / "index.db",
        "ephemeral": places.ephemeral / "ephemeral-keys.db",
        "held": places.held / "held-keys.db",
    }
    for path in paths.values():
        if not path.is_file():
            raise StoreError("no such store here")
    uris = {name: f"{path.resolve().as_uri()}?mode=ro" for name, path in paths.items()}
    db = sqlite3.connect(uris["main"], uri=True)
    for name in ("ephemeral", "held"):
        db.execute(f"ATTACH ? AS {name}", (uris[name],))
    return db


def _folders(
    db: sqlite3.Connection, segments: Path, *, sizes: bool, deep: bool
) -> Iterator[Finding]:
    known = dict(db.execute("SELECT id, ended FROM recording"))
    on_disk = {path.name for path in segments.iterdir()} if segments.is_dir() else set()
    for name in sorted(on_disk - known.keys()):
        yield Finding("folder-has-recording", name)
    if not sizes:
        return
    ours = {
        row[0] for row in db.execute("SELECT recording FROM ephemeral.wrap WHERE kind = 'site'")
    }
    for recording_id, ended in known.items():
        listed = {
            file_name(row[0]): row[1:]
            for row in db.execute(
                "SELECT id, bytes, sha256 FROM segment WHERE recording = ?", (recording_id,)
            )
        }
        folder = segments / recording_id
        here = {p.name: p for p in folder.iterdir()} if recording_id in on_disk else {}
        for name, (size, digest) in listed.items():
            path = here.get(name)
            if path is None:
                yield Finding("segment-has-file", f"{recording_id}/{name}")
            elif path.stat().st_size != size:
                yield Finding("segment-has-its-size", f"{recording_id}/{name}")
            elif deep and files.sha256(path) != digest:
                yield Finding("segment-has-its-digest", f"{recording_id}/{name}")
        for name in sorted(here.keys() - listed.keys()):
            whole = name.removesuffix(PART).removesuffix(TAIL).removesuffix(files.NEW)
            ours_too = segment_of(whole) is not None  # Else somebody put it there: it stays.
            new = name.endswith(files.NEW) and ours_too
            if new or (name.endswith(TAIL) and whole in listed):
                if ended is not None:
                    yield Finding("no-stale-file", f"{recording_id}/{name}")
            elif ended is not None:
                closed = whole != name and ours_too and recording_id not in ours
                invariant = "sealed-segment-is-whole" if closed else "file-has-row"
                yield Finding(invariant, f"{recording_id}/{name}")


# What there is of a recording that is not listed: the custody log says whether it may go.
_UNLISTED = frozenset(
    {"ephemeral-key-has-recording", "held-key-has-recording", "folder-has-recording"}
)


def repair(
    places: Places,
    found: list[Finding],
    known: Set[str],
    account: Account,
    note: Callable[[Finding], None],
) -> list[Finding]:
    """Repair what can be, while nothing else has the vault open; gives the findings, marked.

    ``known`` are the recordings that the index lists now. ``note`` is told before each repair, and
    ``account`` of what is not listed and goes: only what it knows to be erased, or never begun.

    Raises:
        VaultUnwritable, StoreError, OSError: a store or folder cannot be written.
    """
    ephemeral = KeyStore(places.ephemeral / "ephemeral-keys.db")
    held = KeyStore(places.held / "held-keys.db")
    ephemeral.open()
    held.open()
    try:
        gone: set[str] = set()
        if any(f.invariant in _UNLISTED for f in found):
            went, _ = settle(known, ephemeral, held, places.root / "segments", account)
            gone = {one.recording for one in went}
        mended = _Mended(places, ephemeral, held, account.fates())
        return [
            Finding(f.invariant, f.of, repaired=f.of in gone)
            if f.invariant in _UNLISTED
            else Finding(f.invariant, f.of, repaired=mended.repair(f, note))
            for f in found
        ]
    finally:
        ephemeral.close()
        held.close()


@dataclass(frozen=True, slots=True)
class _Mended:
    """Repairs of what the index lists."""

    places: Places
    ephemeral: KeyStore
    held: KeyStore
    fates: Mapping[str, Fate]

    def repair(self, finding: Finding, note: Callable[[Finding], None]) -> bool:
        match finding.invariant:
            case "held-key-has-hold":
                fate = self.fates.get(finding.of)
                # Only if the log too says that it is not held, and nothing is lost by it.
                if fate is None or fate.held or self.ephemeral.get(finding.of) is None:
                    return False
                note(finding)
                self.held.destroy([finding.of])
            case "hold-has-held-key":
                wraps = self.ephemeral.get(finding.of)
                if wraps is None:
                    return False
                note(finding)
                self.held.put(finding.of, wraps.for_backups)
            case "no-stale-file":
                path = self.places.root / "segments" / finding.of
                note(finding)
                path.unlink()
                files.sync_folder(path.parent)
            case _:
                return False
        return True
