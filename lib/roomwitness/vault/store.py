"""The vault: what the conductor keeps meetings, recordings and segments in.

Layout: ``index.db``; ``segments/<recording>/<start ms>-<segment>.mp4.age`` (and, of a camera's
metadata, ``...-metadata.ndjson.age``). The key stores are
elsewhere (see keys.py). All methods block on disk and may be called from any thread.
"""

import secrets
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from datetime import datetime
from pathlib import Path

from roomwitness import files
from roomwitness.policy.words import Meeting

from . import age, copies, receipts, scan
from .check import Places, check
from .erasure import Erased, Eraser
from .errors import (
    AgeFormatError,
    KeyMissing,
    SegmentCorrupted,
    VaultElsewhere,
    VaultFull,
    VaultUnwritable,
    disk_error,
)
from .folder import begun, check_folder
from .freeze import Freeze
from .index import Index
from .intake import MIN_FREE_BYTES, Intake
from .keys import KeyStore
from .leftovers import Account, NoAccount
from .people import People
from .records import (
    ClockEvent,
    Gap,
    Receipt,
    Recording,
    Recovered,
    Segment,
)
from .recovery import Recovery
from .trial import TRIAL, keys_work
from .wrapping import KeyRing, Wrapping

# A recording process whose Home Assistant was killed seals what it has open, and ends.
_ENDING_S = 15.0
METHOD = "cryptographic erase: recording keys destroyed, then files unlinked (NIST SP 800-88r2)"


