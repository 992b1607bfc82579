"""Meetings in memory, in the store and in the custody log, kept in step.

Order of every change: decide (pure) -> custody log (synced) -> store -> memory. A kill between two
of them leaves the log ahead of the store, never behind it: what was reported is logged.
A change of a hold counts once it is logged, whatever the disk does then: memory takes it at once,
store and keys when they can (``catch_up``), and the next start reads it from the log (``open``).
All methods block on disk: the conductor calls them in its one worker thread.
"""

from collections.abc import Iterable, Sequence
from contextlib import suppress
from datetime import datetime, timedelta
from pathlib import Path

from roomwitness.custody import (
    Checkpoints,
    CustodyLog,
    LogTampered,
    LogUnwritable,
    SiteSigner,
    TlogProof,
    encode_entry,
)
from roomwitness.custody.checkpoints import due
from roomwitness.custody.errors import own_errors
from roomwitness.policy.meeting import Event, advance
from roomwitness.policy.words import RUNNING, Meeting, MeetingState, RoomPolicy
from roomwitness.vault import Receipt
from roomwitness.vault.errors import VaultFull, VaultUnwritable
from roomwitness.vault.store import Vault

from .agreement import differences
from .entries import KEPT_AT, PROTECTING, hold_fields, kind_of
from .recordings import Recordings
from .replay import Late, replayed, unread

# How long an erased meeting is remembered, so that its booking does not begin it again.
_REMEMBER = timedelta(days=2)
# A meeting that began longer ago than this has ended.
_LONGEST = timedelta(days=7)
# A copy of the folders that did not end after this time was given up.
_LONGEST_COPY = timedelta(hours=12)


