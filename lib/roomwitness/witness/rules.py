"""The rules that guard evidence, as the custody log has them: every change of them is in it.

So they outlive their room: what was recorded in a room that is removed keeps the rules that it had,
or the site's of today where those are stricter.
"""

from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from roomwitness.custody import LogUnwritable, encode_entry
from roomwitness.custody.adopted import told
from roomwitness.policy.holds import period
from roomwitness.policy.words import RoomPolicy

from .config import LegalFile, RoomConfig
from .ledger import Ledger

KIND = "rules_set"
_DEFAULT = RoomPolicy()


@dataclass(frozen=True, slots=True, kw_only=True)
class Guard:
    """What decides how long a room's recordings are kept and who ends that; ``decision`` is the
    disposal decision. ``removed``: the room is no longer configured.
    """

    two_people: bool
    erase_at_review: bool
    hold_period: timedelta
    review_window: timedelta
    decision: str
    removed: bool = False

    @classmethod
    def of(cls, room: RoomConfig) -> Guard:
        """A room's, as it is configured."""
        return cls(
            two_people=room.policy.two_people,
            erase_at_review=room.policy.erase_at_review,
            hold_period=period(room.policy),
            review_window=room.policy.review_window,
            decision=room.legal_file.disposal_decision,
        )

    def fields(self) -> dict[str, str | float | bool]:
        """As an entry of the log has it."""
        return {
            "two_people": self.two_people,
            "erase_at_review": self.erase_at_review,
            "hold_period_s": self.hold_period.total_seconds(),
            "review_window_s": self.review_window.total_seconds(),
            "decision": self.decision,
            "removed": self.removed,
        }

    @classmethod
    def read(cls, entry: Mapping[str, Any]) -> Guard:
        """From such an entry.

        Raises:
            KeyError, TypeError, ValueError, OverflowError: it is none.
        """
        return cls(
            two_people=bool(entry["two_people"]),
            erase_at_review=bool(entry["erase_at_review"]),
            hold_period=timedelta(seconds=entry["hold_period_s"]),
            review_window=timedelta(seconds=entry["review_window_s"]),
            decision=str(entry["decision"]),
            removed=bool(entry["removed"]),
        )


def changes(
    logged: Mapping[str, Guard], rooms: Iterable[RoomConfig]
) -> Iterator[tuple[str, Guard]]:
    """What the log does not say yet, by room id."""
    now = {room.id: Guard.of(room) for room in rooms}
    gone = {name: replace(guard, removed=True) for name, guard in logged.items() if name not in now}
    for room_id, guard in {**now, **gone}.items():
        if guard != logged.get(room_id):
            yield room_id, guard


def of_removed(room_id: str, guard: Guard | None, rooms: Iterable[RoomConfig]) -> RoomConfig:
    """A room that is no longer configured: its own rules, or the site's where they are stricter.

    Of one that the log knows nothing of (it was set aside) the site's; if there is no room at all
    two people are needed and nothing ends by itself.
    """
    others = [room.policy for room in rooms]
    own_two = guard.two_people if guard else not others
    own_end = guard.erase_at_review if guard else bool(others)
    policy = RoomPolicy(
        two_people=own_two or any(policy.two_people for policy in others),
        erase_at_review=own_end and all(policy.erase_at_review for policy in others),
        hold_period=guard.hold_period if guard else _DEFAULT.hold_period,
        review_window=guard.review_window if guard else _DEFAULT.review_window,
    )
    return RoomConfig(
        id=room_id,
        cameras=(),
        policy=policy,
        legal_file=LegalFile(disposal_decision=guard.decision if guard else ""),
        calendar_bound=False,
    )


def read(entries: Iterable[Mapping[str, Any]]) -> dict[str, Guard]:
    """What the log's entries of this kind said last of each room."""
    found = {}
    for entry in entries:
        try:
            found[str(entry["room"])] = Guard.read(entry)
        except KeyError, TypeError, ValueError, OverflowError:
            continue
    return found


class Rules:
    """Has each change logged once, before it counts; what a failing disk keeps from the log waits.

    ``take`` is for the event loop, the rest for the conductor's worker thread.
    """

    def __init__(self, ledger: Ledger, logged: dict[str, Guard]) -> None:
        self._ledger = ledger
        self._logged = logged
        self._waiting: list[bytes] = []

    def open(self) -> None:
        """Read what the log said last, so that a change is seen that was made meanwhile.

        Only what was signed when it was written: other lines may be anybody's.
        """
        self._logged.clear()
        with suppress(LogUnwritable):  # Then all is logged again.
            self._logged.update(read(told(self._ledger.log.since(0), (KIND,))))

    def take(self, rooms: Iterable[RoomConfig], now: datetime) -> bool:
        """Rooms are now configured so; whether there is something to ``write``."""
        for room_id, guard in changes(self._logged, rooms):
            self._waiting.append(encode_entry(KIND, now, {"room": room_id, **guard.fields()}))
            self._logged[room_id] = guard
        return bool(self._waiting)

    @property
    def waiting(self) -> bool:
        """Whether a change is not logged yet."""
        return bool(self._waiting)

    def write(self) -> None:
        """Log what changed.

        Raises:
            LogUnwritable: it waits; try again.
        """
        if leaves := tuple(self._waiting):  # Else another call has written them meanwhile.
            self._ledger.note_all(leaves)
            del self._waiting[: len(leaves)]
