"""What cameras deliver to a meeting: begun, made whole and ended, in store and custody log.

All methods block on disk: the conductor calls them in its one worker thread.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence, Set
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta

from roomwitness.custody import CustodyLog, LogUnwritable
from roomwitness.policy.words import GapCause, Meeting
from roomwitness.vault import Gap, Recording, Recovered, Vault, rates

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

        An open recording whose key was lost is ended: nobody could read what would follow.

        Raises:
            LogUnwritable, VaultUnwritable, VaultFull, CustodiansUnusable: try again, it goes on
                from where it came to.
        """
        for recording in self._vault.recordings(meeting.id):
            if recording.camera_id == camera_id and recording.ended is None:
                if self._vault.has_key(recording.id):
                    return self._resume(recording, now)
                self._end(recording, now)
        start = now if kept_since is None else min(now, kept_since)
        recording = self._vault.begin_recording(meeting.id, camera_id, start)
        before = round((now - start).total_seconds(), 3)
        self.unlogged[recording.id] = {} if kept_since is None else {"pre_roll_s": before}
        self._log_begun(recording, now)
        del self.unlogged[recording.id]
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
            recording = self._vault.recording(recording_id)
            if recording is not None and recording.ended is not None:
                fields = {"recording": recording_id}
                self._note("recording_amended", now, **fields, **self._sealed(recording_id))

    def _sealed(self, recording_id: str) -> dict[str, str | int]:
        """What binds a recording's files to the log (custody/sealed.py)."""
        return bound_fields(
            [*self._vault.segments(recording_id), *self._vault.metadata(recording_id)]
        )

    def _end(self, recording: Recording, end: datetime) -> None:
        if recording.id in self.unlogged:
            self.catch_up(end)
        self.recovered(self._vault.make_whole(recording.id), end)
        until = self._vault.covered_until(recording.id)
        if end - until > _A_PICTURE:
            self._vault.add_gap(
                Gap(recording_id=recording.id, start=until, end=end, cause=GapCause.RESTART)
            )
        segments = self._vault.segments(recording.id)
        rates.weigh(self._vault.index, recording, end)
        self._note(
            "recording_ended",
            end,
            recording=recording.id,
            segments=len(segments),
            bytes=sum(s.bytes for s in segments),
            gaps=len(self._vault.gaps(recording.id)),
            **clock_fields(segments),
            **self.shown_clock(recording.camera_id),
            **self._sealed(recording.id),
        )
        # Only now: a recording that is listed as ended is in the log with its files.
        self._vault.end_recording(recording.id, end)
