"""The bytes of all listed segments held against the index, while the vault is at work."""

from collections.abc import Callable

from roomwitness import files

from .index import Index


def damaged(index: Index, stop: Callable[[], bool]) -> list[str]:
    """Meetings with a segment whose bytes are not those that were sealed; reads every byte."""
    found = set()
    for recording in index.recordings():
        for segment in index.segments(recording.id):
            if stop():
                return []
            if files.sha256(segment.path) != segment.sha256:
                found.add(recording.meeting_id)
    # What was erased while we read is not damaged.
    return sorted(found & {r.meeting_id for r in index.recordings()})
