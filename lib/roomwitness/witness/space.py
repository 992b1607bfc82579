"""Room on the disk: what running meetings need is promised to them, and others wait."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta

from roomwitness.policy import space
from roomwitness.policy.words import RUNNING, Booking, Meeting

from .config import RoomConfig
from .errors import RefusedByDisk, RefusedByQuota
from .status import Problem

_REFUSED = {"disk": RefusedByDisk.key, "quota": RefusedByQuota.key}

type Running = Sequence[tuple[Meeting, RoomConfig]]

# How long what was measured of the disk is good enough.
_FRESH = timedelta(seconds=30)


class Space:
    """Decides whether a meeting may begin, and knows which could not and whether it gets tight.

    ``free_bytes`` (beyond what the vault keeps back) and ``used_bytes`` of a room block on the
    disk: ``measure`` and ``refusal`` run in the conductor's worker thread, ``foreseen`` in any.
    ``rate`` is how many bytes a second a room's cameras give together.
    """

    def __init__(
        self,
        free_bytes: Callable[[], int],
        used_bytes: Callable[[str], int],
        rate: Callable[[RoomConfig], float],
    ) -> None:
        self._free_bytes = free_bytes
        self._used_bytes = used_bytes
        self._rate = rate
        self._least: dict[str, int] = {}
        self._measured: datetime | None = None
        self._tight: space.Shortage | None = None
        self._refused: dict[str, space.Shortage] = {}
        self.used: dict[str, int] = {}

    def refusal(
        self,
        room: RoomConfig,
        length: timedelta | None,
        running: Running,
        now: datetime,
    ) -> space.Shortage | None:
        """Why the room cannot begin a meeting of that length now; remembered until it can."""
        promised = self._promised(running, now)
        found = space.refusal(length, self._rate(room), promised, self._stock(room))
        if found is None:
            self.forget(room.id)
        else:
            self._refused[room.id] = found
        return found

    def foreseen(
        self, room: RoomConfig, length: timedelta, promised: int, own: int = 0
    ) -> space.Shortage | None:
        """Why a meeting of that length would be refused, or not be whole; nothing is remembered.

        ``own`` is how much of what is promised is the room's, and so of its quota.
        """
        stock = self._stock(room)
        stock = replace(stock, used=stock.used + own)
        return space.foreseen(length, self._rate(room), promised, stock)

    def rate(self, room: RoomConfig) -> float:
        """What the room's cameras send together, in bytes a second."""
        return self._rate(room)

    def _stock(self, room: RoomConfig) -> space.Stock:
        return space.Stock(
            free=self._free_bytes(),
            quota=room.quota_bytes,
            used=0 if room.quota_bytes is None else self._used_bytes(room.id),
        )

    def forget(self, room_id: str) -> None:
        """Nothing is refused in the room any more: the booking is over, or there is room."""
        self._refused.pop(room_id, None)

    def due(self, now: datetime) -> bool:
        """Whether it is time to ``measure``; also after our clock was set back."""
        return self._measured is None or not timedelta(0) <= now - self._measured < _FRESH

    def measure(
        self,
        rooms: Mapping[str, RoomConfig],
        bookings: Mapping[str, tuple[Booking, ...]],
        running: Running,
        now: datetime,
    ) -> bool:
        """Look at the disk; whether anything that is told has changed."""
        before = (self._tight, self.used)
        self._measured = now
        taken = []
        for room in rooms.values():
            taken += space.booked(bookings.get(room.id, ()), self._rate(room), room.policy, now)
        self._least = {r.id: space.needed(self._rate(r), space.LEAST) for r in rooms.values()}
        wanted = self._promised(running, now) + max(space.peak(taken), sum(self._least.values()))
        free = self._free_bytes()
        tight = space.Shortage(of="disk", needed=wanted, free=free) if wanted > free else None
        if tight and self._tight:  # As numbers move all the time: told anew when a tenth has gone.
            moved = abs(tight.free - self._tight.free) + abs(tight.needed - self._tight.needed)
            tight = tight if moved * 10 > self._tight.free else self._tight
        self._tight = tight
        self.used = {room_id: self._used_bytes(room_id) for room_id in rooms}
        return before != (self._tight, self.used)

    def problems(self, rooms: Mapping[str, RoomConfig]) -> Iterator[Problem]:
        """What a person must mend."""
        if self._tight is not None:
            yield Problem(key="vault_nearly_full", placeholders=sizes(self._tight))
        for room_id, shortage in tuple(self._refused.items()):
            if room_id in rooms:
                yield Problem(
                    key=_REFUSED[shortage.of],
                    room_id=room_id,
                    placeholders=sizes(shortage),
                )
        for room in rooms.values():
            used = self.used.get(room.id, 0)
            if room.quota_bytes is None or room.id in self._refused:
                continue
            left = room.quota_bytes - used
            if left < self._least.get(room.id, 0):
                told = {"used": gigabytes(used), "quota": gigabytes(room.quota_bytes)}
                yield Problem(key="quota_nearly_used", room_id=room.id, placeholders=told)

    def _promised(self, running: Running, now: datetime) -> int:
        return sum(space.still_to_come(m, self._rate(room), now) for m, room in running)


def running_now(meetings: Iterable[Meeting], rooms: Mapping[str, RoomConfig]) -> Running:
    """The meetings that run, with their rooms as they are configured."""
    return [(m, rooms[m.room_id]) for m in meetings if m.state in RUNNING and m.room_id in rooms]


def sizes(shortage: space.Shortage) -> dict[str, str]:
    """As people read them."""
    return {"needed": gigabytes(shortage.needed), "free": gigabytes(shortage.free)}


def gigabytes(size: int) -> str:
    """Bytes as gigabytes, as disks are sold."""
    return f"{size / 1e9:.1f}"
