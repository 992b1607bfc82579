"""Home Assistant's end: starts the recording process, gives it jobs, starts it again if it dies."""

import asyncio
import itertools
import logging
import socket
from collections.abc import Callable
from datetime import datetime
from pathlib import Path

from roomwitness.capture import StreamInfo, StreamSource
from roomwitness.policy.words import GapCause

from .errors import RecorderLost
from .messages import (
    Answer,
    Begin,
    Cancel,
    Change,
    Clock,
    Command,
    Durable,
    End,
    Ended,
    Freeze,
    News,
    Probe,
    Record,
    Said,
    Sealed,
    Status,
    Stop,
    Take,
    Thaw,
    Watch,
    packed,
    read,
)
from .process import ENDING_S, Life, Starter, in_process

_LOGGER = logging.getLogger(__name__)

_ALIVE_EVERY_S = 5.0
# So often it may be silent in a row before it counts as stuck: a disk may take its time.
_SILENCES = 6
_PAUSE_S = 2.0
# More than any question takes (worker.py): nobody waits for ever, whatever was forgotten there.
_ANSWER_S = 150.0


class Job:
    """One camera that is recorded or watched. ``over`` is done when it is no more; its result is
    whether that was asked for: else the recording process was lost."""

    def __init__(self, host: RecordingHost, number: int, told: Callable[[News], None]) -> None:
        self.over: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
        self.told = told
        self._host = host
        self._number = number

    @property
    def lost(self) -> bool:
        """Whether its process was."""
        return self.over.done() and not self.over.result()

    def end(self, *, asked: bool) -> None:
        """It is no more (the host's to call)."""
        if not self.over.done():
            self.over.set_result(asked)

    def stop(self) -> None:
        """Ask it to seal what is open and end."""
        self._host.send(Stop(job=self._number))

    def change(self, source: StreamSource) -> None:
        """From the next connection on the stream is there; that is tried at once."""
        self._host.send(Change(job=self._number, source=source))

    def make_durable(self, durable: bool) -> None:
        """Whether what is recorded from here on survives a power cut, but for about two seconds;
        what was recorded until now does then too."""
        self._host.send(Durable(job=self._number, durable=durable))

    async def freeze(self) -> datetime | None:
        """Nothing that is watched ages any more; since when there are pictures.

        None also where the recording process was lost, and with it what it had in memory.
        """
        try:
            found = await self._host.ask(lambda n: Freeze(job=self._number, request=n))
        except RecorderLost:
            return None
        return found if isinstance(found, datetime) else None

    def thaw(self) -> None:
        """It ages again."""
        self._host.send(Thaw(job=self._number))

    def take(
        self,
        told: Callable[[News], None],
        *,
        recording_id: str,
        start: datetime,
        cause: GapCause,
        keep: bool,
    ) -> None:
        """Record from here on what is watched, with ``keep`` what is in memory first."""
        self.told = told
        self._host.send(
            Take(job=self._number, recording_id=recording_id, start=start, cause=cause, keep=keep)
        )


