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


class KeysDestroyed(WitnessError):
    """Nothing of the meeting can be opened any more, so there is nothing to hold."""

    key = "keys_destroyed"


class RefusedByDisk(WitnessError):
    """The disk has no room for the meeting beside what running ones still need."""

    key = "meeting_refused_disk"


class RefusedByQuota(WitnessError):
    """The room's recordings take all that they may."""

    key = "meeting_refused_quota"


class LegalFileIncomplete(WitnessError):
    """The room may not arm before its legal file is filled in (LAW.md, checklist 1)."""

    key = "legal_file_incomplete"


class RoomWithoutCamera(WitnessError):
    """The room has no camera, or none that still exists: nothing would be recorded."""

    key = "room_without_camera"


class PersonUnknown(WitnessError):
    """Nobody of that pseudonym is known here, or they are forgotten already."""

    key = "person_unknown"


class PersonStillNeeded(WitnessError):
    """Two people must release a hold that this one placed: until then it is known who it was."""

    key = "person_still_needed"


class PageNotFound(WitnessError):
    """No page of a list ended so."""

    key = "page_not_found"


class ReceiptNotFound(WitnessError):
    """No receipt of that id is kept, and no meeting of that id was erased."""

    key = "receipt_not_found"


class CustodianKnown(WitnessError):
    """Recordings are wrapped for this key already."""

    key = "custodian_known"


class CustodianNotFound(WitnessError):
    """No custodian of that id is active."""

    key = "custodian_not_found"


class LastCustodian(WitnessError):
    """The last custodian cannot be retired: nobody could open new evidence."""

    key = "custodian_last"


class Unreachable(WitnessError):
    """A witness did not answer, or cannot now; it is tried again."""

    key = "witness_unreachable"


class Refused(WitnessError):
    """A witness does not cosign this site's log, or answers with another key."""

    key = "witness_refuses"


class Disagrees(WitnessError):
    """A witness has seen another history of this site's log."""

    key = "witness_disagrees"


class TimestampUnreachable(WitnessError):
    """The timestamp authority did not answer, or cannot now; it is tried again."""

    key = "timestamp_unreachable"


class RecordingKept(WitnessError):
    """The index lists the recording, the custody log has it held, or there is no such one; or it
    may be evidence of which the log knows nothing, and no custodian's identity opened it."""

    key = "recording_kept"
