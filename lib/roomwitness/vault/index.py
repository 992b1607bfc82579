"""The SQLite index: rows in, rows out. It never sees a key."""

import sqlite3
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from roomwitness.policy.words import GapCause, Hold, Meeting, MeetingState

from .errors import IndexBusy, StoreError, VaultFull, VaultUnwritable
from .freeze import fold
from .holdrows import SELECT, forget_reasons, put_holds, read_hold
from .migrations import migrate
from .records import ClockEvent, Gap, Recording, Segment
from .times import maybe, put, time_of

_BUSY_MS = 5000


class Index:
    """Meetings, recordings, segments, gaps and receipts; safe for several threads."""

    def __init__(self, path: Path, segment_path: Callable[[str, str], Path]) -> None:
        self._path = path
        self._segment_path = segment_path
        self._lock = threading.RLock()
        self._db: sqlite3.Connection | None = None
        # Whether the write-ahead log may still have what is overwritten.
        self._unfolded = False

    def open(self) -> None:
        """Open or make the index, and bring it to this version.

        Raises:
            VaultUnwritable, VaultFull, StoreError.
        """
        with _translated():
            db = sqlite3.connect(
                self._path,
                timeout=_BUSY_MS / 1000,
                check_same_thread=False,
                isolation_level=None,
            )
            db.execute("PRAGMA journal_mode=WAL")
            db.execute("PRAGMA synchronous=FULL")
            db.execute("PRAGMA foreign_keys=ON")
            db.execute("PRAGMA secure_delete=ON")
            migrate(db)
        self._db = db
        self._fold()  # A kill may have come before it.

    def close(self) -> None:
        """Fold the write-ahead log in and close, once nobody uses it (as ``KeyStore.close``)."""
        with self._lock:
            if self._db is not None:
                self._db.close()
                self._db = None

    @contextmanager
    def change(self, *, patient: bool = True, synced: bool = True) -> Iterator[sqlite3.Connection]:
        """One transaction.

        It is ``patient`` with another process that writes, for some seconds. Not ``synced`` it is
        safe against a kill at once, and against a power cut with the next that is.

        Raises:
            IndexBusy: another process writes.
            VaultUnwritable, VaultFull, StoreError.
        """
        with self._lock, _translated():
            if self._db is None:
                raise StoreError("the index is closed")
            if not patient:
                self._db.execute("PRAGMA busy_timeout=0")
            if not synced:
                self._db.execute("PRAGMA synchronous=NORMAL")
            try:
                self._db.execute("BEGIN IMMEDIATE")
                yield self._db
                self._db.execute("COMMIT")
                if self._unfolded and patient and synced:
                    self._fold()
            except BaseException:
                if self._db.in_transaction:
                    self._db.execute("ROLLBACK")
                raise
            finally:
                if not patient:
                    self._db.execute(f"PRAGMA busy_timeout={_BUSY_MS}")
                if not synced:
                    self._db.execute("PRAGMA synchronous=FULL")

    def forget_reasons(self, db: sqlite3.Connection) -> None:
        """In a ``change``: what people wrote of holds of erased meetings goes, overwritten."""
        self._unfolded |= forget_reasons(db)

    def _fold(self) -> None:
        """Put the write-ahead log's pages in their places, and empty it of their older versions.

        Whoever reads just now, as for a backup (freeze.py), keeps it waiting: the next change tries
        again.
        """
        if self._db is not None:
            self._unfolded = not fold(self._db)

    def rows(self, sql: str, *values: object) -> list[tuple[Any, ...]]:
        """What a query gives."""
        with self._lock, _translated():
            if self._db is None:
                raise StoreError("the index is closed")
            return self._db.execute(sql, values).fetchall()

    def save_meeting(self, meeting: Meeting) -> None:
        """Insert or replace a meeting and its holds."""
        self.save_meetings([meeting])

    def save_meetings(
        self, meetings: Sequence[Meeting], logged: int | None = None, *, copied: bool = False
    ) -> None:
        """Insert or replace meetings and their holds, in one transaction.

        ``logged`` says up to which byte of the custody log they are all that it tells of holds.
        While index and log are being ``copied``, ``reached`` stays: of the log less may be in it.
        """
        with self.change() as db:
            for meeting in meetings:
                _save(db, meeting)
            if any(meeting.state is MeetingState.ERASED for meeting in meetings):
                self.forget_reasons(db)
            if logged is not None:
                db.execute(
                    "INSERT INTO caught_up VALUES (1, ?1, CASE WHEN ?2 THEN 0 ELSE ?1 END)"
                    " ON CONFLICT DO UPDATE SET log_bytes = ?1,"
                    " reached = CASE WHEN ?2 THEN reached ELSE ?1 END",
                    (logged, copied),
                )

    def caught_up(self) -> int | None:
        """Up to which byte of the custody log its changes of holds are here; None: never told."""
        rows = self.rows("SELECT log_bytes FROM caught_up")
        return int(rows[0][0]) if rows else None

    def reached(self) -> int:
        """How many bytes the custody log had, at least."""
        return int(self.rows("SELECT max(reached) FROM caught_up")[0][0] or 0)

    def meetings(self, where: str = "", *values: object) -> list[Meeting]:
        """Meetings, oldest first; ``where`` (of ours, never of a user) chooses."""
        holds: dict[str, list[Hold]] = {}
        chosen = f"WHERE hold.meeting IN (SELECT id FROM meeting {where})" if where else ""  # noqa: S608
        for row in self.rows(SELECT.format(chosen), *values):
            holds.setdefault(row[0], []).append(read_hold(row))
        return [
            Meeting(
                id=row[0],
                room_id=row[1],
                state=MeetingState(row[2]),
                origin=row[3],
                booking_key=row[4],
                planned_start=time_of(row[5]),
                planned_end=maybe(row[6]),
                started=maybe(row[7]),
                ended=maybe(row[8]),
                deadline=maybe(row[9]),
                erased=maybe(row[10]),
                holds=tuple(holds.get(row[0], ())),
            )
            for row in self.rows(
                f"SELECT * FROM meeting {where} ORDER BY planned_start, id",  # noqa: S608
                *values,
            )
        ]

    def save_recording(self, r: Recording) -> None:
        """Insert a recording, or note its end."""
        with self.change() as db:
            db.execute(
                "INSERT INTO recording VALUES (?,?,?,?,?,?)"
                " ON CONFLICT (id) DO UPDATE SET ended=excluded.ended",
                (r.id, r.meeting_id, r.camera_id, r.recipient, put(r.started), put(r.ended)),
            )

    def recordings(self, meeting_id: str | None = None) -> list[Recording]:
        """The meeting's recordings, or all of those that are not erased."""
        if meeting_id is None:
            return self._recordings("")
        return self._recordings("WHERE meeting = ?", meeting_id)

    def _recordings(self, where: str, *values: object) -> list[Recording]:
        return [
            read_recording(row)
            for row in self.rows(f"SELECT * FROM recording {where} ORDER BY started", *values)  # noqa: S608
        ]

    def open_recordings(self) -> list[Recording]:
        """Recordings whose end is not noted."""
        return self._recordings("WHERE ended IS NULL")

    def recording(self, recording_id: str) -> Recording | None:
        """One recording, if it is not erased."""
        return next(iter(self._recordings("WHERE id = ?", recording_id)), None)

    def add_segment(self, s: Segment, gaps: Iterable[Gap] = ()) -> None:
        """Insert a committed segment, and put gaps where they are known to be by now."""
        with self.change() as db:
            put_segment(db, s, gaps)

    def segments(self, recording_id: str) -> list[Segment]:
        """A recording's segments in their order, whatever our clock was set to between."""
        return [
            Segment(
                id=row[0],
                recording_id=row[1],
                path=self._segment_path(row[1], row[0]),
                start=time_of(row[2]),
                end=time_of(row[3]),
                media_seconds=row[4],
                bytes=row[5],
                sha256=row[6],
                frames=row[7],
                lost_packets=row[8],
                clock_offset_s=row[9],
                recovered=bool(row[10]),
                clock_offset_start_s=row[11],
                drift_ppm=row[12],
                clock_uncertainty_s=row[13],
                clock_source=row[14],
                host_steps=row[15] or 0,
            )
            for row in self.rows(
                "SELECT segment.*, offset_start, drift_ppm, uncertainty, source, host_steps"
                " FROM segment LEFT JOIN segment_clock ON segment = id"
                " WHERE recording = ? ORDER BY segment.rowid",
                recording_id,
            )
        ]

    def add_gap(self, g: Gap) -> None:
        """Insert a gap, or put the one of its id where it is known to be by now."""
        with self.change() as db:
            put_gaps(db, [g])

    def gaps(self, recording_id: str) -> list[Gap]:
        """A recording's gaps in order of time."""
        return [
            Gap(
                recording_id=row[0],
                start=time_of(row[1]),
                end=time_of(row[2]),
                cause=GapCause(row[3]),
                lost_packets=row[4],
                id=row[5],
            )
            for row in self.rows(
                "SELECT * FROM gap WHERE recording = ? ORDER BY start", recording_id
            )
        ]

    def add_clock_event(self, e: ClockEvent) -> None:
        """Insert what a clock did."""
        with self.change() as db:
            put_clock_event(db, e)

    def clock_events(self, recording_id: str) -> list[ClockEvent]:
        """What clocks did during a recording, in the order in which it was noticed."""
        return [
            ClockEvent(recording_id=row[0], at=time_of(row[1]), kind=row[2], seconds=row[3])
            for row in self.rows(
                "SELECT * FROM clock_event WHERE recording = ? ORDER BY rowid", recording_id
            )
        ]


