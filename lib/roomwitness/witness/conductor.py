"""The conductor: the one object that the face talks to."""

import asyncio
import logging
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from datetime import UTC, datetime
from functools import partial

from roomwitness.capture import StreamInfo, StreamSource
from roomwitness.capture.length import length
from roomwitness.custody import LogUnwritable
from roomwitness.errors import WitnessError
from roomwitness.policy import meeting as events
from roomwitness.policy.retention import due
from roomwitness.policy.words import Booking, Meeting
from roomwitness.recording.host import RecordingHost
from roomwitness.recording.process import Starter, in_process
from roomwitness.vault.intake import MIN_FREE_BYTES
from roomwitness.vault.store import Vault
from roomwitness.vault.usage import room_bytes

from . import problems
from .answers import Answers
from .backups import Backups
from .byhand import ByHand
from .cameras import Cameras
from .changes import Changes
from .config import RoomConfig, SiteConfig, signer
from .devices import Devices
from .errors import MeetingNotFound
from .foresight import Foresight
from .ground import Ground
from .holds import Holds
from .keys import Keys
from .ledger import Ledger
from .leftovers import Told
from .outside import Outside
from .preflight import Preflight
from .presses import Presses
from .rules import Rules
from .scrub import Scrub
from .sessions import Sessions
from .space import Space
from .status import Problem
from .threats import Threats
from .tries import Tries
from .upkeep import Upkeep
from .view import next_length
from .watches import Watches
from .wishes import Wishes
from .witnessing import Witnessing

_LOGGER = logging.getLogger(__name__)

_TICK_S = 1.0
_utcnow = partial(datetime.now, UTC)


