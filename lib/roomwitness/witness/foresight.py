"""Whether there will be room for a room's next meeting, beside what others take by then."""

from collections.abc import Callable, Iterator
from datetime import datetime, timedelta

from roomwitness.policy import space as rules
from roomwitness.policy.words import AHEAD

from .config import RoomConfig
from .ledger import Ledger
from .space import Space, running_now
from .view import next_booking
from .wishes import Wishes


class Foresight:
    """Asks before a meeting what is asked at its start (space.py). For any thread."""

    def __init__(
        self, wishes: Wishes, ledger: Ledger, space: Space, clock: Callable[[], datetime]
    ) -> None:
        self._wishes = wishes
        self._ledger = ledger
        self._space = space
        self._clock = clock

    def shortage(self, room: RoomConfig, length: timedelta) -> rules.Shortage | None:
        """What the room's next meeting, of that length, would lack. Blocks on disk."""
        now = self._clock()
        start, key = self._next(room, now)
        taken = [*self._running(start, now), *self._booked(room, start, key, now)]
        own = sum(size for room_id, size in taken if room_id == room.id)
        return self._space.foreseen(room, length, sum(size for _, size in taken), own)

    def _next(self, room: RoomConfig, now: datetime) -> tuple[datetime, str | None]:
        """When it begins, and its booking; it may be late already, waiting for room."""
        ahead = [m for m in self._ledger.of_room(room.id) if m.state in AHEAD]
        if ahead:
            meeting = min(ahead, key=lambda m: m.planned_start)
            return max(meeting.planned_start, now), meeting.booking_key
        booking = next_booking(self._wishes.bookings.get(room.id, ()), now)
        if booking is None:
            return now, None
        return max(booking.start - room.policy.lead, now), booking.key

    def _running(self, start: datetime, now: datetime) -> Iterator[tuple[str, int]]:
        """What running meetings need yet, by room, if it is still there when ours begins."""
        for meeting, room in running_now(self._ledger.meetings, self._wishes.rooms):
            gone = rules.gone_at(meeting, room.policy)
            if gone is None or gone > start:
                yield room.id, rules.still_to_come(meeting, self._space.rate(room), now)

    def _booked(
        self, mine: RoomConfig, start: datetime, key: str | None, now: datetime
    ) -> Iterator[tuple[str, int]]:
        """What bookings that begin before ours, or with it, take then, by room."""
        runs = running_now(self._ledger.meetings, self._wishes.rooms)
        begun = {(m.room_id, m.booking_key) for m, _ in runs} | {(mine.id, key)}
        for room in tuple(self._wishes.rooms.values()):
            if not room.armed:
                continue
            bookings = self._wishes.bookings.get(room.id, ())
            others = [b for b in bookings if (room.id, b.key) not in begun]
            lead, rate = room.policy.lead, self._space.rate(room)
            ahead = start - now + lead
            for begins, gone, size in rules.booked(others, rate, room.policy, now, ahead):
                if begins - lead <= start < gone:
                    yield room.id, size