class RecordingHost:
    """One event loop's. ``lost`` is called when the recording process died, its jobs are over then;
    and again when there is another one that they may be begun in."""

    def __init__(
        self,
        root: Path,
        lost: Callable[[], None] = lambda: None,
        start: Starter = in_process,
        alive_s: float = _ALIVE_EVERY_S,
    ) -> None:
        self._root = root
        self._told_lost = lost
        self._start = start
        self._alive_s = alive_s
        self._numbers = itertools.count(1)
        self._jobs: dict[int, Job] = {}
        self._requests: dict[int, asyncio.Future[object]] = {}
        self._writer: asyncio.StreamWriter | None = None
        # Commands for the first process, until it is there.
        self._waiting: list[Command] | None = None
        self._life: Life | None = None
        self._heard = False
        self._stopping = False
        # How often the process died with work that it had.
        self.losses = 0
        self._supervisor: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Start the process in the background; what it is given meanwhile it gets."""
        self._waiting = []
        self._supervisor = asyncio.create_task(self._supervise(), name="roomwitness recording")

    async def stop(self) -> None:
        """Seal what is open and end the process; a second call does nothing."""
        supervisor, self._supervisor = self._supervisor, None
        if supervisor is None:
            return
        self._stopping = True
        if self._writer is None:
            supervisor.cancel()
        self.send(End())
        await asyncio.wait([supervisor], timeout=ENDING_S)
        if self._life is not None:
            self._life.kill()
        await asyncio.gather(supervisor, return_exceptions=True)
        self._waiting = None
        self._lose()

    def record(
        self,
        told: Callable[[News], None],
        *,
        recording_id: str,
        source: StreamSource,
        start: datetime,
        cause: GapCause,
        segment_seconds: float,
    ) -> Job:
        """Record a camera into the vault; ``told`` hears how it goes."""
        number, job = self._job(told)
        self.send(
            Record(
                job=number,
                recording_id=recording_id,
                source=source,
                start=start,
                cause=cause,
                segment_seconds=segment_seconds,
            )
        )
        return job

    def watch(
        self,
        told: Callable[[News], None],
        *,
        source: StreamSource,
        seconds: float,
        segment_seconds: float,
    ) -> Job:
        """Keep the last seconds of a camera in the other process' memory."""
        number, job = self._job(told)
        self.send(
            Watch(job=number, source=source, seconds=seconds, segment_seconds=segment_seconds)
        )
        return job

    async def probe(
        self, source: StreamSource, report_s: float = 0.0, *, decode: bool = False
    ) -> StreamInfo:
        """``capture.probe`` in the other process; with ``decode`` its keyframe is tried there.

        Nothing of what the camera sent comes over but what was read out of it.

        Raises:
            CaptureError: as it says; ``RecorderLost`` if the other process was.
        """
        info = await self.ask(
            lambda n: Probe(request=n, source=source, report_s=report_s, decode=decode)
        )
        if not isinstance(info, StreamInfo):
            raise RecorderLost
        return info

    def _job(self, told: Callable[[News], None]) -> tuple[int, Job]:
        number = next(self._numbers)
        job = Job(self, number, told)
        if self._gone:
            job.end(asked=False)
        else:
            self._jobs[number] = job
        return number, job

    @property
    def _gone(self) -> bool:
        return self._writer is None and self._waiting is None

    def send(self, command: Command) -> None:
        """Pass a command on, if there is anybody."""
        if self._writer is not None:
            self._writer.write(packed(command))
        elif self._waiting is not None:
            self._waiting.append(command)

    async def ask(self, command: Callable[[int], Freeze | Probe]) -> object:
        """Pass a command with this request number on and wait for its answer.

        Raises:
            WitnessError: the answer.
            RecorderLost: there is none, or not in time.
        """
        if self._gone:
            raise RecorderLost
        number = next(self._numbers)
        future = self._requests[number] = asyncio.get_running_loop().create_future()
        self.send(command(number))
        try:
            async with asyncio.timeout(_ANSWER_S):
                return await future
        except TimeoutError:
            self.send(Cancel(request=number))
            raise RecorderLost from None
        except asyncio.CancelledError:
            self.send(Cancel(request=number))
            raise
        finally:
            self._requests.pop(number, None)

    async def _supervise(self) -> None:
        loop = asyncio.get_running_loop()
        while not self._stopping:
            at = loop.time()
            try:
                await self._live()
            except OSError as err:
                _LOGGER.error("The recording process cannot be started: errno %s", err.errno)  # noqa: TRY400
            self._waiting = None
            if self._stopping:
                break
            _LOGGER.warning("The recording process has ended and is started again")
            self._lose()
            # One that lived is followed at once; one that ends at its start must not spin.
            await asyncio.sleep(max(0.0, _PAUSE_S - (loop.time() - at)))

    async def _live(self) -> None:
        """One process, from its start until it is gone."""
        ours, theirs = socket.socketpair()
        reader, writer = await asyncio.open_unix_connection(sock=ours)
        watching = asyncio.create_task(self._watch_silence(), name="roomwitness silence")
        try:
            self._life = await self._start(theirs)
            writer.write(packed(Begin(root=self._root, alive_s=self._alive_s)))
            self._writer = writer
            waiting, self._waiting = self._waiting, None
            if waiting is None:
                self._told_lost()
            for command in waiting or ():
                self.send(command)
            while (message := await read(reader)) is not None:
                self._heard = True
                self._take(message)
        finally:
            watching.cancel()
            self._writer = None
            writer.close()
            theirs.close()
            if self._life is not None:
                await self._life.over()
                self._life = None

    async def _watch_silence(self) -> None:
        """A process that says nothing for long is stuck: staff must not learn it afterwards."""
        silences = 0
        while True:
            await asyncio.sleep(self._alive_s)
            silences = 0 if self._heard else silences + 1
            self._heard = False
            if silences >= _SILENCES and self._life is not None:
                _LOGGER.error("The recording process does not answer")
                self._life.kill()

    def _take(self, message: object) -> None:
        match message:
            case Status() | Sealed() | Clock():
                if (job := self._jobs.get(message.job)) is not None:
                    job.told(message)
            case Ended():
                if (job := self._jobs.pop(message.job, None)) is not None:
                    job.end(asked=True)
            case Answer():
                future = self._requests.get(message.request)
                if future is None or future.done():
                    return
                if message.error is not None:
                    future.set_exception(message.error)
                else:
                    future.set_result(message.value)
            case Said():
                logging.getLogger(message.logger).log(message.level, "%s", message.text)

    def _lose(self) -> None:
        """What was in the process is lost; an end that was asked for is one."""
        jobs, self._jobs = self._jobs, {}
        for job in jobs.values():
            job.end(asked=self._stopping)
        for future in self._requests.values():
            if not future.done():
                future.set_exception(RecorderLost())
        if jobs and not self._stopping:
            self.losses += 1
            self._told_lost()