class Ledger:
    """The one place where a meeting changes."""

    def __init__(self, vault: Vault, log_dir: Path, signer: SiteSigner, origin: str) -> None:
        self._vault = vault
        self._log_dir = log_dir
        self._signer = signer
        self._origin = origin
        self._log = CustodyLog(log_dir, signer, origin)
        self._kept = Checkpoints(log_dir)
        self._held_since: datetime | None = None
        self._meetings: dict[str, Meeting] = {}
        self._past: dict[str, Meeting] = {}
        self.recordings = Recordings(vault, lambda: self._log, self.note, self._hold)
        # Meetings with a logged change of a hold that store and keys may not have yet.
        self._behind: set[str] = set()
        self.rolled_back = False
        self.last_receipt: dict[str, Receipt] = {}
        # Names of logs that were set aside because they did not verify.
        self.tampered: tuple[str, ...] = ()

    def open(self, now: datetime) -> None:
        """Open the log (setting a tampered one aside, kept) and load the meetings.

        What it tells of holds and a kill or a failing disk kept from the store is carried out.
        """
        aside = None
        try:
            self._log.open(now)
        except LogTampered:
            aside = self._log_dir.with_name(f"{self._log_dir.name}.tampered-{now:%Y%m%dT%H%M%SZ}")
            with own_errors():
                self._log_dir.rename(aside)
            self._log = CustodyLog(self._log_dir, self._signer, self._origin)
            self._log.open(now)
        # A new one that was begun in a tampered one's place has less too.
        older = aside is None and self._vault.index.reached() > self._log.length
        late = unread(self._log, self._vault.index)
        if aside is not None:
            self.note("log_tampered", now, kept_as=aside.name)
        pattern = f"{self._log_dir.name}.tampered-*"
        self.tampered = tuple(sorted(path.name for path in self._log_dir.parent.glob(pattern)))
        self._look_for_rollback(now, older=older)
        for meeting in self._vault.live_meetings(now - _LONGEST - _REMEMBER):
            self._remember(meeting, now)
        self._carry_out(late, now)
        over = (m.id for m in self.meetings if m.state not in RUNNING)
        self.recordings.open(over, now, whole=aside is None and not self.rolled_back)
        for receipt in self._vault.last_receipts():
            self.last_receipt[receipt.room_id] = receipt

    def _carry_out(self, late: Iterable[Late], now: datetime) -> None:
        for each in late:
            entry = each.entry
            meeting = self.get(str(entry.get("meeting")))
            after = meeting and replayed(meeting, each)
            if after is None or after is meeting:
                continue
            fields = {"meeting": after.id, "hold": entry["hold"], "of": entry["kind"]}
            self.note("carried_out_late", now, **fields)
            self._remember(after, now)
            self._behind.add(after.id)
        with suppress(LogUnwritable, VaultFull, VaultUnwritable):  # Then the upkeep does it.
            self.catch_up()

    def _look_for_rollback(self, now: datetime, *, older: bool) -> None:
        """Tell that the log once had more, as log, kept heads or index (``older``) know.

        Only the first two know how many entries there were.
        """
        kept = self._kept.open().set_aside(self._log.size, now)
        had = max(self._log.rolled_back_from or 0, kept or 0)
        self.rolled_back = had > 0 or older
        if self.rolled_back:
            self.note("log_rolled_back", now, had=had or None)
        if self._kept.last is None or self._log.adopted:  # The first hour counts from here.
            self.keep_checkpoint(now)

    def close(self) -> None:
        """Close the log; every entry is signed already."""
        self._log.close()

    @property
    def meetings(self) -> tuple[Meeting, ...]:
        """All meetings that are not erased."""
        return tuple(self._meetings.values())

    def of_room(self, room_id: str) -> tuple[Meeting, ...]:
        """The room's meetings that are not erased."""
        return tuple(m for m in self._meetings.values() if m.room_id == room_id)

    def records(self, room_id: str) -> bool:
        """Whether a meeting of the room is being recorded."""
        return any(m.state is MeetingState.RECORDING for m in self.of_room(room_id))

    def of_room_with_past(self, room_id: str) -> tuple[Meeting, ...]:
        """The room's meetings, and those erased lately: what reconciliation must know."""
        past = tuple(m for m in self._past.values() if m.room_id == room_id)
        return (*self.of_room(room_id), *past)

    def get(self, meeting_id: str) -> Meeting | None:
        """The meeting, unless it is unknown or erased."""
        return self._meetings.get(meeting_id)

    def note(self, kind: str, now: datetime, **fields: str | float | bool | None) -> None:
        """Log and sign something that is not a change of a meeting."""
        self._log.append(kind, now, **fields)
        self._sign(kind, now)

    def _sign(self, kind: str, now: datetime) -> None:
        note = self._log.checkpoint()
        if kind in KEPT_AT:
            self._keep(note, now)

    def _keep(self, note: str, now: datetime) -> None:
        with suppress(LogUnwritable):  # What is reported is logged; one is kept a minute later.
            self._kept.keep(note, self._log.size, now)

    def keep_checkpoint(self, now: datetime) -> None:
        """Keep the newest signed head, as after each hold, release, export and erasure."""
        self._keep(self._log.checkpoint(), now)

    def hold_heads(self, now: datetime) -> None:
        """Until ``release_heads`` lines are written, but no heads: the folder is being copied."""
        self._log.holding, self._held_since = True, now
        self._kept.hold()

    def release_heads(self) -> None:
        """Write the newest head, and those that were to be kept.

        Raises:
            LogUnwritable.
        """
        self._log.holding, self._held_since = False, None
        self._log.checkpoint()
        self._kept.release()

    def checkpoint_due(self, now: datetime) -> bool:
        """Whether an hour has passed since a checkpoint was kept."""
        return due(self._kept.last, now)

    def keep_hourly(self, now: datetime, *, tidy: bool = True) -> None:
        """Log that the log is at work, so that also an hour in which nothing happens is signed.

        ``tidy`` lets go of older checkpoints that need not be kept.

        Raises:
            LogUnwritable: also if the checkpoint could not be kept.
        """
        since = self._held_since
        if since is not None and not timedelta(0) <= now - since < _LONGEST_COPY:
            self.release_heads()
        self._log.append("checkpoint", now)
        self._kept.keep(self._log.checkpoint(), self._log.size, now)
        if tidy:
            self._kept.tidy(now)

    def note_all(self, leaves: Sequence[bytes]) -> int:
        """Log entries (of ``encode_entry``) together, signed once; gives the first one's index."""
        if not leaves:
            return self._log.size
        first = self._log.append_all(leaves)
        self._log.checkpoint()
        return first

    @property
    def log(self) -> CustodyLog:
        """The custody log."""
        return self._log

    @property
    def folder(self) -> Path:
        """Where the log is."""
        return self._log_dir

    @property
    def kept(self) -> Checkpoints:
        """Its checkpoints that are kept."""
        return self._kept

    def disagreements(self) -> frozenset[str]:
        """Invariants (docs/schema.md) that do not hold between index and log; for any thread."""
        return differences(self._vault.index, self._log_dir, self._signer.vkey)

    def checkpoint(self) -> str:
        """The newest signed head of the log."""
        return self._log.checkpoint()

    def prove_all(self, entries: Sequence[tuple[int, bytes]]) -> list[TlogProof]:
        """Prove that entries are in the log, by index and line."""
        return self._log.prove_all(entries)

    @property
    def signer(self) -> SiteSigner:
        """The site's log key."""
        return self._signer

    def create(self, meeting: Meeting, now: datetime) -> Meeting:
        """Take in a new meeting."""
        self.note("meeting_planned", now, meeting=meeting.id, origin=meeting.origin)
        self._store(meeting, now)
        return meeting

    def apply(self, meeting: Meeting, event: Event, now: datetime, policy: RoomPolicy) -> Meeting:
        """Carry out one event.

        Raises:
            TransitionNotAllowed: the event does not fit the meeting's state; nothing is changed.
            LogUnwritable: it could not be logged; nothing is changed.
            VaultUnwritable, VaultFull: it is no change of a hold; logged, but not changed.
        """
        after, kind = advance(meeting, event, now, policy), kind_of(event)
        fields = {"meeting": meeting.id, "before": meeting.state, "state": after.state}
        leaf = encode_entry(kind, now, fields | hold_fields(event, after))
        self._log.append_all([leaf], unsigned=kind in PROTECTING)
        if after.holds == meeting.holds:
            self._sign(kind, now)
            self._store(after, now)
            return after
        self._remember(after, now)
        self._behind.add(after.id)
        with suppress(LogUnwritable, VaultFull, VaultUnwritable):
            self._sign(kind, now)
            self.catch_up()
        return after

    @property
    def behind(self) -> bool:
        """Whether a logged change of a hold is still to be carried out (``catch_up``)."""
        return bool(self._behind)

    def catch_up(self) -> None:
        """Sign and carry out, in store and keys, what is logged of holds and is not there yet.

        Raises:
            LogUnwritable, VaultUnwritable, VaultFull: it stays to be done; try again.
        """
        if not self._behind:
            return
        self._log.checkpoint()
        meetings = self._late()
        self._save(meetings)
        for meeting in meetings:
            if meeting.held:
                self._vault.hold_meeting(meeting.id)
            else:
                self._vault.release_meeting(meeting.id)
        self._behind.clear()

    def _hold(self, meeting_id: str) -> None:
        """The meeting has a new recording: if it is held, hold the key now, or when we can."""
        meeting = self.get(meeting_id)
        if meeting is None or not meeting.held:
            return
        self._behind.add(meeting_id)
        with suppress(LogUnwritable, VaultFull, VaultUnwritable):
            self.catch_up()

    def _late(self) -> list[Meeting]:
        return [m for m in self.meetings if m.id in self._behind]

    def forget(self, after: Meeting, receipt: Receipt, now: datetime) -> None:
        """The meeting is erased, in the store too (see erasures.py): only its receipt remains."""
        self._remember(after, now)
        self.last_receipt[after.room_id] = receipt

    def _store(self, meeting: Meeting, now: datetime) -> None:
        # With those that are behind: the index is what the log tells of holds, or is not changed.
        self._save([*self._late(), meeting])
        self._remember(meeting, now)

    def _save(self, meetings: Sequence[Meeting]) -> None:
        copied = self._held_since is not None
        self._vault.index.save_meetings(meetings, self._log.length, copied=copied)

    def _remember(self, meeting: Meeting, now: datetime) -> None:
        if meeting.state is not MeetingState.ERASED:
            self._meetings[meeting.id] = meeting
            return
        self._meetings.pop(meeting.id, None)
        self._past[meeting.id] = meeting
        self._past = {
            m.id: m
            for m in self._past.values()
            if m.started is not None and now - (m.planned_end or m.started) < _REMEMBER
        }