def put_segment(db: sqlite3.Connection, s: Segment, gaps: Iterable[Gap]) -> None:
    """Insert a committed segment, and put gaps where they are known to be by now."""
    put_gaps(db, gaps)
    db.execute(
        "INSERT INTO segment VALUES (?,?,?,?,?,?,?,?,?,?,?)",
        (
            s.id,
            s.recording_id,
            put(s.start),
            put(s.end),
            s.media_seconds,
            s.bytes,
            s.sha256,
            s.frames,
            s.lost_packets,
            s.clock_offset_s,
            int(s.recovered),
        ),
    )
    db.execute(
        "INSERT INTO segment_clock SELECT ?,?,?,?,?, count(*) FROM clock_event"
        " WHERE recording = ? AND kind = 'host_step'",
        (
            s.id,
            s.clock_offset_start_s,
            s.drift_ppm,
            s.clock_uncertainty_s,
            s.clock_source,
            s.recording_id,
        ),
    )


def put_clock_event(db: sqlite3.Connection, e: ClockEvent) -> None:
    """Insert what a clock did."""
    db.execute(
        "INSERT INTO clock_event VALUES (?,?,?,?)",
        (e.recording_id, put(e.at), e.kind, e.seconds),
    )


def put_gaps(db: sqlite3.Connection, gaps: Iterable[Gap]) -> None:
    """Insert gaps, or put those of their ids where they are known to be by now."""
    for g in gaps:
        if g.end > g.start or g.lost_packets:
            db.execute(
                "INSERT INTO gap VALUES (?,?,?,?,?,?) ON CONFLICT (recording, id) DO UPDATE SET"
                ' start=excluded.start, "end"=excluded."end", cause=excluded.cause,'
                " lost_packets=excluded.lost_packets",
                (g.recording_id, put(g.start), put(g.end), g.cause, g.lost_packets, g.id),
            )
        else:
            db.execute("DELETE FROM gap WHERE recording = ? AND id = ?", (g.recording_id, g.id))


