"""What the configuration and the calendars want."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

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
        bound = {room.id for room in rooms.values() if room.calendar_bound}
        self.calendar_lost &= bound
        told: dict[str, Any]
        for told in (self.bookings, self.calendar_read, self.invalid):
            for room_id in told.keys() - bound:  # No calendar will correct them any more.
                del told[room_id]
        return before

    def read(self, room_id: str, bookings: Iterable[Booking], now: datetime) -> None:
        """The room's calendar says so now."""
        self.calendar_lost.discard(room_id)
        self.bookings[room_id] = tuple(bookings)
        self.calendar_read[room_id] = now

    def lose(self, room_id: str) -> None:
        """The room's calendar, if it still has one, cannot be read."""
        if (room := self.rooms.get(room_id)) is not None and room.calendar_bound:
            self.calendar_lost.add(room_id)
