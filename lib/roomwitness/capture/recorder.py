"""Records one camera until told to stop: reconnects by itself and declares what it missed."""

import asyncio
import logging
import random
from collections.abc import Callable, Coroutine
from dataclasses import replace
from datetime import datetime
from functools import partial
from typing import Any, Literal

from roomwitness.errors import WitnessError
from roomwitness.policy.words import GapCause

from . import backoff
from .codecs import SoundFormat
from .coverage import Coverage
from .errors import (
    CameraAuthFailed,
    CameraForbidden,
    CaptureError,
    StreamMoved,
    StreamProtocolError,
    cause_of,
)
from .feed import Feed
from .hostclock import HostClock
from .patience import Patience
from .preroll import PreRoll, Run
from .redirect import MAX_REDIRECTS
from .rtsp import RtspClient
from .segmenter import Segmenter
from .sink import SegmentSink
from .source import StreamSource
from .status import CaptureStatus
from .stream import Stream
from .timeline import Timeline
from .timeouts import Timeouts
from .watchdog import Watchdog

_LOGGER = logging.getLogger(__name__)

_WATCHING_CAP_S = 30.0
_AGE_EVERY_S = 0.5


class Recorder:
    """One camera of one meeting. Lives in one event loop; ``stop`` is for any thread.

    The recording must be accounted for from ``start``; until media comes, ``cause`` is why not.
    With a ``preroll`` the stream goes only into that memory, until ``record`` says where to.
    """

    def __init__(
        self,
        source: StreamSource,
        sink: SegmentSink,
        *,
        start: datetime,
        cause: GapCause = GapCause.CONNECTING,
        segment_seconds: float = 60.0,
        clock: Callable[[], datetime] | None = None,
        timeouts: Timeouts | None = None,
        chance: Callable[[], float] = random.random,
        preroll: PreRoll | None = None,
    ) -> None:
        self._source = source
        self._away: StreamSource | None = None
        self._refusals = 0
        self._patience = Patience()
        self._sink = sink
        self._segment_seconds = segment_seconds
        self._clock = clock or HostClock()
        self._timeline = Timeline(self._clock, sink.clock)
        self._chance = chance
        self._timeouts = timeouts or Timeouts()
        self._coverage = Coverage(start, cause, sink.gap)
        self._status = CaptureStatus(state="connecting")
        self._preroll = preroll
        self._before = self._status
        self._current: Segmenter | None = None
        self._live: tuple[Feed, SoundFormat | None] | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._stop = asyncio.Event()
        self._wake = asyncio.Event()
        self._stopping = False

    def stop(self) -> None:
        """Ask ``run`` to seal what is open and return."""
        self._stopping = True
        if self._loop is not None:
            self._loop.call_soon_threadsafe(self._stop.set)
            self._loop.call_soon_threadsafe(self._wake.set)

    def change(self, source: StreamSource) -> None:
        """From the next connection on the stream is there; that is tried at once. For any thread.

        Sound that was not wanted at the start stays off: it may be recorded from the next meeting.
        """
        source = replace(source, audio=source.audio and self._source.audio)
        if source != self._source and self._loop is not None:
            self._loop.call_soon_threadsafe(self._changed, source)

    def _changed(self, source: StreamSource) -> None:
        self._source, self._away, self._refusals = source, None, 0
        self._patience = Patience()
        self._wake.set()

    async def record(
        self, sink: SegmentSink, *, start: datetime, cause: GapCause, keep: bool
    ) -> None:
        """End the pre-roll: what comes is recorded from here, on the connection that there is.

        With ``keep`` what is in memory is recorded first; else nothing of it ever is.
        """
        ring, self._preroll = self._preroll, None
        if ring is None:
            raise RuntimeError("it records already")
        runs = ring.take() if keep else []
        ring.clear()
        self._sink, self._refusals = sink, 0
        self._timeline = Timeline(self._clock, sink.clock)
        self._coverage = Coverage(start, cause, sink.gap)
        self._status = self._before = replace(
            self._status, state="connecting", frames=0, bytes=0, last_frame=None
        )
        live = self._live
        now = runs.pop() if live and runs and runs[-1].connection == ring.connection else None
        steps: list[Callable[[], None]] = [partial(self._replay, run) for run in runs]
        if live is not None:
            steps.append(lambda: live[0].record(self._segmenter(live[1]), now))
        for step in steps:
            try:
                step()
            except WitnessError as err:
                # It could not be kept: that, not the way to the camera, is why it is missing.
                why = cause_of(err)
                self._try_declaring(partial(self._coverage.broken, why, start))
                self._failed(err.key, why)
        if live is None and self._status.error_key is not None:
            self._report(state="failed")
        self._wake.set()

    def _replay(self, run: Run) -> None:
        """Record what a connection that is no more delivered."""
        segmenter = self._segmenter(run.sound)
        segmenter.forgive(*run.lost)
        try:
            for play in run.items:
                play(segmenter)
            segmenter.finish(run.track, GapCause.CONNECTION_LOST)
            self._before = replace(
                self._before,
                frames=self._before.frames + segmenter.frames,
                bytes=self._before.bytes + segmenter.bytes,
            )
        except WitnessError as err:
            segmenter.abort(cause_of(err))
            raise

    async def run(self) -> None:
        """Record until stopped. Faults of camera, network and disk become status and gaps."""
        self._loop = asyncio.get_running_loop()
        if self._stopping:
            self._stop.set()
        ageing = self._loop.create_task(self._age(), name="roomwitness pre-roll")
        try:
            await self._run()
        finally:
            ageing.cancel()

    async def _run(self) -> None:
        row, time = backoff.Row(), asyncio.get_running_loop().time
        while not self._stop.is_set():
            last, tried, refused = self._status.last_frame, self._source, False
            patience, began = self._patience, time()
            try:
                await self._record()
            except CaptureError as err:
                if self._status.last_frame != last:
                    patience.let_in(time())
                if isinstance(err, CameraAuthFailed):
                    forbidden = isinstance(err, CameraForbidden)
                    refused = not patience.lasts(time(), forbidden=forbidden)
                self._failed(err.key, err.cause)
            except WitnessError as err:
                self._failed(err.key, cause_of(err))
            except Exception as err:  # A fault of ours must not end the recording unseen.
                _LOGGER.error("Unexpected %s while recording", type(err).__name__)  # noqa: TRY400
                self._failed(StreamProtocolError.key, GapCause.PROTOCOL_ERROR)
            pictures = self._status.last_frame != last
            failures = row.failed(time() - began, pictures=pictures)
            if failures > MAX_REDIRECTS:
                self._away = None
            if self._source is tried:  # Another that came meanwhile is tried at once.
                self._refusals = int(refused) if pictures else self._refusals + refused
                await self._pause(min(row.cap_s, self._until_next(failures, refused=refused)))
        if self._preroll is None:
            self._try_declaring(lambda: self._coverage.finish(self._clock()))
        else:
            self._preroll.clear()

    def _until_next(self, failures: int, *, refused: bool) -> float:
        """Seconds; a camera that is only watched may be left alone for longer."""
        idle, times = self._preroll is not None, self._timeouts
        if refused:
            cap_s = backoff.IDLE_REFUSED_CAP_S if idle else backoff.REFUSED_CAP_S
            return times.wait_refused(self._refusals, self._chance, cap_s)
        cap_s = _WATCHING_CAP_S if idle else backoff.CAP_S
        return times.wait(failures, self._chance, cap_s)

    async def _pause(self, seconds: float) -> None:
        if not self._stop.is_set():
            self._wake.clear()
        try:
            async with asyncio.timeout(seconds):
                await self._wake.wait()
        except TimeoutError:
            return

    async def _age(self) -> None:
        """What nobody asked for goes on time, also while the camera sends nothing."""
        stepped = self._stepped()
        while (ring := self._preroll) is not None:
            if stepped != (stepped := self._stepped()):
                ring.clear()  # Its times are by a clock that was wrong.
            ring.trim(asyncio.get_running_loop().time())
            await asyncio.sleep(_AGE_EVERY_S)

    def _stepped(self) -> float:
        return self._clock.stepped_s if isinstance(self._clock, HostClock) else 0.0

    def _failed(self, key: str, cause: GapCause) -> None:
        if self._status.error_key != key:
            _LOGGER.info("A camera's recording is interrupted: %s", key)
        if self._preroll is None:
            self._try_declaring(lambda: self._coverage.broken(cause, self._clock()))
        self._report(state="failed", error_key=key)

    def _try_declaring(self, work: Callable[[], None]) -> None:
        try:
            work()
        except WitnessError as err:
            _LOGGER.warning("A gap waits to be written: %s", err.key)

    def _report(self, **changes: object) -> None:
        self._status = replace(self._status, **changes)  # type: ignore[arg-type]
        self._sink.status(self._status)

    def _going(self, now: datetime) -> None:
        segmenter = self._current
        if self._preroll is not None or segmenter is None:
            self._report(state="watching", error_key=None, last_frame=now)
            return
        self._report(
            state="recording",
            error_key=None,
            frames=self._before.frames + segmenter.frames,
            bytes=self._before.bytes + segmenter.bytes,
            last_frame=now,
        )

    def _segmenter(self, sound: SoundFormat | None) -> Segmenter:
        self._current = Segmenter(
            self._sink,
            self._coverage,
            segment_seconds=self._segment_seconds,
            sound=sound,
            timeline=self._timeline,
        )
        return self._current

    async def _record(self) -> None:
        """One connection, from describe to its end."""
        source, self._away = self._away or self._source, None
        stream = Stream(source, self._clock, self._timeouts.request)
        try:
            if self._status.state == "failed":
                self._report(state="connecting")
            found = await self._unless_stopped(self._connect(stream, source))
            if found is None:
                return
            client, feed = found
            reason = await self._watch(client.ended, feed)
            if reason is None:
                await stream.drain()
            feed.seal(reason.cause if isinstance(reason, CaptureError) else GapCause.STALLED)
            if reason is not None:
                raise reason  # noqa: TRY301 (a new address is read off the open stream)
        except BaseException as err:
            if self._live is not None:
                cause = err.cause if isinstance(err, CaptureError) else GapCause.RESTART
                self._live[0].seal(cause)
            if isinstance(err, StreamMoved):
                self._away = stream.moved(err)
            raise
        finally:
            self._live = None
            await stream.close()

    async def _connect(self, stream: Stream, source: StreamSource) -> tuple[RtspClient, Feed]:
        offer = await stream.set_up(await stream.open())
        missing = offer.sound_missing if source.audio else None
        self._status = replace(
            self._status, sound_refused=offer.sound_refused, sound_missing=missing
        )
        sound = offer.sound.format if offer.sound else None
        self._before, to = self._status, self._preroll
        if to is not None:
            to.connected(sound)
        feed = Feed(stream, to or self._segmenter(sound), self._clock, self._going)
        self._live = feed, sound
        return await stream.play(offer), feed

    async def _unless_stopped[T](self, work: Coroutine[Any, Any, T]) -> T | None:
        """Wait for it; None if we are asked to stop first: whoever ends must not wait for a
        camera that does not answer."""
        task, stop = asyncio.ensure_future(work), asyncio.ensure_future(self._stop.wait())
        try:
            await asyncio.wait((task, stop), return_when=asyncio.FIRST_COMPLETED)
            if task.done():
                return task.result()
            if self._live is not None:
                self._live[0].seal(GapCause.CONNECTION_LOST)
            return None
        finally:
            stop.cancel()
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    async def _watch(self, ended: asyncio.Future[WitnessError], feed: Feed) -> WitnessError | None:
        """Wait for the end; None if we were asked to stop."""
        stop = asyncio.ensure_future(self._stop.wait())
        dog = Watchdog(feed, self._timeouts, lambda silent: self._listened(silent=silent))
        try:
            await asyncio.wait((ended, stop, dog.bites), return_when=asyncio.FIRST_COMPLETED)
            if stop.done():
                return None
            return ended.result() if ended.done() else dog.bites.result()
        finally:
            dog.close()
            stop.cancel()

    def _listened(self, *, silent: bool) -> None:
        before = self._status.sound_missing
        now: Literal["sound_silent"] | None = "sound_silent" if silent else None
        if before in {None, "sound_silent"} and before != now:
            self._report(sound_missing=now)
