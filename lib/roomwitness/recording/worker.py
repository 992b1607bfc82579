"""Carries out commands: the recorders, the memories of watched cameras, and looks at streams."""

import asyncio
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

from roomwitness.capture import Nowhere, PreRoll, Recorder, probe
from roomwitness.errors import WitnessError
from roomwitness.policy.words import GapCause
from roomwitness.vault import Intake

from .messages import (
    Answer,
    Cancel,
    Change,
    Command,
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
    Watch,
)
from .session import Session

# A camera that does not answer a goodbye is left without one.
_ENDING_S = 5.0


@dataclass(slots=True)
class _Running:
    """One job."""

    recorder: Recorder
    task: asyncio.Task[None]
    ring: PreRoll | None = None


class Worker:
    """Lives in one event loop; ``send`` gets what Home Assistant's process is to know."""

    def __init__(self, root: Path, send: Callable[[Event], None]) -> None:
        self._vault = Intake(root)
        self._opened = False
        self._send = send
        self._jobs: dict[int, _Running] = {}
        self._looks: dict[int, asyncio.Task[None]] = {}
        self._taking: set[asyncio.Task[None]] = set()
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
            case Take() | Freeze() | Thaw() | Change() | Stop():
                self._with_job(command)

    def _with_job(self, command: Take | Freeze | Thaw | Change | Stop) -> None:
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
        self._run(command.job, recorder, None)

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
        self._run(command.job, recorder, ring)

    def _run(self, job: int, recorder: Recorder, ring: PreRoll | None) -> None:
        task = asyncio.create_task(recorder.run(), name="roomwitness recorder")
        self._jobs[job] = _Running(recorder, task, ring)
        task.add_done_callback(partial(self._over, job))

    def _over(self, job: int, task: asyncio.Task[None]) -> None:
        self._jobs.pop(job, None)
        if not task.cancelled():
            self._send(Ended(job=job))

    def _take(self, running: _Running, command: Take) -> None:
        session = Session(self._intake, command.recording_id, command.job, self._send)
        running.ring = None
        taking = asyncio.create_task(
            running.recorder.record(
                session, start=command.start, cause=command.cause, keep=command.keep
            ),
            name="roomwitness take",
        )
        self._taking.add(taking)
        taking.add_done_callback(self._taking.discard)

    async def _look(self, command: Probe) -> None:
        try:
            info = await probe(command.source, report_s=command.report_s)
        except WitnessError as err:
            self._send(Answer(request=command.request, error=err))
        else:
            self._send(Answer(request=command.request, value=info))

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
        with suppress(WitnessError):
            self._vault.close()
        self._vault.alone.release()