class Witness(Answers):
    """Bookings in, recordings, evidence and receipts out.

    ``holds`` places and ends holds, ``keys`` says who may open what, ``cameras`` hears events,
    ``backups`` hears of copies, ``changes`` tells listeners; what only looks is in ``Answers``.
    Every public method is for one event loop; disk work runs in one worker thread, so that it
    happens in the order in which it was decided. Cameras are recorded by another process
    (``recording``).
    """

    def __init__(
        self,
        config: SiteConfig,
        *,
        clock: Callable[[], datetime] = _utcnow,
        segment_seconds: float = 60.0,
        recording: Starter = in_process,
    ) -> None:
        self._disk = ThreadPoolExecutor(1, "roomwitness-disk")
        self.changes = changes = Changes()
        self._lock, self._setting = asyncio.Lock(), asyncio.Lock()
        self._wake = asyncio.Event()
        self._ticker: asyncio.Task[None] | None = None
        keys = config.keys
        folders = config.root, config.ephemeral_dir, config.held_dir
        vault = Vault(*folders, keys.ring.site, keys.ring.custodians, length=length)
        vault.keys.ring = keys.ring
        log_signer = signer(keys)
        wishes = Wishes()
        ledger = Ledger(vault, config.root / "custody", log_signer, keys.origin)
        self._rules = Rules(ledger, wishes.logged)
        self.witnessing = Witnessing(config.root / "witnessed", log_signer, clock)
        self._host = RecordingHost(config.root, self._recorder_lost, recording)
        sessions = Sessions(self._host, segment_seconds, self._notify_recording)
        ground = Ground(
            vault, wishes.calendar_read, clock, lambda *ask: foresight.shortage(*ask), self.wired
        )
        self.devices = Devices(lambda: wishes.rooms, changes.of, self._troubled, self._camera_moved)
        ledger.recordings.shown_clock = self.devices.clock_fields
        preflight = Preflight(
            self._host, ground.look, changes.of, lambda room_id: wishes.rooms.get(room_id), clock,
            device=self.devices.look,
        )  # fmt: skip
        space = Space(
            lambda: max(0, vault.free_bytes() - MIN_FREE_BYTES),
            partial(room_bytes, vault.index),
            lambda room: ground.bits_per_s(room) / 8,
        )
        foresight = Foresight(wishes, ledger, space, clock)
        watches = Watches(self._host, segment_seconds, self._notify_recording)
        upkeep = Upkeep(
            wishes, vault, ledger, sessions, preflight, space, watches, self._disk, changes.of,
            keys.origin,
        )  # fmt: skip
        self.keys = Keys(vault, ledger, upkeep, self._lock, clock, keys, config.keys_file)
        outside = Outside(ledger, config.root / "custody", upkeep.run, clock, self.refresh)
        self.backups = Backups(vault, ledger, upkeep, clock, self.refresh)
        self._threats = Threats(ledger, upkeep, watches, self._lock, clock, self._room)
        self._by_hand = ByHand(ledger, upkeep, self._lock, lambda: self._clock())
        self.presses = Presses(changes.of, clock)
        super().__init__(
            vault,
            ledger,
            wishes,
            sessions,
            preflight,
            watches,
            upkeep,
            Scrub(vault, ledger, self._damage_found, self._log_disagrees, self.refresh),
            Holds(ledger, upkeep, self._lock, clock, self._meeting),
            Cameras(self._threats.report, self.presses, lambda: wishes.rooms, changes.of, clock),
            outside,
            clock,
        )

    async def start(self) -> None:
        """Open log and vault, repair what a kill left, and begin to tick.

        Raises:
            VaultUnwritable: the vault's folder cannot be written.
            StoreError: the index cannot be opened.
        """
        try:
            await self._upkeep.run(self._open, self._clock())
        except BaseException:  # Whatever it is: nothing stays open of a start that failed.
            await self._upkeep.run(self._close)
            self._disk.shutdown()
            raise
        self._host.start()
        self._scrub.start()
        self.outside.start()
        self.devices.start()
        self._ticker = asyncio.create_task(self._tick_forever(), name="roomwitness ticker")

    def _open(self, now: datetime) -> None:
        self._vault.open()
        self._upkeep.erasures.copies.watch(now)  # Before what is late takes wraps away.
        self._ledger.open(now)
        ledger = self._ledger
        account = Told(ledger.log, ledger.folder, ledger.signer.vkey, now)
        ledger.recordings.recovered(self._vault.recover(account), now)
        if unlisted := len(self._vault.unlisted):
            ledger.note("recordings_unlisted", now, recordings=unlisted)
        self._rules.open()
        self.keys.open(now)
        self.people.open(now)
        going = {m.id for m in due(ledger.meetings, now)}  # Perhaps broken off by a kill.
        self._upkeep.keys_lost = [m for m in self._vault.lost_keys() if m not in going]
        for meeting_id in self._upkeep.keys_lost:
            meeting = ledger.get(meeting_id)
            held = meeting is not None and meeting.held
            kind = "held_keys_lost" if held else "ephemeral_keys_lost"
            ledger.note(kind, now, meeting=meeting_id)
        self._upkeep.erasures.copies.refresh()
        self._upkeep.broken = self._vault.broken()
        for name in self._upkeep.broken:
            self._ledger.note("check_failed", now, invariant=name)

    async def stop(self) -> None:
        """Seal what is open and stop; running meetings resume at the next start."""
        if self._ticker is not None:
            self._ticker.cancel()
            await asyncio.gather(self._ticker, return_exceptions=True)
            self._ticker = None
        await self.cameras.stop()
        await self.presses.stop()
        await self.lamps.stop()
        await self.devices.stop()
        await self._preflight.stop()
        await self._scrub.stop()
        await self.outside.stop()
        async with self._lock:
            for meeting_id in self._sessions.meetings:
                await self._sessions.end(meeting_id)
            await self._watches.stop()
            await self._host.stop()
            await self._upkeep.run(self._close)
        self._disk.shutdown()

    async def _damage_found(self, meeting_id: str) -> None:
        await self._note("segment_corrupted", meeting=meeting_id)
        meeting = self._ledger.get(meeting_id)
        if meeting is not None:
            self.changes.of(meeting.room_id)

    async def _log_disagrees(self, invariant: str) -> None:
        await self._note("check_failed", invariant=invariant)
        self.refresh()

    async def _camera_moved(self, camera_id: str) -> None:
        await self._note("camera_moved", camera=camera_id)

    async def _note(self, kind: str, **fields: str) -> None:
        await self._upkeep.run(lambda now: self._ledger.note(kind, now, **fields), self._clock())

    def _close(self) -> None:
        self._ledger.close()
        self._vault.close()

    async def set_rooms(self, configured: Iterable[RoomConfig]) -> None:
        """Take the rooms as they are; what is gone ends, changed rules are logged."""
        rooms = {room.id: room for room in configured}
        async with self._setting:  # Two that overlap count in the order in which they came.
            if self._rules.take(rooms.values(), self._clock()):
                with suppress(LogUnwritable):  # It waits for the disk; the next tick tries again.
                    await self._upkeep.run(self._rules.write)
            before = self._wishes.configure(rooms)
        self._sessions.change(c for room in rooms.values() for c in room.cameras)
        for room in rooms.values():
            if room != before.get(room.id):
                self._preflight.again(room.id)
            self.changes.of(room.id)

    async def reconcile(self, room_id: str, bookings: Sequence[Booking]) -> None:
        """Take what the room's calendar says now and close the difference.

        Raises:
            RoomNotFound: no such room.
        """
        if not self._room(room_id).calendar_bound:
            return  # It was when somebody began to read its calendar.
        self._wishes.read(room_id, bookings, self._clock())
        await self.tick()
        self.changes.of(room_id)

    async def calendar_lost(self, room_id: str) -> None:
        """The room's calendar cannot be read: keep to what it said last, and say so."""
        self._wishes.lose(room_id)
        self.changes.of(room_id)

    async def start_meeting(self, room_id: str) -> str:
        """Start a protected meeting by hand, or a planned one ahead of its time; returns its id.

        Raises:
            RoomNotFound, RoomBusy, RoomWithoutCamera, LegalFileIncomplete, RefusedByDisk,
            RefusedByQuota.
        """
        return await self._by_hand.start(self._room(room_id))

    async def go_on(self, room_id: str) -> None:
        """Put the end of a meeting that was started by hand off to the room's length from now.

        Raises:
            RoomNotFound, RoomIdle.
            TransitionNotAllowed: it is from a booking.
        """
        await self._by_hand.go_on(self._room(room_id))

    async def preflight(self, room_id: str) -> tuple[Problem, ...]:
        """Check the room now, for its next booking or an hour; nothing found is good.

        Raises:
            RoomNotFound: no such room.
        """
        room = self._room(room_id)
        length = next_length(self._wishes.bookings.get(room_id, ()), self._clock())
        return await self._preflight.now(room, length)

    async def look(self, source: StreamSource) -> StreamInfo:
        """Look at a stream that somebody sets up: what it sends is not read in this process.

        Raises:
            CaptureError: as ``capture.probe`` says; ``RecorderLost``.
        """
        return await self._host.probe(source)

    async def stop_meeting(self, room_id: str) -> None:
        """End the running meeting; its review window begins.

        Raises:
            RoomNotFound, RoomIdle.
        """
        await self._by_hand.stop(self._room(room_id))

    async def report_threat(self, room_id: str, by: str | None = None) -> str:
        """Hold what it is about (``Threats``), as evidence; returns the meeting's id.

        ``by`` is a pseudonym. What the disk refuses is tried again (``Presses``).

        Raises:
            RoomNotFound, RoomIdle, RoomWithoutCamera, LegalFileIncomplete.
        """
        report = partial(self._threats.report, room_id, by, self._clock())
        return await self.presses.report(report, room_id)

    async def hand_over(self, meeting_id: str, by: str | None = None) -> None:
        """Note that evidence was handed to the police; it stays held until released.

        ``by`` is a pseudonymous id of whoever did it.

        Raises:
            MeetingNotFound: unknown or erased.
            TransitionNotAllowed: it is not held, or still runs.
        """
        async with self._lock:
            meeting, room = self._meeting(meeting_id)
            await self._upkeep.apply(meeting, events.HandOver(by), self._clock(), room)

    async def tick(self) -> None:
        """Close the difference between what should be and what is, once."""
        async with self._lock:
            tries = Tries()
            try:
                with tries:
                    await self._upkeep.everything(self._clock())
                with tries:
                    await self.keys.again(self._clock())
                if self._rules.waiting:
                    with tries:
                        await self._upkeep.run(self._rules.write)
                with tries:
                    await self.cameras.log_tampering(self._ledger, self._upkeep.run)
            finally:  # Whatever the disk does, the visitor is told.
                self.lamps.sync(self._wishes.rooms, self._ledger.records)
            tries.finish()
            self._disk_problem = None

    def refresh(self) -> None:
        """Have every room looked at again: time alone changes what it shows."""
        self.changes.of(*self._wishes.rooms)

    async def _tick_forever(self) -> None:
        while True:
            try:
                await self.tick()
            except (asyncio.CancelledError, Exception) as err:  # Nothing may end it but ``stop``.
                if self._ticker is not None and self._ticker.cancelling():
                    raise
                self._tick_failed(err)
            with suppress(TimeoutError):
                await asyncio.wait_for(self._wake.wait(), _TICK_S)
            self._wake.clear()

    def _tick_failed(self, err: BaseException) -> None:
        problem = problems.of_tick(err)
        if self._disk_problem is None or self._disk_problem.key != problem.key:
            what = err.key if isinstance(err, WitnessError) else type(err).__name__
            _LOGGER.warning("A change could not be carried out, trying again: %s", what)
        self._disk_problem = problem
        self.refresh()

    def _meeting(self, meeting_id: str) -> tuple[Meeting, RoomConfig]:
        meeting = self._ledger.get(meeting_id)
        if meeting is None:
            raise MeetingNotFound
        return meeting, self._wishes.of(meeting.room_id)

    def _recorder_lost(self) -> None:
        """The recording process died: what it recorded goes on in another one, without waiting."""
        self._notify_recording()
        self._wake.set()

    def _notify_recording(self) -> None:
        self.changes.of(*self._watches.rooms)
        for meeting_id in self._sessions.meetings:
            meeting = self._ledger.get(meeting_id)
            if meeting is not None:
                self.changes.of(meeting.room_id)
