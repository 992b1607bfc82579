"""Upkeep: the steps that bring meetings, cameras and keys to what they should be now."""

import asyncio
import secrets
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from datetime import datetime
from functools import partial

from roomwitness.errors import WitnessError
from roomwitness.policy import meeting as events
from roomwitness.policy.holds import lapsed
from roomwitness.policy.reconcile import Change, Create, plan
from roomwitness.policy.retention import due
from roomwitness.policy.steady import Steady
from roomwitness.policy.words import AHEAD, RUNNING, Meeting, MeetingState
from roomwitness.vault.store import Vault

from .config import RoomConfig
from .erasures import Due, Erasures
from .ledger import Ledger
from .preflight import Preflight
from .sessions import Begun, Sessions
from .space import Running, Space, running_now
from .tries import Tries
from .watches import Change as Watching
from .watches import Watches, end
from .wishes import Wishes


def new_id() -> str:
    """A random identifier; says nothing about what it names."""
    return secrets.token_hex(16)


class Upkeep:
    """Carries changes out in order; its owner sees to it that only one runs at a time.

    Disk work runs in ``disk``, one worker, so that it happens in the order it was decided in.
    """

    def __init__(
        self,
        wishes: Wishes,
        vault: Vault,
        ledger: Ledger,
        sessions: Sessions,
        preflight: Preflight,
        space: Space,
        watches: Watches,
        disk: ThreadPoolExecutor,
        notify: Callable[[str], None],
        origin: str,
    ) -> None:
        self._wishes = wishes
        self._vault = vault
        self._ledger = ledger
        self._sessions = sessions
        self._losses = 0
        self._preflight = preflight
        self.space = space
        self._refused: set[str] = set()
        self._watches = watches
        self._disk = disk
        self._notify = notify
        # Meetings that are not erased, with a recording whose keys are gone.
        self.keys_lost: list[str] = []
        self.broken: list[str] = []
        self.erasures = Erasures(vault, ledger, origin)
        self._steady = Steady()
        self._believed = True

    async def run[*Ts, R](self, work: Callable[[*Ts], R], *args: *Ts) -> R:
        """Do disk work."""
        return await asyncio.get_running_loop().run_in_executor(self._disk, work, *args)

    def later(self, work: Callable[[], None]) -> None:
        """Do disk work that nobody waits for, before whatever is asked for next."""
        self._disk.submit(work)

    async def keys_gone(self, meeting: Meeting) -> bool:
        """Whether it is over and its keys are destroyed, whatever kept the rest of its erasure.

        A store that cannot be read just now is no reason to refuse somebody who is threatened.
        """
        if meeting.state is not MeetingState.REVIEW:
            return False
        with suppress(WitnessError):
            return await self.run(self._vault.keys_gone, meeting.id)
        return False

    async def everything(self, now: datetime) -> None:
        """Close the difference between what should be and what is, once.

        Each step is tried, and each room or meeting in it, whatever became of the others: above
        all, nothing that cannot be logged or stored keeps what is due from being erased.

        Raises:
            WitnessError: the first that one of them met.
        """
        tries, ticks = Tries(), asyncio.get_running_loop().time()
        self._believed = self._steady.look(now, ticks, self._ledger.kept.last)
        for room in tuple(self._wishes.rooms.values()):
            if room.calendar_bound and room.id in self._wishes.bookings:
                with tries:
                    await self._plan(room, now)
        for step in (
            self._end_overrun,
            self._lapse,
            self._sync_sessions,
            self._sync_watches,
            self._log_clocks,
            self._erase_due,
            self._end_left_open,
            self._measure,
            self._settle_log,
        ):
            with tries:
                await step(now)
        tries.finish()

    async def _settle_log(self, now: datetime) -> None:
        """What is logged and not carried out, or carried out and not logged; the hourly entry."""
        tries = Tries()
        if self._ledger.behind:
            with tries:
                await self.run(self._ledger.catch_up)
        if self._ledger.recordings.unlogged:
            with tries:
                await self.run(self._ledger.recordings.catch_up, now)
        if self._ledger.checkpoint_due(now):
            with tries:
                await self.run(partial(self._ledger.keep_hourly, now, tidy=self._believed))
        tries.finish()

    async def _plan(self, room: RoomConfig, now: datetime) -> None:
        known = self._ledger.of_room_with_past(room.id)
        result = plan(room.id, self._wishes.bookings[room.id], known, now, room.policy, new_id)
        self._wishes.invalid[room.id] = len(result.invalid)
        if not any(isinstance(step, Change) and _starts(step) for step in result.steps):
            self.space.forget(room.id)
        for step in result.steps:
            if isinstance(step, Create):
                await self.run(self._ledger.create, step.meeting, now)
                continue
            meeting = self._ledger.get(step.meeting_id)
            starts = _starts(step)
            if meeting is None or (starts and not room.armed):
                continue
            if starts and await self._refused_now(meeting, room, now):
                continue
            if starts or isinstance(step.event, events.Cancel):
                self._preflight.forget(room.id)
            await self.apply(meeting, step.event, now, room)
        for meeting in self._ledger.of_room(room.id):  # Also what a restart found like that.
            if meeting.state is MeetingState.PREFLIGHT and not self._preflight.begun(room.id):
                end = meeting.planned_end or meeting.planned_start
                self._preflight.begin(room, end - meeting.planned_start)

    async def _refused_now(self, meeting: Meeting, room: RoomConfig, now: datetime) -> bool:
        """Whether the booked meeting must wait for room on the disk; logged when it first must."""
        end = meeting.planned_end
        shortage = await self.run(
            self.space.refusal, room, None if end is None else end - now, self.running, now
        )
        if shortage is None:
            self._refused.discard(meeting.id)
            return False
        if meeting.id not in self._refused:
            note = partial(self._ledger.note, "meeting_refused", meeting=meeting.id)
            await self.run(partial(note, for_want_of=shortage.of), now)
            self._refused.add(meeting.id)
            self._notify(room.id)
        return True

    @property
    def running(self) -> Running:
        """The meetings that run, with their rooms as they are configured now."""
        return running_now(self._ledger.meetings, self._wishes.rooms)

    async def _measure(self, now: datetime) -> None:
        if not self.space.due(now):
            return
        wishes = self._wishes
        if await self.run(self.space.measure, wishes.rooms, wishes.bookings, self.running, now):
            for room_id in wishes.rooms:
                self._notify(room_id)

    async def _end_overrun(self, now: datetime) -> None:
        """Nothing records past its plan, or a room that nobody configures any more."""
        tries = Tries()
        for meeting in self._ledger.meetings:
            room = self._wishes.of(meeting.room_id)
            unbound = self._wishes.known and not room.calendar_bound
            if meeting.state in AHEAD and (meeting.booking_key is None or unbound):
                # A start by hand or threat that a full disk broke off: it would block the room. Or
                # a booking of a calendar that is the room's no more: nothing else would cancel it.
                if meeting.booking_key is not None:
                    self._preflight.forget(room.id)
                with tries:
                    await self.apply(meeting, events.Cancel(), now, room)
            if meeting.state not in RUNNING:
                continue
            if meeting.planned_end is None:  # One that an earlier version began by hand.
                until = (meeting.started or now) + room.policy.manual_length
                with tries:
                    meeting = await self.apply(meeting, events.GoOn(until), now, room)
            gone = self._wishes.known and meeting.room_id not in self._wishes.rooms
            over = meeting.planned_end is not None and meeting.planned_end <= now
            if over or gone:
                event = events.End(meeting.planned_end if over else None)
                with tries:
                    await self.apply(meeting, event, now, room)
        tries.finish()

    async def _lapse(self, now: datetime) -> None:
        """Holds end at their review date where the site chose that, and nowhere else.

        Not by a clock that leapt just now: an hour more does no harm, evidence does not come back.
        """
        if not self._wishes.known or not self._believed:
            return
        tries = Tries()
        for meeting in self._ledger.meetings:
            room = self._wishes.of(meeting.room_id)
            with tries:
                after = meeting
                for hold in meeting.open_holds:
                    if lapsed(hold, now, room.policy):
                        after = await self.apply(after, events.LapseHold(hold.id), now, room)
        tries.finish()

    async def _sync_sessions(self, now: datetime, asked: str | None = None) -> None:
        """Record what should be; whoever ``asked`` about one meeting is told of no other's fault.

        The next tick tries those again, and tells the site.
        """
        wanted = {m.id: m for m in self._ledger.meetings if m.state is MeetingState.RECORDING}
        lost, losses = self._sessions.lost, self._sessions.losses
        tries, others = Tries(), Tries()
        if self._losses != losses:
            with tries if asked is None else others:
                await self.run(partial(self._ledger.note, "recorder_lost", meetings=len(lost)), now)
                self._losses = losses
        for meeting_id in (self._sessions.meetings - wanted.keys()) | {*lost}:
            await self._sessions.end(meeting_id)
        for meeting_id in self._sessions.meetings:
            room = self._wishes.rooms.get(wanted[meeting_id].room_id)
            if room is not None and room.cameras != self._sessions.cameras(meeting_id):
                await self._sessions.end(meeting_id)  # A corrected password, another camera.
        for meeting_id in wanted.keys() - self._sessions.meetings:
            room = self._wishes.rooms.get(wanted[meeting_id].room_id)
            if room is not None:
                with tries if asked in {None, meeting_id} else others:
                    await self._record(wanted[meeting_id], room, now)
        self._sessions.make_durable({m.id for m in wanted.values() if m.held})
        tries.finish()

    async def _record(self, meeting: Meeting, room: RoomConfig, now: datetime) -> None:
        begun = await self.run(self._begin, meeting, room, now)
        watched = self._watches.hand_over(room.id)
        useful = {c.id: watched.pop(c.id) for c in room.cameras if c.id in watched}
        self._sessions.begin(meeting.id, begun, useful)
        await end(watched.values())

    async def _end_left_open(self, now: datetime) -> None:
        """Recordings whose end a kill or a full disk kept from the log."""
        tries = Tries()
        for meeting_id in sorted(self._ledger.recordings.unended - self._sessions.meetings):
            meeting = self._ledger.get(meeting_id)
            if meeting is None:
                self._ledger.recordings.unended.discard(meeting_id)
            else:
                with tries:
                    await self.run(self._ledger.recordings.end, meeting, now)
        tries.finish()

    async def _sync_watches(self, now: datetime) -> None:
        """Idle rooms with pre-roll are watched in memory, no others; the log says when."""
        busy = {m.room_id for m in self._ledger.meetings if m.state in RUNNING}
        wanted = {
            room.id: room
            for room in self._wishes.rooms.values()
            if room.policy.pre_roll and room.armed and room.id not in busy
        }
        tries = Tries()
        for change in self._watches.changes(wanted):
            with tries:
                await self._watch(change, wanted, now)
        tries.finish()

    async def _watch(self, change: Watching, wanted: dict[str, RoomConfig], now: datetime) -> None:
        room_id, seconds = change.room_id, change.seconds
        kind = "watching_begun" if seconds else "watching_ended"
        if not seconds:
            await self._watches.carry_out(change, wanted)
        await self.run(partial(self._ledger.note, kind, room=room_id, pre_roll_s=seconds), now)
        if seconds:
            await self._watches.carry_out(change, wanted)
        self._notify(room_id)

    async def _log_clocks(self, now: datetime) -> None:
        """Offsets and steps of clocks go into the custody log as they are noticed."""
        events = self._sessions.clock_events
        while events:
            recording_id, event = events[0]
            note = partial(
                self._ledger.note,
                event.kind,
                recording=recording_id,
                seconds=round(event.seconds, 3),
                at=event.at.isoformat(),
            )
            await self.run(note, now)
            events.popleft()  # Only now: a log that cannot be written is tried again.

    def _begin(self, meeting: Meeting, room: RoomConfig, now: datetime) -> list[Begun]:
        return [
            Begun(
                camera=camera,
                place=self._ledger.recordings.begin(
                    meeting, camera.id, now, self._watches.kept_since(room.id, camera.id)
                ),
            )
            for camera in room.cameras
        ]

    async def _erase_due(self, now: datetime) -> None:
        wanted = []
        for meeting in due(self._ledger.meetings, now):
            room = self._wishes.of(meeting.room_id)
            wanted.append(Due(meeting, room.legal_file.disposal_decision, room.policy))
        if not wanted:
            return
        try:
            await self.run(self.erasures.run, wanted, now)
        finally:
            if self.keys_lost:
                self.keys_lost = await self.run(self._vault.lost_keys)
            for room_id in sorted({item.meeting.room_id for item in wanted}):
                self._notify(room_id)

    async def apply(
        self, meeting: Meeting, event: events.Event, now: datetime, room: RoomConfig
    ) -> Meeting:
        """Carry one event out: decided, logged, stored, and the cameras told.

        Raises:
            TransitionNotAllowed, VaultUnwritable, VaultFull, LogUnwritable.
        """
        after = await self.run(self._ledger.apply, meeting, event, now, room.policy)
        tries = Tries()
        with tries:
            await self._sync_sessions(now, meeting.id)
        if isinstance(event, events.End):
            with tries:
                await self.run(self._ledger.recordings.end, after, now)
        self._notify(meeting.room_id)
        tries.finish()
        return after

    async def begin_by_threat(
        self, room: RoomConfig, pressed: datetime, until: datetime, by: str | None
    ) -> Meeting:
        """Begin a meeting that is held from its first moment, with what is frozen in memory."""

        def begin() -> Meeting:
            meeting = Meeting(
                id=new_id(),
                room_id=room.id,
                origin="threat",
                planned_start=pressed,
                planned_end=until,
            )
            self._ledger.create(meeting, pressed)
            started = self._ledger.apply(meeting, events.Start(), pressed, room.policy)
            report = events.ReportThreat(new_id(), by)
            return self._ledger.apply(started, report, pressed, room.policy)

        meeting = await self.run(begin)
        await self._sync_sessions(pressed, meeting.id)
        self._notify(room.id)
        return meeting


def _starts(step: Change) -> bool:
    return isinstance(step.event, events.Start)
