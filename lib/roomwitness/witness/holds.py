"""Holding, extending and releasing: what the face asks for, one hold or all of a meeting."""

import asyncio
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime

from roomwitness.policy import holds as rules
from roomwitness.policy import meeting as events
from roomwitness.policy.errors import HoldNotFound, ReviewDateInvalid
from roomwitness.policy.words import Hold, HoldKind, Meeting

from .config import RoomConfig
from .errors import KeysDestroyed
from .ledger import Ledger
from .status import Problem
from .upkeep import Upkeep, new_id


@dataclass(frozen=True, slots=True)
class Released:
    """What came of a release: ended, or waiting for the second of two people."""

    hold_id: str
    released: bool


class Holds:
    """Every change is made under the conductor's lock, so that only one runs at a time."""

    def __init__(
        self,
        ledger: Ledger,
        upkeep: Upkeep,
        lock: asyncio.Lock,
        clock: Callable[[], datetime],
        find: Callable[[str], tuple[Meeting, RoomConfig]],
    ) -> None:
        self._ledger = ledger
        self._upkeep = upkeep
        self._lock = lock
        self._clock = clock
        self._find = find

    async def place(
        self,
        meeting_id: str,
        kind: HoldKind,
        reason: str,
        by: str | None = None,
        review_date: datetime | None = None,
    ) -> Hold:
        """Place one more hold; without a date its review is after the room's hold period.

        Raises:
            MeetingNotFound, ReviewDateInvalid, ReviewWindowOver, KeysDestroyed.
        """
        async with self._lock:
            meeting, room = self._find(meeting_id)
            now = self._clock()
            if await self._upkeep.keys_gone(meeting):
                raise KeysDestroyed
            if review_date is not None and review_date <= now:
                raise ReviewDateInvalid
            hold = Hold(
                id=new_id(),
                kind=kind,
                reason=reason,
                created=now,
                review_date=review_date or now + rules.period(room.policy),
                placed_by=by,
            )
            await self._upkeep.apply(meeting, events.PlaceHold(hold), now, room)
            return hold

    async def extend(
        self,
        meeting_id: str,
        review_date: datetime,
        reason: str,
        hold_id: str | None = None,
        by: str | None = None,
    ) -> tuple[str, ...]:
        """Put the review of one hold, or of all that are open, off; returns their ids.

        Of all, those with a later review keep it.

        Raises:
            MeetingNotFound, HoldNotFound, ReviewDateInvalid, ReviewNotPutOff.
        """
        async with self._lock:
            meeting, room = self._find(meeting_id)
            ids = _meant(meeting, hold_id)
            later = [h.id for h in meeting.open_holds if rules.can_put_off(h, review_date)]
            ids = tuple(each for each in ids if each in later) or ids
            for each in ids:
                event = rules.ExtendHold(each, review_date, reason, by)
                meeting = await self._upkeep.apply(meeting, event, self._clock(), room)
            return ids

    async def release(
        self, meeting_id: str, reason: str, hold_id: str | None = None, by: str | None = None
    ) -> tuple[Released, ...]:
        """End one hold, or all that are open; with none left the meeting is erased.

        Where the site wants two people the first call asks and the second, by somebody else, ends.

        Raises:
            MeetingNotFound, HoldNotFound, PersonNeeded, TwoPeopleNeeded: nothing is changed.
        """
        async with self._lock:
            meeting, room = self._find(meeting_id)
            now = self._clock()
            ids = _meant(meeting, hold_id)
            steps = [_step(hold, reason, by, room) for hold in meeting.open_holds if hold.id in ids]
            after = meeting
            for step in steps:  # All or nothing: a hold that may not be ended keeps the others.
                after = events.advance(after, step, now, room.policy)
            for step in steps:
                meeting = await self._upkeep.apply(meeting, step, now, room)
            return tuple(
                Released(step.hold_id, isinstance(step, events.ReleaseHold)) for step in steps
            )

    async def withdraw(
        self, meeting_id: str, hold_id: str | None = None, by: str | None = None
    ) -> tuple[str, ...]:
        """Take back what was asked for one hold, or for all of them; returns their ids.

        Raises:
            MeetingNotFound, HoldNotFound, ReleaseNotAsked.
        """
        async with self._lock:
            meeting, room = self._find(meeting_id)
            asked = [hold.id for _, hold in rules.pending([meeting])]
            ids = tuple(asked) if hold_id is None and asked else _meant(meeting, hold_id)
            for each in ids:
                event = rules.WithdrawRelease(each, by)
                meeting = await self._upkeep.apply(meeting, event, self._clock(), room)
            return ids

    def problems(self, room_id: str, now: datetime) -> Iterable[Problem]:
        """Holds whose review is due, and releases that wait for a second person."""
        meetings = self._ledger.of_room(room_id)
        for key, found in (
            ("hold_review_due", rules.to_review(meetings, now)),
            ("release_pending", rules.pending(meetings)),
        ):
            for meeting, hold in found:
                yield Problem(
                    key=key,
                    room_id=room_id,
                    meeting_id=meeting.id,
                    hold_id=hold.id,
                    placeholders={
                        "meeting": meeting.id,
                        "kind": hold.kind,
                        "date": f"{hold.review_date:%Y-%m-%d}",
                        "started": f"{meeting.started or meeting.planned_start:%Y-%m-%d %H:%M} UTC",
                    },
                )


def _meant(meeting: Meeting, hold_id: str | None) -> tuple[str, ...]:
    ids = tuple(hold.id for hold in meeting.open_holds)
    if not ids or (hold_id is not None and hold_id not in ids):
        raise HoldNotFound
    return ids if hold_id is None else (hold_id,)


def _step(
    hold: Hold, reason: str, by: str | None, room: RoomConfig
) -> events.ReleaseHold | rules.AskRelease:
    if room.policy.two_people and hold.release_asked is None:
        return rules.AskRelease(hold.id, reason, by)
    return events.ReleaseHold(hold.id, reason, by)
