"""Evidence changed so that the site itself may sign for the change, by somebody without its key.

Detected is what `check` finds after the start and its upkeep, with nothing new in the log that
binds the recording; and, of edits of rows, before it as well.
"""

import itertools
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from hashlib import sha256
from pathlib import Path

from bench._forged import Site, T
from roomwitness.custody import read_account
from roomwitness.vault import age

_ROWS = {
    "a gap removed": "DELETE FROM gap",
    "a gap moved": 'UPDATE gap SET start = start + 1, "end" = "end" + 1',
    "a gap made short": 'UPDATE gap SET "end" = start + 0.001',
    "a gap's cause": "UPDATE gap SET cause = 'connecting'",
    "a gap's loss": "UPDATE gap SET lost_packets = lost_packets + 1",
    "a gap added": "INSERT INTO gap SELECT id, started, started + 9, 'stalled', 0, NULL"
    " FROM recording",
    "a segment's start": "UPDATE segment SET start = start - 1",
    "a segment's end": 'UPDATE segment SET "end" = "end" + 1',
    "a segment's length": "UPDATE segment SET media_seconds = media_seconds + 1",
    "a segment's frames": "UPDATE segment SET frames = frames + 1",
    "a segment's loss": "UPDATE segment SET lost_packets = lost_packets + 1",
    "a segment's clock": "UPDATE segment_clock SET drift_ppm = 5.0",
    "a clock event removed": "DELETE FROM clock_event",
    "a clock event moved": "UPDATE clock_event SET at = at + 1",
    "a clock event's size": "UPDATE clock_event SET seconds = seconds + 1",
    "its camera": "UPDATE recording SET camera = 'another'",
    "its start": "UPDATE recording SET started = started + 1",
}


def _forged_file(site: Site) -> bytes:
    with closing(sqlite3.connect(site.root / "vault" / "index.db")) as db:
        ((recipient,),) = db.execute("SELECT recipient FROM recording").fetchall()
    return age.encrypt(b"nothing happened " * 9000, [age.Recipient.from_string(recipient)])


def _exchange(site: Site) -> None:
    data = _forged_file(site)
    site.segment.path.write_bytes(data)
    digest = sha256(data).hexdigest()
    site.sql(f"UPDATE segment SET bytes = {len(data)}, sha256 = '{digest}'")


def _remove(site: Site) -> None:
    site.segment.path.unlink()
    site.sql("DELETE FROM segment_clock", "DELETE FROM segment")


def _leave(_: Site) -> None:
    """Nothing is exchanged."""


def _reopen(site: Site) -> None:
    site.sql("UPDATE recording SET ended = NULL")


def _run_on(site: Site) -> None:
    site.sql("UPDATE recording SET ended = NULL", "UPDATE meeting SET state = 'recording'")


def _drop(suffix: str) -> Callable[[Site], None]:
    def drop(site: Site) -> None:
        number = round(T.timestamp() * 1000) + 5
        path = site.segment.path.with_name(f"{number:015d}-0a1b2c3d.mp4.age{suffix}")
        path.write_bytes(_forged_file(site))

    return drop


_CHANGES = {"a file exchanged": _exchange, "a file removed": _remove, "nothing": _leave}
_BAITS = {
    "its end taken away": _reopen,
    "its meeting going on": _run_on,
    "another file beside it": _drop(""),
    "an open file beside it": _drop(".part"),
}


def tries(root: Path) -> Iterator[tuple[str, bool]]:
    """Each thing that was done, and whether it was detected."""
    site = Site(root / "site")
    if not site.checked():
        raise SystemExit("a site that was not changed counts as changed")
    bound = read_account(site.root / "vault" / "custody").ended
    for (change, how), count in itertools.product(_CHANGES.items(), range(len(_BAITS) + 1)):
        for baits in itertools.combinations(_BAITS.items(), count):
            if how is _leave and not any("beside" in name for name, _ in baits):
                continue  # Then nothing was changed.
            how(site)
            for _, bait in baits:
                bait(site)
            settle(site)
            same = read_account(site.root / "vault" / "custody").ended == bound
            yield f"signed anew: {change}", same and not site.checked()
            site.restore()
    for what, statement in _ROWS.items():
        site.sql(statement)
        yield f"row edited: {what}", not site.checked()
        settle(site)
        yield f"row edited, after a start: {what}", not site.checked()
        site.restore()


def settle(site: Site) -> None:
    """What a start does of recordings, and then the upkeep."""
    site.start()
    recordings = site.ledger.recordings
    recordings.recovered(site.vault.recover(), T)
    for meeting in site.ledger.meetings:
        if meeting.state == "recording":
            recordings.begin(meeting, "c", T)
        elif meeting.id in recordings.unended:
            recordings.end(meeting, T)
    site.stop()
