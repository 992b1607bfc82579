"""What preflight looks at besides streams: disk, keys, calendar, legal file, what is there."""

from collections.abc import Callable, Iterable, Mapping
from datetime import datetime, timedelta
from typing import Protocol

from roomwitness.errors import WitnessError
from roomwitness.policy.space import Shortage
from roomwitness.vault import rates
from roomwitness.vault.index import Index

from . import checks, problems
from .config import RoomConfig
from .space import sizes
from .status import Problem

# The face reads calendars every minute; so long without one that could be read is too long.
CALENDAR_STALE = timedelta(minutes=5)


class Store(Protocol):
    """What of the vault is looked at."""

    def keys_work(self) -> bool:
        """Whether a recording's key could be made, kept, opened and destroyed now."""
        ...

    @property
    def index(self) -> Index:
        """Where bit rates are remembered."""
        ...


class Ground:
    """Looks at a room's surroundings; ``calendar_read`` is when each calendar was last read.

    ``foresee`` gives what a meeting of that length would lack on the disk, or in the room's quota;
    ``wired`` what is known to be wrong with what hangs on its cameras.
    """

    def __init__(
        self,
        store: Store,
        calendar_read: Mapping[str, datetime],
        clock: Callable[[], datetime],
        foresee: Callable[[RoomConfig, timedelta], Shortage | None],
        wired: Callable[[RoomConfig], Iterable[Problem]] = lambda _: (),
    ) -> None:
        self._store = store
        self._calendar_read = calendar_read
        self._clock = clock
        self._foresee = foresee
        self._wired = wired

    def look(self, room: RoomConfig, length: timedelta) -> tuple[Problem, ...]:
        """What is wrong for a meeting of that length. Blocks on disk."""
        found = [*problems.of_legal_file(room), *problems.of_room_cameras(room)]
        found += self._wired(room)
        if self._stale(room):
            found.append(problems.calendar_missing(room))
        try:
            found += self._disk(room, length)
            if not self._store.keys_work():
                found.append(Problem(key="key_store_unusable", room_id=room.id))
        except OSError, WitnessError:
            return tuple(found)  # The disk is gone: the conductor's own work says so.
        return tuple(found)

    def _stale(self, room: RoomConfig) -> bool:
        if not room.calendar_bound:
            return False
        read = self._calendar_read.get(room.id)
        return read is None or self._clock() - read > CALENDAR_STALE

    def _disk(self, room: RoomConfig, length: timedelta) -> list[Problem]:
        short = self._foresee(room, length)
        if short is None:
            return []
        told = {**sizes(short), "rate": f"{self.bits_per_s(room) / 1e6:.1f}"}
        if short.of == "disk":
            return [Problem(key="disk_short", room_id=room.id, placeholders=told)]
        return [Problem(key="quota_short", room_id=room.id, placeholders=told)]

    def bits_per_s(self, room: RoomConfig) -> float:
        """What the room's cameras send together: as measured, else as assumed."""
        known = rates.known(self._store.index)
        return sum(known.get(c.id, checks.ASSUMED_BITS_PER_S) for c in room.cameras)
