"""What can go wrong when the conductor is asked for something."""

from roomwitness.errors import WitnessError


class RoomNotFound(WitnessError):
    """No room of that id is configured."""

    key = "room_not_found"


class RoomBusy(WitnessError):
    """The room already has a meeting that is running."""

    key = "room_busy"


class RoomIdle(WitnessError):
    """The room has no meeting that the request could be about."""

    key = "room_idle"


class MeetingNotFound(WitnessError):
    """No meeting of that id is known, or it is erased."""

    key = "meeting_not_found"


class RefusedByDisk(WitnessError):
    """The disk has no room for the meeting beside what running ones still need."""

    key = "meeting_refused_disk"


class RefusedByQuota(WitnessError):
    """The room's recordings take all that they may."""

    key = "meeting_refused_quota"


class LegalFileIncomplete(WitnessError):
    """The room may not arm before its legal file is filled in (LAW.md, checklist 1)."""

    key = "legal_file_incomplete"


class ReceiptNotFound(WitnessError):
    """No receipt of that id is kept, and no meeting of that id was erased."""

    key = "receipt_not_found"
