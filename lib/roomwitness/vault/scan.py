"""The files of all listed segments held against the index, while the vault is at work."""

from collections.abc import Callable
from pathlib import Path

from . import files
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


def unsound(index: Index, segments: Path) -> list[str]:
    """Segments missing or of another size, and files of ended recordings that have no row.

    ``segments`` is the folder with a folder for each recording.
    """
    found = []
    for recording in index.recordings():
        folder = segments / recording.id
        listed = index.segments(recording.id)
        for segment in listed:
            size = segment.path.stat().st_size if segment.path.exists() else None
            if size != segment.bytes:
                found.append(f"segment-damaged segment={segment.id}")
        on_disk = {path.name for path in folder.iterdir()} if folder.is_dir() else set()
        strays = on_disk - {segment.path.name for segment in listed}
        if recording.ended is not None:
            found += [f"segment-unlisted segment={name}" for name in sorted(strays)]
    return found
