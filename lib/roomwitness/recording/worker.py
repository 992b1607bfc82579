"""Carries out commands: the recorders, the memories of watched cameras, and looks at streams."""

import asyncio
import logging
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

from roomwitness.capture import Nowhere, PreRoll, Recorder, probe
from roomwitness.capture.errors import CameraUnreachable, StreamProtocolError
from roomwitness.errors import WitnessError
from roomwitness.policy.words import GapCause
from roomwitness.vault import Intake, LiveIntake

from .decoding import decodes
from .durable import Syncing
from .messages import (
    Answer,
    Cancel,
    Change,
    Command,
    Durable,
    End,
    Ended,
    Event,
    Freeze,
    Probe,
    Record,
    Status,
    Stop,
    Take,
    Thaw,
    ToJob,
    Watch,
)
from .session import Session

_LOGGER = logging.getLogger(__name__)

# A camera that does not answer a goodbye is left without one.
_ENDING_S = 5.0
# A camera that is slow at every step, or sends us on and on, is as good as none.
_LOOK_S = 60.0
_DECODERS = 2
# How soon rows that wait for the index are tried again, and after what time nobody waits for them.
_SETTLE_EVERY_S, _SETTLED_S = 0.05, 20.0


@dataclass(slots=True)
class _Running:
    """One job."""

    recorder: Recorder
    task: asyncio.Task[None]
    session: Session | None = None
    ring: PreRoll | None = None


