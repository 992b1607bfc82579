"""The schema, one script a version (``PRAGMA user_version``). Never edit one that shipped."""

import sqlite3

from .errors import StoreError

_V1 = """
CREATE TABLE meeting (
    id TEXT PRIMARY KEY, room TEXT NOT NULL, state TEXT NOT NULL, origin TEXT NOT NULL,
    booking TEXT, planned_start REAL NOT NULL, planned_end REAL, started REAL, ended REAL,
    deadline REAL, erased REAL
) STRICT;
CREATE INDEX meeting_by_room ON meeting (room, state);
CREATE TABLE hold (
    id TEXT PRIMARY KEY, meeting TEXT NOT NULL REFERENCES meeting, place INTEGER NOT NULL,
    kind TEXT NOT NULL, reason TEXT NOT NULL, created REAL NOT NULL, review_date REAL NOT NULL,
    released REAL, release_reason TEXT
) STRICT;
CREATE INDEX hold_by_meeting ON hold (meeting, place);
CREATE TABLE recording (
    id TEXT PRIMARY KEY, meeting TEXT NOT NULL REFERENCES meeting, camera TEXT NOT NULL,
    recipient TEXT NOT NULL, started REAL NOT NULL, ended REAL
) STRICT;
CREATE INDEX recording_by_meeting ON recording (meeting);
CREATE TABLE segment (
    id TEXT PRIMARY KEY, recording TEXT NOT NULL REFERENCES recording, start REAL NOT NULL,
    "end" REAL NOT NULL, media_seconds REAL NOT NULL, bytes INTEGER NOT NULL,
    sha256 TEXT NOT NULL, frames INTEGER NOT NULL, lost_packets INTEGER NOT NULL,
    clock_offset REAL, recovered INTEGER NOT NULL
) STRICT;
CREATE INDEX segment_by_recording ON segment (recording, start);
CREATE TABLE gap (
    recording TEXT NOT NULL REFERENCES recording, start REAL NOT NULL, "end" REAL NOT NULL,
    cause TEXT NOT NULL, lost_packets INTEGER NOT NULL
) STRICT;
CREATE INDEX gap_by_recording ON gap (recording, start);
CREATE TABLE receipt (
    id TEXT PRIMARY KEY, meeting TEXT NOT NULL UNIQUE REFERENCES meeting, room TEXT NOT NULL,
    erased_at REAL NOT NULL, method TEXT NOT NULL, decision TEXT NOT NULL,
    recordings INTEGER NOT NULL, segments INTEGER NOT NULL, bytes INTEGER NOT NULL
) STRICT;
"""

# Signed receipts, and indexes for lists that begin anywhere (listing.py).
_RECEIPTS_AND_LISTS = """
CREATE TABLE receipt_file (
    receipt TEXT PRIMARY KEY REFERENCES receipt, file TEXT NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX receipt_by_time ON receipt (erased_at, id);
CREATE INDEX receipt_by_room ON receipt (room, erased_at, id);
CREATE INDEX meeting_by_time ON meeting (planned_start, id);
CREATE INDEX meeting_by_room_time ON meeting (room, planned_start, id);
CREATE INDEX meeting_by_state_time ON meeting (state, planned_start, id);
CREATE INDEX meeting_by_room_state_time ON meeting (room, state, planned_start, id);
DROP INDEX meeting_by_room;
CREATE INDEX meeting_live ON meeting (planned_start) WHERE state <> 'erased';
CREATE INDEX recording_by_time ON recording (started, id);
CREATE INDEX recording_by_camera ON recording (camera, started, id);
CREATE INDEX recording_open ON recording (started) WHERE ended IS NULL;
"""

# Backups that somebody took (copies.py).
_COPIES = """
CREATE TABLE copy (
    id TEXT PRIMARY KEY, taken REAL NOT NULL, gone REAL, confirmed INTEGER NOT NULL DEFAULT 0
) STRICT, WITHOUT ROWID;
"""

# Clocks (docs/time.md). They go with their segment and recording.
_CLOCKS = """
CREATE TABLE segment_clock (
    segment TEXT PRIMARY KEY REFERENCES segment ON DELETE CASCADE, offset_start REAL,
    drift_ppm REAL, uncertainty REAL, source TEXT, host_steps INTEGER NOT NULL
) STRICT;
CREATE TABLE clock_event (
    recording TEXT NOT NULL REFERENCES recording ON DELETE CASCADE, at REAL NOT NULL,
    kind TEXT NOT NULL, seconds REAL NOT NULL
) STRICT;
CREATE INDEX clock_event_by_recording ON clock_event (recording, at);
"""

_HOLD_PEOPLE = """
ALTER TABLE hold ADD COLUMN placed_by TEXT;
ALTER TABLE hold ADD COLUMN release_asked REAL;
ALTER TABLE hold ADD COLUMN release_asked_by TEXT;
ALTER TABLE hold ADD COLUMN release_ask_reason TEXT;
ALTER TABLE hold ADD COLUMN review_reason TEXT;
"""