def _save(db: sqlite3.Connection, m: Meeting) -> None:
    db.execute(
        "INSERT INTO meeting VALUES (?,?,?,?,?,?,?,?,?,?,?) ON CONFLICT (id) DO UPDATE SET"
        " state=excluded.state, planned_start=excluded.planned_start,"
        " planned_end=excluded.planned_end, started=excluded.started,"
        " ended=excluded.ended, deadline=excluded.deadline, erased=excluded.erased",
        (
            m.id,
            m.room_id,
            m.state,
            m.origin,
            m.booking_key,
            *map(put, (m.planned_start, m.planned_end, m.started)),
            *map(put, (m.ended, m.deadline, m.erased)),
        ),
    )
    put_holds(db, m)


def read_recording(row: tuple[Any, ...]) -> Recording:
    """A row of ``recording``."""
    return Recording(
        id=row[0],
        meeting_id=row[1],
        camera_id=row[2],
        recipient=row[3],
        started=time_of(row[4]),
        ended=maybe(row[5]),
    )


@contextmanager
def _translated() -> Iterator[None]:
    try:
        yield
    except sqlite3.OperationalError as err:
        if err.sqlite_errorcode == sqlite3.SQLITE_FULL:
            raise VaultFull("the index could not be written") from None
        if err.sqlite_errorcode & 0xFF == sqlite3.SQLITE_BUSY:
            raise IndexBusy("another process writes into the index") from None
        raise VaultUnwritable("the index cannot be used") from None
    except sqlite3.DatabaseError:
        raise StoreError("the index is damaged") from None
