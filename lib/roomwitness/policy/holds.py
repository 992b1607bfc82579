"""Rules of one hold: its review date, and who may end it. Pure."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from .errors import (
    HoldNotFound,
    PersonNeeded,
    ReleaseNotAsked,
    ReviewDateInvalid,
    ReviewNotPutOff,
    TwoPeopleNeeded,
)
from .words import Hold, Meeting, RoomPolicy

# The review of evidence is never sooner, whatever a form took: where holds end by themselves, 0
# would not be "never" but "at once".
SHORTEST_PERIOD = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class ExtendHold:
    """Its review is put off, with a reason."""

    hold_id: str
    review_date: datetime
    reason: str
    by: str | None = None


@dataclass(frozen=True, slots=True)
class AskRelease:
    """The first of two people wants it released."""

    hold_id: str
    reason: str
    by: str | None = None


@dataclass(frozen=True, slots=True)
class WithdrawRelease:
    """What was asked is taken back, or refused."""

    hold_id: str
    by: str | None = None


def with_hold(meeting: Meeting, hold_id: str, change: Callable[[Hold], Hold]) -> Meeting:
    """The meeting with one open hold changed.

    Raises:
        HoldNotFound: it has no such open hold.
    """
    if hold_id not in {hold.id for hold in meeting.open_holds}:
        raise HoldNotFound
    changed = (change(hold) if hold.id == hold_id else hold for hold in meeting.holds)
    return replace(meeting, holds=tuple(changed))


def extend(meeting: Meeting, event: ExtendHold, now: datetime, _p: RoomPolicy) -> Meeting:
    """Put the review off. It is never brought forward: where holds end by themselves at that
    date, whoever might do it would end them alone.

    Raises:
        ReviewDateInvalid: the date is not ahead.
        ReviewNotPutOff: it is not later than the present one.
    """
    if event.review_date <= now:
        raise ReviewDateInvalid

    def change(hold: Hold) -> Hold:
        if not can_put_off(hold, event.review_date):
            raise ReviewNotPutOff
        return replace(hold, review_date=event.review_date, review_reason=event.reason)

    return with_hold(meeting, event.hold_id, change)


def can_put_off(hold: Hold, date: datetime) -> bool:
    """Whether its review would be later than it is."""
    return date > hold.review_date


def ask_release(meeting: Meeting, event: AskRelease, now: datetime, _p: RoomPolicy) -> Meeting:
    """Note who wants it released; a second request takes the place of the first."""

    def change(hold: Hold) -> Hold:
        _need_other(event.by, hold.placed_by)
        return replace(
            hold, release_asked=now, release_asked_by=event.by, release_ask_reason=event.reason
        )

    return with_hold(meeting, event.hold_id, change)


def withdraw_release(
    meeting: Meeting, event: WithdrawRelease, _now: datetime, _p: RoomPolicy
) -> Meeting:
    """Forget the request."""

    def change(hold: Hold) -> Hold:
        if hold.release_asked is None:
            raise ReleaseNotAsked
        return replace(hold, release_asked=None, release_asked_by=None, release_ask_reason=None)

    return with_hold(meeting, event.hold_id, change)


def check_release(hold: Hold, by: str | None, policy: RoomPolicy) -> None:
    """Whether this person may end the hold now, under the site's rule.

    Raises:
        PersonNeeded, ReleaseNotAsked, TwoPeopleNeeded.
    """
    if not policy.two_people:
        return
    if hold.release_asked is None:
        raise ReleaseNotAsked
    _need_other(by, hold.placed_by, hold.release_asked_by)


def period(policy: RoomPolicy) -> timedelta:
    """How long a new hold stands before its first review."""
    return max(policy.hold_period, SHORTEST_PERIOD)


def lapsed(hold: Hold, now: datetime, policy: RoomPolicy) -> bool:
    """Whether it ends by itself: only where the site chose that, and past its review date."""
    return policy.erase_at_review and hold.released is None and hold.review_date <= now


def to_review(meetings: Iterable[Meeting], now: datetime) -> tuple[tuple[Meeting, Hold], ...]:
    """The open holds whose review date has come: somebody must extend or release them."""
    return tuple(
        (meeting, hold)
        for meeting in meetings
        for hold in meeting.open_holds
        if hold.review_date <= now
    )


def pending(meetings: Iterable[Meeting]) -> tuple[tuple[Meeting, Hold], ...]:
    """The open holds that one person wants released and a second has not agreed to yet."""
    return tuple(
        (meeting, hold)
        for meeting in meetings
        for hold in meeting.open_holds
        if hold.release_asked is not None
    )


def _need_other(by: str | None, *others: str | None) -> None:
    if by is None:
        raise PersonNeeded
    if by in others:
        raise TwoPeopleNeeded