class Vault(Intake):
    """Everything that is on disk about meetings, except the custody log."""

    def __init__(
        self,
        root: Path,
        ephemeral_dir: Path,
        held_dir: Path,
        site: age.Identity,
        custodians: tuple[age.KnownRecipient, ...],
        min_free_bytes: int = MIN_FREE_BYTES,
        length: Callable[[bytes], float | None] = lambda _text: None,
    ) -> None:
        """Take the folders, and the keys of an ``assisted`` site: ``keys.ring`` may be set anew.
        ``length`` is as in ``Recovery``."""
        super().__init__(root, min_free_bytes)
        self._ephemeral = KeyStore(ephemeral_dir / "ephemeral-keys.db")
        self._held = KeyStore(held_dir / "held-keys.db")
        self.keys = Wrapping(self._ephemeral, self._held, KeyRing(site, custodians))
        self.people = People(root / "people.db")
        self._places = Places(root, ephemeral_dir, held_dir)
        self._freeze = Freeze(root / "index.db")
        self._eraser = Eraser(self._index, self._ephemeral, self._held, self._segments)
        stores = self._index, self._ephemeral, self._held, self._segments
        self._recovery = Recovery(*stores, self.keys.identity, self.keys.hold, length)

    def open(self) -> None:
        """Open the index and the key stores.

        Raises:
            VaultUnwritable, VaultFull, StoreError.
            VaultElsewhere: keys are here, and the folder has no vault; nothing is put into it.
        """
        if not begun(self._root):
            self._require_no_keys()
        check_folder(self._segments)
        super().open()
        self.people.open()
        self._ephemeral.open()
        self._held.open()

    def _require_no_keys(self) -> None:
        for store in (self._ephemeral, self._held):
            if not store.exists:
                continue
            store.open()
            try:
                if any(not name.startswith(TRIAL) for name in store.ids()):
                    raise VaultElsewhere
            finally:
                store.close()

    def close(self) -> None:
        """Close the index and the key stores."""
        self.thaw()
        super().close()
        self.people.close()
        self._ephemeral.close()
        self._held.close()

    def freeze(self) -> None:
        """Let the index's files be copied whole, until ``thaw``; writing goes on.

        Raises:
            VaultUnwritable.
        """
        self._freeze.begin()

    def thaw(self) -> None:
        """The copy is made, or given up."""
        self._freeze.end()

    # Meetings

    def save_meeting(self, meeting: Meeting) -> None:
        """Keep a meeting as it is now."""
        self._index.save_meeting(meeting)

    def meetings(self) -> list[Meeting]:
        """All meetings, the erased ones too, oldest first."""
        return self._index.meetings()

    def live_meetings(self, since: datetime) -> list[Meeting]:
        """Meetings that are not erased, and those erased ones that were planned since then."""
        live = self._index.meetings("WHERE state <> 'erased'")
        past = "WHERE state = 'erased' AND planned_start >= ?"
        return live + self._index.meetings(past, since.timestamp())

    # Recordings and segments

    def begin_recording(self, meeting_id: str, camera_id: str, now: datetime) -> Recording:
        """Make a recording with a key pair of its own; the wraps are stored before the row.

        Its folder is made first: a kill leaves it empty beside the key, and so tells that nothing
        was recorded (leftovers.py).

        Raises:
            CustodiansUnusable, VaultFull, VaultUnwritable.
        """
        recipient, wraps = self.keys.ring.new_key()
        recording = Recording(
            id=secrets.token_hex(16),
            meeting_id=meeting_id,
            camera_id=camera_id,
            recipient=str(recipient),
            started=now,
        )
        try:
            (self._segments / recording.id).mkdir(mode=0o700)
            files.sync_folder(self._segments)
        except OSError as err:
            raise disk_error(err) from None
        self._ephemeral.put(recording.id, wraps)
        self._index.save_recording(recording)
        return recording

    def make_whole(self, recording_id: str) -> list[Recovered]:
        """Seal again a segment that a full disk or a kill broke off, if there is room now."""
        recording = self._index.recording(recording_id)
        return [] if recording is None else self._recovery.recording(recording)

    def end_recording(self, recording_id: str, now: datetime) -> None:
        """Note the end; call ``make_whole`` first."""
        recording = self._index.recording(recording_id)
        if recording is not None:
            self._index.save_recording(replace(recording, ended=now))

    def open_recordings(self) -> list[Recording]:
        """Recordings whose end is not noted."""
        return self._index.open_recordings()

    def recording(self, recording_id: str) -> Recording | None:
        """One recording; None once it is erased."""
        return self._index.recording(recording_id)

    def recordings(self, meeting_id: str) -> list[Recording]:
        """The meeting's recordings; none once it is erased."""
        return self._index.recordings(meeting_id)

    def segments(self, recording_id: str) -> list[Segment]:
        """The committed segments of media in order of time."""
        return [s for s in self._index.segments(recording_id) if not s.metadata]

    def metadata(self, recording_id: str) -> list[Segment]:
        """The committed files of the camera's metadata in order of time."""
        return [s for s in self._index.segments(recording_id) if s.metadata]

    def gaps(self, recording_id: str) -> list[Gap]:
        """The declared gaps in order of time."""
        return self._index.gaps(recording_id)

    def clock_events(self, recording_id: str) -> list[ClockEvent]:
        """What clocks did during the recording, in the order in which it was noticed."""
        return self._index.clock_events(recording_id)

    def covered_until(self, recording_id: str) -> datetime:
        """Up to when segments and gaps account for the recording."""
        recording = self._index.recording(recording_id)
        if recording is None:
            raise KeyMissing("no such recording")
        ends = [s.end for s in self.segments(recording_id)]
        ends += [g.end for g in self.gaps(recording_id)]
        return max(ends, default=recording.started)

    def read_segment(self, segment: Segment) -> Iterator[bytes]:
        """The segment's media, decrypted in memory by the site's key.

        Raises:
            RecordingSealed: only a custodian can read it.
            KeyMissing: the key is destroyed or lost.
            SegmentCorrupted: it is missing, shortened or changed.
        """
        identity = self.keys.identity(segment.recording_id)
        try:
            with segment.path.open("rb") as source:
                yield from age.decrypt_stream(source, [identity])
        except OSError, AgeFormatError:
            raise SegmentCorrupted(segment=segment.id) from None

    def recover(self, account: Account | None = None) -> list[Recovered]:
        """Make whole what a kill left open, and take away what ``account`` says was erased.

        Raises:
            VaultInUse: another process still records into this vault.
            VaultUnwritable, VaultFull: a store cannot be changed, or a folder not read.
        """
        with self.alone.held(_ENDING_S):
            return self._recovery.everything(account or NoAccount())

    @property
    def unlisted(self) -> frozenset[str]:
        """Recordings that ``recover`` found, whole or in part, and the index does not list."""
        return self._recovery.unlisted

    def closed(self) -> int:
        """How many recordings have a segment, left open by a kill, that only a custodian can close.

        ``roomwitness recover`` does it (docs/keys.md).
        """
        return self._recovery.closed()

    # Holds and erasure

    def hold_meeting(self, meeting_id: str) -> None:
        """Copy the custodians' wraps into the store that backups take."""
        for recording in self.recordings(meeting_id):
            self.keys.hold(recording.id)

    def hold_rest(self) -> None:
        """Hold what is held by the index alone: its custodians could not be encrypted to before.

        Raises:
            VaultUnwritable, VaultFull, StoreError.
        """
        self._recovery.settle_holds(
            {str(row[0]) for row in self._index.rows("SELECT id FROM recording")}
        )

    def release_meeting(self, meeting_id: str) -> None:
        """Take the wraps out of the store that backups take."""
        self._held.destroy(r.id for r in self.recordings(meeting_id))

    def see_held(self, now: datetime) -> None:
        """Note which meetings' wraps lie now where backups take them (copies.py).

        Raises:
            VaultUnwritable, VaultFull, StoreError.
        """
        copies.seen(self._index, self._held.ids(), now)

    def destroy(
        self, meeting_ids: Sequence[str]
    ) -> dict[str, Erased | VaultFull | VaultUnwritable]:
        """Destroy meetings' keys, then their files; for each what is gone, or what kept it.

        The index still lists them until ``receive``, so that this may be repeated.

        Raises:
            VaultUnwritable, StoreError: the index cannot be read.
        """
        return self._eraser.destroy(meeting_ids)

    @staticmethod
    def receipt(meeting: Meeting, erased: Erased, now: datetime, decision: str) -> Receipt:
        """The receipt of what is gone."""
        return Receipt(
            id=secrets.token_hex(16),
            meeting_id=meeting.id,
            room_id=meeting.room_id,
            erased_at=now,
            method=METHOD,
            decision=decision,
            recordings=len(erased.recordings),
            segments=erased.segments,
            bytes=erased.bytes,
        )

    def receive(self, found: Sequence[tuple[Receipt, str | None]]) -> None:
        """Exchange the rows of erased meetings for receipts with their signed files."""
        receipts.receive(self._index, found)
        self._eraser.forget(receipt.meeting_id for receipt, _ in found)

    @property
    def index(self) -> Index:
        """The index, for lists (listing.py)."""
        return self._index

    def receipts(self) -> list[Receipt]:
        """All receipts, oldest first."""
        return receipts.receipts(self._index)

    def receipt_of(self, meeting_id: str) -> Receipt | None:
        """The receipt of a meeting's erasure."""
        return receipts.receipt_of(self._index, meeting_id)

    def last_receipts(self) -> list[Receipt]:
        """The newest receipt of each room."""
        return receipts.last_receipts(self._index)

    def receipt_file(self, name: str) -> str | None:
        """The signed file of a receipt, by its own or its meeting's id."""
        return receipts.stored_file(self._index, name)

    # Keys and checks

    def has_key(self, recording_id: str) -> bool:
        """Whether the recording can still be read: by the site, or a sealed one by a custodian."""
        return self._ephemeral.get(recording_id) is not None

    def keys_gone(self, meeting_id: str) -> bool:
        """Whether there are recordings of it and none has a key: nothing of it can be opened.

        Raises:
            VaultUnwritable, StoreError: a store cannot be read.
        """
        found = self.recordings(meeting_id)
        stores = (self._ephemeral, self._held)
        return bool(found) and not any(store.get(r.id) for r in found for store in stores)

    def export_identities(self, meeting_id: str, custodian: age.AnyIdentity) -> dict[str, str]:
        """Each recording's identity, opened by a custodian: for ``age -d -i``.

        Raises:
            KeyMissing: the keys are destroyed, or this custodian's identity does not open them.
        """
        return {
            recording.id: str(self.keys.by_custodian(recording.id, custodian))
            for recording in self.recordings(meeting_id)
        }

    def lost_keys(self) -> list[str]:
        """Meetings that should be readable but have a recording without a key."""
        here = self._ephemeral.ids() | self._held.ids()
        lost = {r.meeting_id for r in self._index.recordings() if r.id not in here}
        if not lost:
            return []
        return sorted(lost & {m.id for m in self._index.meetings("WHERE state <> 'erased'")})

    def damaged(self, stop: Callable[[], bool] = lambda: False) -> list[str]:
        """Meetings with a segment whose bytes are not those that were sealed.

        Reads every byte, so it takes its time; ``stop`` is asked before each segment.
        """
        return scan.damaged(self._index, stop)

    def check(self) -> list[str]:
        """Broken invariants, each with what it is broken of; looks at every segment's size.

        Raises:
            StoreError: a store cannot be read.
        """
        return [f"{finding.invariant} {finding.of}" for finding in check(self._places)]

    def broken(self) -> list[str]:
        """Names of the index's and key stores' invariants that do not hold; no file is looked at.

        For the start, when nothing else writes. Lost keys are told by ``lost_keys``.

        Raises:
            StoreError: a store cannot be read.
        """
        names = {finding.invariant for finding in check(self._places, sizes=False)}
        return sorted(names - {"recording-has-key"})

    def keys_work(self) -> bool:
        """Whether a recording's key could be made, kept, opened and destroyed now."""
        return keys_work(self._ephemeral, self.keys.ring)