# What each camera sends, as measured (rates.py).
_RATES = """
CREATE TABLE camera_rate (
    camera TEXT PRIMARY KEY, bits_per_s REAL NOT NULL, measured REAL NOT NULL
) STRICT, WITHOUT ROWID;
"""

# Who placed a hold was Home Assistant's id of the user: nobody's from now on (people.py).
_PSEUDONYMS = """
CREATE TEMP TABLE alias AS SELECT account, 'p-' || lower(hex(randomblob(8))) AS person FROM
    (SELECT placed_by AS account FROM hold UNION SELECT release_asked_by FROM hold);
UPDATE hold SET placed_by = (SELECT person FROM alias WHERE account = placed_by),
    release_asked_by = (SELECT person FROM alias WHERE account = release_asked_by);
DROP TABLE alias;
"""

# A gap that was declared while its segment was open is moved when the segment is sealed.
_GAPS_MOVE = """
ALTER TABLE gap ADD COLUMN id TEXT;
CREATE UNIQUE INDEX gap_by_id ON gap (recording, id);
"""

# Up to which byte of the custody log its changes of holds are carried out here.
_CAUGHT_UP = """
CREATE TABLE caught_up (
    only INTEGER PRIMARY KEY CHECK (only = 1), log_bytes INTEGER NOT NULL
) STRICT;
"""

# Between when and when a meeting's wraps were seen where backups take them (copies.py).
_WRAPS_SEEN = """
CREATE TABLE wrap_seen (
    meeting TEXT PRIMARY KEY REFERENCES meeting, first REAL NOT NULL, last REAL NOT NULL
) STRICT, WITHOUT ROWID;
"""

# Who has each backup; nobody knew until now of those that there are (copies.py).
_COPY_AGENTS = """
CREATE TABLE copy_agent (
    copy TEXT NOT NULL REFERENCES copy, agent TEXT NOT NULL, PRIMARY KEY (copy, agent)
) STRICT, WITHOUT ROWID;
INSERT INTO copy_agent SELECT id, '' FROM copy WHERE gone IS NULL;
"""

# How many bytes the custody log had, at least: a log of fewer is an older one.
_REACHED = """
ALTER TABLE caught_up ADD COLUMN reached INTEGER NOT NULL DEFAULT 0;
"""

# What people wrote of holds stands apart (holdrows.py). Of what is erased it goes: its table is
# dropped and so overwritten (``secure_delete``), as are pages that were free before that was on.
_REASONS_APART = """
CREATE TABLE hold_text (
    hold TEXT PRIMARY KEY, reason TEXT NOT NULL, release_reason TEXT, release_ask_reason TEXT,
    review_reason TEXT
) STRICT;
INSERT INTO hold_text
    SELECT hold.id, reason, release_reason, release_ask_reason, review_reason FROM hold
    JOIN meeting ON meeting.id = hold.meeting WHERE state <> 'erased';
CREATE TABLE new_hold (
    id TEXT PRIMARY KEY, meeting TEXT NOT NULL REFERENCES meeting, place INTEGER NOT NULL,
    kind TEXT NOT NULL, created REAL NOT NULL, review_date REAL NOT NULL, released REAL,
    placed_by TEXT, release_asked REAL, release_asked_by TEXT
) STRICT;
INSERT INTO new_hold SELECT id, meeting, place, kind, created, review_date, released, placed_by,
    release_asked, release_asked_by FROM hold;
DROP TABLE hold;
ALTER TABLE new_hold RENAME TO hold;
CREATE INDEX hold_by_meeting ON hold (meeting, place);
CREATE TABLE filler (zeros BLOB) STRICT;
INSERT INTO filler SELECT zeroblob(min(freelist_count * page_size, 500000000))
    FROM pragma_freelist_count, pragma_page_size;
DROP TABLE filler;
"""

SCRIPTS = (
    *(_V1, _RECEIPTS_AND_LISTS, _COPIES, _CLOCKS, _HOLD_PEOPLE, _RATES, _PSEUDONYMS),
    *(_GAPS_MOVE, _CAUGHT_UP, _WRAPS_SEEN, _COPY_AGENTS, _REACHED),
    _REASONS_APART,
)


def migrate(db: sqlite3.Connection) -> None:
    """Bring the index to the newest version, each step in one transaction.

    Raises:
        StoreError: it was made by a newer version than this.
    """
    version = db.execute("PRAGMA user_version").fetchone()[0]
    if version > len(SCRIPTS):
        raise StoreError("the index was made by a newer version")
    for number, script in enumerate(SCRIPTS[version:], version + 1):
        db.executescript(f"BEGIN; {script} PRAGMA user_version = {number}; COMMIT;")
