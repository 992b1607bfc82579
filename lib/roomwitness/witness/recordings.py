"""What cameras deliver to a meeting: begun, made whole and ended, in store and custody log.

All methods block on disk: the conductor calls them in its one worker thread.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence, Set
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta

from roomwitness.custody import Bound, CustodyLog, LogUnwritable, SealedFile, last_bound
from roomwitness.policy.words import GapCause, Meeting
from roomwitness.vault import Gap, Recording, Recovered, rates
from roomwitness.vault.listed import files_of, rows_of
from roomwitness.vault.store import Vault

from .entries import bound_fields, clock_fields

# A tail shorter than this is a picture that was on its way.
_A_PICTURE = timedelta(seconds=1)
# So many of the log's last bytes are read first.
_PIECE = 1 << 18


# Log and sign an entry: ``Ledger.note``.
type Note = Callable[..., None]


@dataclass(frozen=True, slots=True)
class Place:
    """Where a camera records to; until media comes, ``cause`` is why there is none ``since``."""

    recording: Recording
    since: datetime
    cause: GapCause


def not_begun(log: CustodyLog, recordings: Set[str]) -> set[str]:
    """Those of them of which the log does not say that they were begun.

    It is read from its end on, ever more of it: what runs was begun lately.

    Raises:
        LogUnwritable: the log cannot be read.
    """
    missing, piece = set(recordings), _PIECE
    while missing:
        begin = max(0, log.length - piece)
        for line in log.since(begin):
            if b'"recording_begun"' in line:
                missing -= {recording for recording in missing if recording.encode() in line}
        if not begin:
            break
        piece *= 8
    return missing


class Recordings:
    """Recordings of the ledger's meetings.

    ``unended`` are meetings that do not run, with a recording whose end is not logged yet;
    ``unlogged`` recordings that are begun, and in the log perhaps not: none is recorded into before
    it is there. ``hold`` sees to it that keys of a meeting, if it is held, are: now or later.
    ``shown_clock`` gives what is known by a camera's id of the clock that its device shows
    (devices.py).
    """

    def __init__(
        self, vault: Vault, log: Callable[[], CustodyLog], note: Note, hold: Callable[[str], None]
    ) -> None:
        self._vault = vault
        self._log = log
        self._note = note
        self._hold = hold
        self.unended: set[str] = set()
        self.shown_clock: Callable[[str], Mapping[str, float]] = lambda _camera_id: {}
        # With what its entry is to say besides.
        self.unlogged: dict[str, dict[str, float]] = {}
        # Begun by this process and not ended: the log binds nothing of them yet.
        self._unbound: set[str] = set()
        # The log has them with other files or rows than the index: nothing of them was signed.
        self.refused: set[str] = set()

    def open(self, over: Iterable[str], now: datetime, *, whole: bool) -> None:
        """Find what a kill left of meetings that are ``over``, or kept from the log.

        Only where the log is ``whole``: what another one may have told is not told anew. And only
        of a recording that has its key: whoever can write the index alone makes none look genuine.
        """
        left = self._vault.open_recordings()
        self.unended = {r.meeting_id for r in left} & set(over)
        if whole:
            known = {r.id for r in left if self._vault.has_key(r.id)}
            self.unlogged = {recording: {} for recording in not_begun(self._log(), known)}
        with suppress(LogUnwritable):  # Then the upkeep does it.
            self.catch_up(now)

    def catch_up(self, now: datetime) -> None:
        """Log what is begun and not in the log: a kill or a disk came between.

        Raises:
            LogUnwritable: it stays to be done; try again.
        """
        lacking = not_begun(self._log(), self.unlogged.keys())
        for recording_id in tuple(self.unlogged):
            recording = self._vault.recording(recording_id)
            if recording is not None:
                if recording_id in lacking:
                    self._log_begun(recording, now, late=True)
                self._hold(recording.meeting_id)
            del self.unlogged[recording_id]

    def _log_begun(self, recording: Recording, now: datetime, **more: bool) -> None:
        fields = {"meeting": recording.meeting_id, "recording": recording.id}
        known = {**self.shown_clock(recording.camera_id), **self.unlogged[recording.id]}
        self._note("recording_begun", now, **fields, **known, **more)

    def begin(
        self, meeting: Meeting, camera_id: str, now: datetime, kept_since: datetime | None = None
    ) -> Place:
        """The meeting's recording of that camera: the open one after a restart, else a new one.

        ``kept_since`` is when its pre-roll began, if a threat keeps that.

        An open recording whose key was lost is ended: nobody could read what would follow. So is
        one that ended by the log, whatever the index says.

        Raises:
            LogUnwritable, VaultUnwritable, VaultFull, CustodiansUnusable: try again, it goes on
                from where it came to.
        """
        for recording in self._vault.recordings(meeting.id):
            if recording.camera_id == camera_id and recording.ended is None:
                if self._vault.has_key(recording.id) and self._bound(recording.id) is None:
                    return self._resume(recording, now)
                self._end(recording, now)
        start = now if kept_since is None else min(now, kept_since)
        recording = self._vault.begin_recording(meeting.id, camera_id, start)
        before = round((now - start).total_seconds(), 3)
        self.unlogged[recording.id] = {} if kept_since is None else {"pre_roll_s": before}
        self._log_begun(recording, now)
        del self.unlogged[recording.id]
        self._unbound.add(recording.id)
        self._hold(meeting.id)
        return Place(recording, start, GapCause.CONNECTING)

    def _resume(self, recording: Recording, now: datetime) -> Place:
        if recording.id in self.unlogged:  # It was begun by half.
            self.catch_up(now)
        # A recording process may have died.
        self.recovered(self._vault.make_whole(recording.id), now)
        # Not after now: our clock may have been set back.
        until = min(now, self._vault.covered_until(recording.id))
        return Place(recording, until, GapCause.RESTART)

    def end(self, meeting: Meeting, now: datetime) -> None:
        """Close what is still open; what neither segment nor gap covers is declared.

        Raises:
            LogUnwritable, VaultUnwritable, VaultFull: ``unended`` has the meeting; try again.
        """
        self.unended.add(meeting.id)
        for recording in self._vault.recordings(meeting.id):
            if recording.ended is None:
                self._end(recording, meeting.ended or now)
        self.unended.discard(meeting.id)

    def recovered(self, found: Sequence[Recovered], now: datetime) -> None:
        """Log the segments that were made whole, and anew what recordings that had ended have."""
        for each in found:
            fields = {"recording": each.recording_id, "segment": each.segment_id}
            self._note("segment_recovered", now, **fields)
        for recording_id in sorted({each.recording_id for each in found}):
            bound = self._bound(recording_id)
            if bound is not None and self._vault.recording(recording_id) is not None:
                fresh = {f.segment_id for f in found if f.recording_id == recording_id}
                self._amend(recording_id, bound, fresh, now)

    def bind_late(self, recording_id: str, now: datetime) -> None:
        """Bind what came to light and was not logged: a kill came between row and entry."""
        bound = self._bound(recording_id)
        if bound is not None and bound.open:
            self._amend(recording_id, bound, frozenset(), now)

    def _amend(self, recording_id: str, bound: Bound, fresh: Set[str], now: datetime) -> None:
        """Bind what came to light with the rest; but never what the log knows otherwise.

        Whoever writes files and index, and has no key, would have the site sign for them: only
        what was not sealed when the recording ended may be added, to what was bound as it was.
        """
        rows = self._vault.index.rows
        late = fresh if bound.open is None else bound.open
        files = [SealedFile(*each) for each in files_of(rows, recording_id, late)]
        if not bound.holds(files, rows_of(rows, recording_id, late)):
            self.refused.add(recording_id)  # The check tells it: recording-as-logged.
            return
        left = self._vault.left_open(recording_id)
        fields = self._binding(recording_id, left if bound.open is None else left & bound.open)
        self._note("recording_amended", now, recording=recording_id, **fields)

    def _bound(self, recording_id: str) -> Bound | None:
        """What the log binds the recording by.

        Raises:
            LogUnwritable: the log cannot be read.
        """
        return None if recording_id in self._unbound else last_bound(self._log(), recording_id)

    def _binding(self, recording_id: str, left: Set[str]) -> dict[str, str | int]:
        """What binds a recording to the log (custody/bound.py); ``left`` are segments left open."""
        self._vault.sync()  # A loss of power must not take a row of which the log says that it is.
        rows = self._vault.index.rows
        return bound_fields(files_of(rows, recording_id), rows_of(rows, recording_id), left)

    def _end(self, recording: Recording, end: datetime) -> None:
        if recording.id in self.unlogged:
            self.catch_up(end)
        self.recovered(self._vault.make_whole(recording.id), end)
        if (bound := self._bound(recording.id)) is not None:
            # A kill came before the row, or somebody took its end away: nothing is signed again.
            self._vault.end_recording(recording.id, bound.ended or end)
            return
        until = self._vault.covered_until(recording.id)
        if end - until > _A_PICTURE:
            self._vault.add_gap(
                Gap(recording_id=recording.id, start=until, end=end, cause=GapCause.RESTART)
            )
        segments = self._vault.segments(recording.id)
        rates.weigh(self._vault.index, recording, end)
        fields = self._binding(recording.id, self._vault.left_open(recording.id))
        self._note(
            "recording_ended",
            end,
            recording=recording.id,
            segments=len(segments),
            bytes=sum(s.bytes for s in segments),
            gaps=len(self._vault.gaps(recording.id)),
            **clock_fields(segments),
            **self.shown_clock(recording.camera_id),
            **fields,
        )
        self._unbound.discard(recording.id)
        # Only now: a recording that is listed as ended is in the log with its files.
        self._vault.end_recording(recording.id, end)