class Worker:
    """Lives in one event loop; ``send`` gets what Home Assistant's process is to know."""

    def __init__(self, root: Path, send: Callable[[Event], None]) -> None:
        self._vault = LiveIntake(root, self._rows_put)
        self._over_with: list[int] = []
        self._settling: asyncio.Task[None] | None = None
        self._opened = False
        self._send = send
        self._jobs: dict[int, _Running] = {}
        self._looks: dict[int, asyncio.Task[None]] = {}
        # Each takes memory, and of the processor what recordings leave.
        self._decoding = asyncio.Semaphore(_DECODERS)
        self._taking: set[asyncio.Task[None]] = set()
        self._syncing = Syncing()
        self.ending = False

    def carry_out(self, command: Command) -> None:
        """Do it, or begin to."""
        match command:
            case Record():
                self._record(command)
            case Watch():
                self._watch(command)
            case Probe():
                begun = asyncio.create_task(self._look(command), name="roomwitness look")
                self._looks[command.request] = begun
                begun.add_done_callback(lambda _: self._looks.pop(command.request, None))
            case Cancel():
                if (look := self._looks.get(command.request)) is not None:
                    look.cancel()
            case End():
                self.ending = True
            case _:
                self._with_job(command)

    def _with_job(self, command: ToJob) -> None:
        running = self._jobs.get(command.job)
        if running is None:  # It ended meanwhile.
            if isinstance(command, Freeze):
                self._send(Answer(request=command.request))
            return
        match command:
            case Take():
                self._take(running, command)
            case Freeze():
                at = asyncio.get_running_loop().time()
                since = running.ring.freeze(at) if running.ring is not None else None
                self._send(Answer(request=command.request, value=since))
            case Thaw():
                if running.ring is not None:
                    running.ring.thaw()
            case Change():
                running.recorder.change(command.source)
            case Durable():
                if running.session is not None:
                    self._syncing.set(running.session, on=command.durable)
            case Stop():
                running.recorder.stop()

    def _record(self, command: Record) -> None:
        session = Session(self._intake, command.recording_id, command.job, self._send)
        recorder = Recorder(
            command.source,
            session,
            segment_seconds=command.segment_seconds,
            start=command.start,
            cause=command.cause,
        )
        self._run(command.job, recorder, session=session)

    def _watch(self, command: Watch) -> None:
        ring = PreRoll(command.seconds)
        recorder = Recorder(
            command.source,
            Nowhere(lambda status: self._send(Status(job=command.job, status=status))),
            start=datetime.now(UTC),
            cause=GapCause.CONNECTING,
            segment_seconds=command.segment_seconds,
            preroll=ring,
        )
        self._run(command.job, recorder, ring=ring)

    def _run(
        self,
        job: int,
        recorder: Recorder,
        session: Session | None = None,
        ring: PreRoll | None = None,
    ) -> None:
        task = asyncio.create_task(recorder.run(), name="roomwitness recorder")
        self._jobs[job] = _Running(recorder, task, session, ring)
        task.add_done_callback(partial(self._over, job))

    def _over(self, job: int, task: asyncio.Task[None]) -> None:
        running = self._jobs.pop(job, None)
        if running is not None and running.session is not None:
            self._syncing.set(running.session, on=False)
        if not task.cancelled():
            self._over_with.append(job)
            if not self._vault.waiting:
                self._say_over()

    def _say_over(self) -> None:
        """Whoever hears of it looks into the index next."""
        over, self._over_with = self._over_with, []
        for job in over:
            self._send(Ended(job=job))

    def _rows_put(self) -> None:
        """Rows wait for another process, or for the disk: neither holds the loop up."""
        if self._settling is None and (self._vault.waiting or self._vault.unsynced):
            self._settling = asyncio.create_task(self._settle(), name="roomwitness settle")

    async def _settle(self) -> None:
        began = asyncio.get_running_loop().time()
        try:
            while self._vault.waiting or self._vault.unsynced:
                with suppress(WitnessError):  # A disk that fails tells so at the next segment.
                    if self._vault.unsynced:
                        await asyncio.to_thread(self._vault.sync)
                    self._vault.settle()
                waited = asyncio.get_running_loop().time() - began
                if not self._vault.waiting or waited > _SETTLED_S:
                    self._say_over()
                await asyncio.sleep(_SETTLE_EVERY_S)
        finally:
            self._settling = None

    def _take(self, running: _Running, command: Take) -> None:
        session = Session(self._intake, command.recording_id, command.job, self._send)
        running.session, running.ring = session, None
        taking = asyncio.create_task(
            running.recorder.record(
                session, start=command.start, cause=command.cause, keep=command.keep
            ),
            name="roomwitness take",
        )
        self._taking.add(taking)
        taking.add_done_callback(self._taking.discard)

    async def _look(self, command: Probe) -> None:
        """Whatever becomes of the look, somebody waits for its answer."""
        answer = Answer(request=command.request, error=CameraUnreachable())
        try:
            async with asyncio.timeout(_LOOK_S):
                info = await probe(command.source, report_s=command.report_s)
            if command.decode:
                async with self._decoding:
                    info = replace(info, decodes=await decodes(info))
            answer = Answer(request=command.request, value=replace(info, keyframe=b""))
        except TimeoutError:
            pass
        except WitnessError as err:
            answer = Answer(request=command.request, error=err)
        except Exception as err:
            _LOGGER.error("Unexpected %s in a look at a stream", type(err).__name__)  # noqa: TRY400
            answer = Answer(request=command.request, error=StreamProtocolError())
        self._send(answer)

    def _intake(self) -> Intake:
        """The vault, opened at the first need; one that cannot be is tried again.

        Raises:
            VaultInUse: the recorder of a Home Assistant that was killed has not ended yet.
            VaultUnwritable, VaultFull, StoreError.
        """
        if not self._opened:
            self._vault.alone.take(0)
            self._vault.open()
            self._opened = True
        return self._vault

    async def end(self) -> None:
        """Seal what is open and let go of everything."""
        for look in tuple(self._looks.values()):
            look.cancel()
        running = tuple(self._jobs.values())
        for job in running:
            job.recorder.stop()
        if running:
            tasks = [job.task for job in running]
            _, left = await asyncio.wait(tasks, timeout=_ENDING_S)
            for task in left:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
        await self._syncing.stop()
        if self._settling is not None:
            self._settling.cancel()
            await asyncio.gather(self._settling, return_exceptions=True)
        with suppress(WitnessError):
            self._vault.close()
        self._say_over()
        self._vault.alone.release()
