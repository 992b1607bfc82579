"""What the configuration and the calendars want."""

from dataclasses import dataclass, field
from datetime import datetime

from roomwitness.policy.words import Booking

from .config import RoomConfig
from .rules import Guard, of_removed


@dataclass(slots=True)
class Wishes:
    """What the configuration and the calendars want, as last told. ``known`` once told at all.

    ``logged`` are the rules of each room that there is or was, as the custody log has them.
    """

    rooms: dict[str, RoomConfig] = field(default_factory=dict)
    known: bool = False
    bookings: dict[str, tuple[Booking, ...]] = field(default_factory=dict)
    calendar_lost: set[str] = field(default_factory=set)
    calendar_read: dict[str, datetime] = field(default_factory=dict)
    invalid: dict[str, int] = field(default_factory=dict)
    logged: dict[str, Guard] = field(default_factory=dict)

    def of(self, room_id: str) -> RoomConfig:
        """The room, also one that is removed: its recordings keep its rules."""
        rooms = self.rooms
        found = rooms.get(room_id)
        return found or of_removed(room_id, self.logged.get(room_id), rooms.values())

    def configure(self, rooms: dict[str, RoomConfig]) -> dict[str, RoomConfig]:
        """Take the rooms that there are; gives those that there were."""
        before, self.rooms, self.known = self.rooms, rooms, True
        for room_id in set(self.bookings) - set(rooms):
            del self.bookings[room_id]
        return before
