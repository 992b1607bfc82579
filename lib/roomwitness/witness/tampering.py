"""What the custody log says of tampering: which camera, which meeting, from when to when. Pure."""

from collections import deque
from collections.abc import Mapping, Set
from dataclasses import dataclass
from datetime import datetime

_MOST = 256  # What happened between two looks.


@dataclass(frozen=True, slots=True)
class TamperNote:
    """An entry for the custody log: ``camera_tampered`` or ``camera_tamper_ended``."""

    kind: str
    at: datetime
    meeting_id: str
    camera_id: str


@dataclass(frozen=True, slots=True)
class _Happened:
    camera_id: str
    at: datetime
    began: bool


class Tampering:
    """What happened since the last look, and what is noted as going on.

    Only meetings count: outside of them nobody is protected, and nothing is to be proved.
    """

    def __init__(self) -> None:
        self._happened: deque[_Happened] = deque(maxlen=_MOST)
        self._looked_at = 0
        self._open: set[tuple[str, str]] = set()

    def happened(self, camera_id: str, at: datetime, *, began: bool) -> None:
        """A camera says that it is tampered with, or no longer."""
        self._happened.append(_Happened(camera_id, at, began))

    def due(
        self, running: Mapping[str, Set[str]], tampered: Set[str], now: datetime
    ) -> list[TamperNote]:
        """What is to be noted, in order. ``running`` gives the cameras of each running meeting."""
        self._open = {key for key in self._open if key[0] in running}
        going_on, notes = set(self._open), []
        self._looked_at = len(self._happened)
        for each in self._happened:
            for meeting_id, cameras in running.items():
                key = meeting_id, each.camera_id
                if each.camera_id in cameras and (key in going_on) is not each.began:
                    kind = "camera_tampered" if each.began else "camera_tamper_ended"
                    notes.append(TamperNote(kind, each.at, *key))
                    going_on ^= {key}
        return notes + [
            TamperNote("camera_tampered", now, meeting_id, camera_id)
            for meeting_id, cameras in running.items()  # It was so before the meeting began.
            for camera_id in sorted(cameras & tampered)
            if (meeting_id, camera_id) not in going_on
        ]

    def noted(self, notes: list[TamperNote]) -> None:
        """What was due is in the log."""
        for note in notes:
            key = note.meeting_id, note.camera_id
            if note.kind == "camera_tampered":
                self._open.add(key)
            else:
                self._open.discard(key)
        for _ in range(min(self._looked_at, len(self._happened))):
            self._happened.popleft()
