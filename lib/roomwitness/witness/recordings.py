"""What cameras deliver to a meeting: begun, made whole and ended, in store and custody log.

All methods block on disk: the conductor calls them in its one worker thread.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from roomwitness.policy.words import GapCause, Meeting
from roomwitness.vault import Gap, Recording, Recovered, Vault, rates

from .entries import bound_fields, clock_fields

# A tail shorter than this is a picture that was on its way.
_A_PICTURE = timedelta(seconds=1)


# Log and sign an entry: ``Ledger.note``.
type Note = Callable[..., None]


@dataclass(frozen=True, slots=True)
class Place:
    """Where a camera records to; until media comes, ``cause`` is why there is none ``since``."""

    recording: Recording
    since: datetime
    cause: GapCause


class Recordings:
    """Recordings of the ledger's meetings; ``unended``: of those that do not run, the ones with a
    recording whose end is not logged yet. ``shown_clock`` gives what is known by a camera's id of
    the clock that its device shows (devices.py)."""

    def __init__(self, vault: Vault, note: Note) -> None:
        self._vault = vault
        self._note = note
        self.unended: set[str] = set()
        self.shown_clock: Callable[[str], Mapping[str, float]] = lambda _camera_id: {}

    def open(self, over: Iterable[str]) -> None:
        """Find what a kill left of meetings that are ``over``."""
        self.unended = {r.meeting_id for r in self._vault.open_recordings()} & set(over)

    def begin(
        self, meeting: Meeting, camera_id: str, now: datetime, kept_since: datetime | None = None
    ) -> Place:
        """The meeting's recording of that camera: the open one after a restart, else a new one.

        ``kept_since`` is when its pre-roll began, if a threat keeps that.

        An open recording whose key was lost is ended: nobody could read what would follow.
        """
        for recording in self._vault.recordings(meeting.id):
            if recording.camera_id == camera_id and recording.ended is None:
                if self._vault.has_key(recording.id):
                    # A recording process may have died.
                    self.recovered(self._vault.make_whole(recording.id), now)
                    # Not after now: our clock may have been set back.
                    until = min(now, self._vault.covered_until(recording.id))
                    return Place(recording, until, GapCause.RESTART)
                self._end(recording, now)
        start = now if kept_since is None else min(now, kept_since)
        recording = self._vault.begin_recording(meeting.id, camera_id, start)
        fields = {"meeting": meeting.id, "recording": recording.id, **self.shown_clock(camera_id)}
        if kept_since is None:
            self._note("recording_begun", now, **fields)
        else:
            before = round((now - start).total_seconds(), 3)
            self._note("recording_begun", now, **fields, pre_roll_s=before)
        if meeting.held:
            self._vault.hold_meeting(meeting.id)
        return Place(recording, start, GapCause.CONNECTING)

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
