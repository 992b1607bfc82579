"""Recordings changed by somebody who writes files and index alike: does the custody log show it?

What such a person cannot have is the log's signing key; a recording's public key anyone can read,
so that any file can be made that opens with the recording's identity.
"""

import itertools
import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from pathlib import Path

from roomwitness.custody import (
    LogTampered,
    SiteSigner,
    disagreements,
    read_account,
    verify_files,
)
from roomwitness.policy import meeting as events
from roomwitness.policy.words import Meeting, RoomPolicy
from roomwitness.vault import SegmentSummary, age
from roomwitness.vault.listed import listed_in
from roomwitness.vault.store import Vault
from roomwitness.witness.ledger import Ledger

_T = datetime(2026, 11, 2, 9, 0, tzinfo=UTC)
_ORIGIN = "roomwitness/bench"
_POLICY = RoomPolicy()


def tries(root: Path, segments: int) -> Iterator[tuple[str, bool]]:
    """Each thing that was done, and whether it was detected."""
    site, custodian = age.generate_identity(), age.generate_identity()
    vault = Vault(root / "vault", root / "cache", root / "held", site, (custodian.recipient,), 0)
    vault.open()
    signer = SiteSigner.generate(_ORIGIN)
    ledger = Ledger(vault, root / "vault" / "custody", signer, _ORIGIN)
    ledger.open(_T)
    recordings = [_record(vault, ledger, name, segments) for name in ("m1", "m2")]
    ledger.close()
    vault.close()
    house = _House(root, signer.vkey)
    if house.seen():
        raise SystemExit("recordings that were not changed count as changed")
    for mine, theirs in itertools.permutations(recordings):
        yield from house.changed(mine, theirs)


def _record(vault: Vault, ledger: Ledger, name: str, segments: int) -> str:
    meeting = Meeting(id=name, room_id=name, origin="manual", planned_start=_T)
    meeting = ledger.apply(ledger.create(meeting, _T), events.Start(), _T, _POLICY)
    recording = ledger.recordings.begin(meeting, "c", _T).recording
    for number in range(segments):
        start = _T + timedelta(minutes=number)
        writer = vault.segment_writer(recording.id, start)
        writer.write(f"{name} {number:04d} ".encode() * 700)
        writer.close(
            SegmentSummary(start=start, end=start, media_seconds=60, frames=600, lost_packets=0)
        )
    ledger.recordings.end(ledger.apply(meeting, events.End(), _T, _POLICY), _T)
    return recording.id


class _House:
    """The vault on disk, each time put back as it was."""

    def __init__(self, root: Path, vkey: str) -> None:
        self.root = root / "vault"
        self._vkey = vkey
        self._saved = root / "saved"
        shutil.copytree(self.root, self._saved)

    def seen(self) -> bool:
        """What `roomwitness check` holds index and log against each other by."""
        custody = self.root / "custody"
        try:
            before = read_account(custody, self._vkey)
            return any(disagreements(listed_in(self.root), before, before))
        except LogTampered:
            return True

    def files(self, recording: str) -> list[Path]:
        return sorted((self.root / "segments" / recording).glob("*.age"))

    def sql(self, statement: str, *values: object) -> None:
        with closing(sqlite3.connect(self.root / "index.db")) as db:
            db.execute("PRAGMA foreign_keys = ON")
            db.execute(statement, values)
            db.commit()

    def recipient(self, recording: str) -> age.Recipient:
        with closing(sqlite3.connect(self.root / "index.db")) as db:
            query = "SELECT recipient FROM recording WHERE id = ?"
            return age.Recipient.from_string(db.execute(query, (recording,)).fetchone()[0])

    def put(self, path: Path, data: bytes) -> None:
        """This content in that place, and the index made to fit."""
        path.write_bytes(data)
        self.sql(
            "UPDATE segment SET bytes = ?, sha256 = ? WHERE id = ?",
            *(len(data), sha256(data).hexdigest(), path.name.partition(".")[0]),
        )

    def remove(self, path: Path) -> None:
        self.sql("DELETE FROM segment WHERE id = ?", path.name.partition(".")[0])
        path.unlink()

    def restore(self) -> None:
        shutil.rmtree(self.root)
        shutil.copytree(self._saved, self.root)

    def _told(self, kind: str, recording: str) -> Iterator[tuple[str, bool]]:
        yield f"recording: {kind}", self.seen()
        try:
            verify_files(
                self.root / "segments" / recording, recording, self.root / "custody", self._vkey
            )
            held = True
        except LogTampered:
            held = False
        yield f"recording's files alone: {kind}", not held
        self.restore()

    def changed(self, mine: str, theirs: str) -> Iterator[tuple[str, bool]]:
        count = len(self.files(mine))
        for at, other in itertools.product(range(count), repeat=2):
            path = self.files(mine)[at]
            self.put(path, self.files(theirs)[other].read_bytes())
            yield from self._told("a segment of another in its place", mine)
            if at != other:
                first, second = path.read_bytes(), self.files(mine)[other].read_bytes()
                self.put(self.files(mine)[other], first)
                self.put(path, second)
                yield from self._told("two segments exchanged", mine)
        for at in range(count):
            forged = age.encrypt(b"nothing happened", [self.recipient(mine)])
            self.put(self.files(mine)[at], forged)
            yield from self._told("a segment forged to its key", mine)
            self.remove(self.files(mine)[at])
            yield from self._told(
                "the last segment removed" if at == count - 1 else "a segment removed", mine
            )
            for path in self.files(mine)[at:]:
                self.remove(path)
            yield from self._told("cut off from here", mine)
        last = self.files(mine)[-1]
        shutil.copyfile(last, last.with_name("999999999999999-00000000.mp4.age"))
        columns = "start, end, media_seconds, bytes, sha256, frames, lost_packets, clock_offset"
        self.sql(
            "INSERT INTO segment SELECT '999999999999999-00000000', recording,"
            f" {columns}, recovered FROM segment WHERE id = ?",
            last.name.partition(".")[0],
        )
        yield from self._told("a segment added", mine)
        self.sql("DELETE FROM segment WHERE recording = ?", mine)
        self.sql("DELETE FROM recording WHERE id = ?", mine)
        shutil.rmtree(self.root / "segments" / mine)
        yield from self._told("all of it removed", mine)
