"""Lines written behind the custody log, while the site is stopped, by somebody without its key.

Each tries to be rid of evidence: detected is what the hold outlives, and the start, then
`verify-log` and `check` tell of.
"""

import contextlib
import io
import shutil
import sqlite3
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from pathlib import Path

from roomwitness import cli
from roomwitness.custody import SealedFile, SiteSigner, encode_entry, files_root
from roomwitness.policy import meeting as events
from roomwitness.policy.words import GapCause, Meeting, RoomPolicy
from roomwitness.vault import ClockEvent, Gap, SegmentSummary, age
from roomwitness.vault.store import Vault
from roomwitness.witness.ledger import Ledger

T = datetime(2026, 11, 2, 9, 0, tzinfo=UTC)
_ORIGIN = "roomwitness/bench"
_POLICY = RoomPolicy(two_people=True)
_ENDING: tuple[dict[str, str | float], ...] = (
    {"kind": "release_hold", "hold": "h", "by": "p-3"},
    {"kind": "lapse_hold", "hold": "h"},
    {"kind": "ask_release", "hold": "h", "by": "p-3"},
    {"kind": "extend_hold", "hold": "h", "review_date": T.timestamp() + 1},
    {"kind": "erased"},
)


class Site:
    """One meeting that is held, with a recording that has ended."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self._identity, self._custodian = age.generate_identity(), age.generate_identity()
        self._signer = SiteSigner.generate(_ORIGIN)
        self.start()
        meeting = Meeting(id="m", room_id="r", origin="manual", planned_start=T)
        meeting = self.ledger.create(meeting, T)
        meeting = self.ledger.apply(meeting, events.Start(), T, _POLICY)
        recording = self.ledger.recordings.begin(meeting, "c", T).recording
        writer = self.vault.segment_writer(recording.id, T)
        writer.write(b"what happened " * 900)
        self.segment = writer.close(
            SegmentSummary(start=T, end=T, media_seconds=60, frames=600, lost_packets=0)
        )
        self.recording = recording.id
        gap = timedelta(seconds=20), timedelta(seconds=30)
        self.vault.add_gap(
            Gap(recording_id=recording.id, start=T + gap[0], end=T + gap[1], cause=GapCause.STALLED)
        )
        self.vault.add_clock_event(
            ClockEvent(recording_id=recording.id, at=T, kind="camera_offset", seconds=0.5)
        )
        meeting = self.ledger.apply(meeting, events.ReportThreat("h", "p-1"), T, _POLICY)
        meeting = self.ledger.apply(meeting, events.End(), T, _POLICY)
        self.ledger.recordings.end(meeting, T)
        self.stop()
        shutil.copytree(root, root.with_name("kept"))

    def start(self) -> None:
        folders = self.root / "vault", self.root / "cache", self.root / "held"
        self.vault = Vault(*folders, self._identity, (self._custodian.recipient,), 0)
        self.vault.open()
        self.ledger = Ledger(self.vault, self.root / "vault" / "custody", self._signer, _ORIGIN)
        self.ledger.open(T + timedelta(hours=1))

    def stop(self) -> None:
        self.ledger.close()
        self.vault.close()

    def forge(self, kind: str, **fields: str | int | float) -> None:
        with (self.root / "vault" / "custody" / "log.jsonl").open("ab") as file:
            file.write(encode_entry(kind, T, fields) + b"\n")

    def sql(self, *statements: str) -> None:
        with contextlib.closing(sqlite3.connect(self.root / "vault" / "index.db")) as db:
            for statement in statements:
                db.execute(statement)
            db.commit()

    def says(self, *words: str) -> tuple[bool, str]:
        """Whether all is well, and what the command printed."""
        out = io.StringIO()
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(out):
            code = cli.main([*words])
        return code == 0, out.getvalue()

    def verified(self) -> tuple[bool, str]:
        return self.says("verify-log", str(self.root / "vault" / "custody"))

    def checked(self) -> bool:
        stores = "--ephemeral", str(self.root / "cache"), "--held", str(self.root / "held")
        return self.says("check", str(self.root / "vault"), *stores)[0]

    def restore(self) -> None:
        shutil.rmtree(self.root)
        shutil.copytree(self.root.with_name("kept"), self.root)


def tries(root: Path) -> Iterator[tuple[str, bool]]:
    """Each thing that was done, and whether it was detected."""
    site = Site(root / "site")
    if not (site.verified()[0] and site.checked()):
        raise SystemExit("a site that was not changed counts as changed")
    for entry in _ENDING:
        fields = {name: value for name, value in entry.items() if name != "kind"}
        site.forge(str(entry["kind"]), meeting="m", **fields)
        yield from _told(site, f"forged line: {entry['kind']}")
    for kind, change in (
        ("a segment exchanged, with recording_amended", _exchange),
        ("evidence removed, with erased", _remove),
    ):
        change(site)
        yield from _told(site, f"forged line: {kind}", found=True)


def _told(site: Site, kind: str, *, found: bool = False) -> Iterator[tuple[str, bool]]:
    """``found``: whether also `check` must find it after the start."""
    yield f"{kind}: verify-log before the start", not site.verified()[0]
    yield f"{kind}: check before the start", not site.checked()
    site.start()
    held = all(
        meeting.held and not meeting.holds[0].release_asked for meeting in site.ledger.meetings
    )
    told = site.ledger.log.adopted == 1
    site.stop()
    yield f"{kind}: the start", held and told
    yield f"{kind}: verify-log after it", "not signed when a start found" in site.verified()[1]
    if found:
        yield f"{kind}: check after it", not site.checked()
    site.restore()


def _exchange(site: Site) -> None:
    recipient = age.generate_identity().recipient
    data = age.encrypt(b"nothing happened", [recipient])
    digest = sha256(data).hexdigest()
    site.segment.path.write_bytes(data)
    site.sql(f"UPDATE segment SET bytes = {len(data)}, sha256 = '{digest}'")
    root = files_root([SealedFile(site.segment.path.name, len(data), digest)])
    site.forge("recording_amended", recording=site.recording, files=1, files_root=root)


def _remove(site: Site) -> None:
    shutil.rmtree(site.root / "vault" / "segments" / site.recording)
    for store in ("cache/ephemeral-keys.db", "held/held-keys.db"):
        with contextlib.closing(sqlite3.connect(site.root / store)) as db:
            db.execute("DELETE FROM wrap")
            db.commit()
    site.sql(
        "DELETE FROM segment", "DELETE FROM recording", "DELETE FROM hold", "DELETE FROM meeting"
    )
    site.forge("erased", meeting="m")
