"""What there is of each meeting of a page: its row, recordings, sizes, gaps; all by index."""

import json
from collections.abc import Sequence
from dataclasses import dataclass

from roomwitness.policy.words import Meeting

from .index import Index

_SIZES = """
SELECT recording.meeting, count(DISTINCT recording.id),
    count(CASE WHEN segment.id NOT LIKE '%-metadata' THEN 1 END), coalesce(sum(segment.bytes), 0),
    total(CASE WHEN segment.id NOT LIKE '%-metadata' THEN segment.media_seconds END)
FROM recording LEFT JOIN segment ON segment.recording = recording.id
WHERE recording.meeting IN (SELECT value FROM json_each(?)) GROUP BY recording.meeting
"""
_GAPS = """
SELECT recording.meeting, count(*), total(gap."end" - gap.start), group_concat(DISTINCT gap.cause)
FROM recording JOIN gap ON gap.recording = recording.id
WHERE recording.meeting IN (SELECT value FROM json_each(?)) GROUP BY recording.meeting
"""


@dataclass(frozen=True, slots=True)
class Details:
    """Of one meeting that is not erased; ``bytes`` on disk, metadata too, seconds of media.

    ``gaps`` counts known missing intervals of all its recordings, ``gap_causes`` says why.
    """

    recordings: int = 0
    segments: int = 0
    bytes: int = 0
    media_seconds: float = 0.0
    gaps: int = 0
    gap_seconds: float = 0.0
    gap_causes: tuple[str, ...] = ()


def meetings(index: Index, ids: Sequence[str]) -> list[Meeting]:
    """These meetings in this order, the erased ones too."""
    where = "WHERE id IN (SELECT value FROM json_each(?))"
    found = {m.id: m for m in index.meetings(where, json.dumps(ids))}
    return [found[each] for each in ids if each in found]


def of_meetings(index: Index, ids: Sequence[str]) -> dict[str, Details]:
    """Details by the meeting's id; an erased meeting has none."""
    names = json.dumps(ids)
    gaps = {row[0]: row[1:] for row in index.rows(_GAPS, names)}
    found = {}
    for meeting, recordings, segments, size, media in index.rows(_SIZES, names):
        count, seconds, causes = gaps.get(meeting, (0, 0.0, ""))
        why = tuple(sorted(cause for cause in causes.split(",") if cause))
        found[meeting] = Details(recordings, segments, size, media, count, seconds, why)
    return found
