"""How much of the disk a room's recordings take."""

from .index import Index

# The partial index meeting_live keeps this from looking at what is long erased.
_SQL = (
    "SELECT COALESCE(SUM(bytes), 0) FROM meeting"
    " JOIN recording ON recording.meeting = meeting.id"
    " JOIN segment ON segment.recording = recording.id"
    " WHERE meeting.state <> 'erased' AND meeting.room = ?"
)


def room_bytes(index: Index, room_id: str) -> int:
    """Bytes of the room's sealed segments, evidence included.

    Raises:
        VaultUnwritable, StoreError: the index cannot be read.
    """
    return int(index.rows(_SQL, room_id)[0][0])
