"""Records one camera until told to stop: reconnects by itself and declares what it missed."""

import asyncio
import logging
import random
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime

from roomwitness.errors import WitnessError
from roomwitness.policy.words import GapCause

from . import backoff
from .coverage import Coverage
from .errors import CaptureError, StreamNoKeyframe, StreamProtocolError, StreamSilent, StreamStalled
from .feed import Feed
from .hostclock import HostClock
from .segmenter import Segmenter
from .sink import SegmentSink
from .source import StreamSource
from .status import CaptureStatus
from .stream import Stream
from .timeline import Timeline

_LOGGER = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Timeouts:
    """Seconds: until a request counts as failed, bytes or pictures as missing, keyframes as never.

    ``retries`` are the waits before each next connection, the last one repeating; without them
    they grow by ``backoff.delay``.
    """

    request: float = 5.0
    bytes: float = 4.0
    picture: float = 5.0
    first_keyframe: float = 10.0
    next_keyframe: float = 60.0
    retries: tuple[float, ...] = ()

    def wait(self, failures: int, chance: Callable[[], float]) -> float:
        """Seconds before the next connection after so many failures in a row."""
        if self.retries:
            return self.retries[min(failures, len(self.retries)) - 1]
        return backoff.delay(failures, chance)


class Recorder:
    """One camera of one meeting. Lives in the capture thread's loop; ``stop`` is for any thread.

    The recording must be accounted for from ``start``; until media comes, ``cause`` is why not.
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
    ) -> None:
        self._source = source
        self._sink = sink
        self._segment_seconds = segment_seconds
        self._clock = clock or HostClock()
        self._timeline = Timeline(self._clock, sink.clock)
        self._chance = chance
        self._timeouts = timeouts or Timeouts()
        self._coverage = Coverage(start, cause, self._declare)
        self._undeclared: list[tuple[datetime, datetime, GapCause, int]] = []
        self._status = CaptureStatus(state="connecting")
        self._loop: asyncio.AbstractEventLoop | None = None
        self._stop = asyncio.Event()
        self._stopping = False

    def stop(self) -> None:
        """Ask ``run`` to seal what is open and return."""
        self._stopping = True
        if self._loop is not None:
            self._loop.call_soon_threadsafe(self._stop.set)

    async def run(self) -> None:
        """Record until stopped. Faults of camera, network and disk become status and gaps."""
        self._loop = asyncio.get_running_loop()
        if self._stopping:
            self._stop.set()
        failures = 0
        while not self._stop.is_set():
            frames = self._status.frames
            try:
                await self._record()
            except CaptureError as err:
                self._failed(err.key, err.cause)
            except WitnessError as err:
                self._failed(err.key, GapCause.DISK_FULL)
            except Exception as err:  # A fault of ours must not end the recording unseen.
                _LOGGER.error("Unexpected %s while recording", type(err).__name__)  # noqa: TRY400
                self._failed(StreamProtocolError.key, GapCause.PROTOCOL_ERROR)
            failures = 1 if self._status.frames > frames else failures + 1
            await self._pause(self._timeouts.wait(failures, self._chance))
        self._try_declaring(lambda: self._coverage.finish(self._clock()))

    async def _pause(self, seconds: float) -> None:
        try:
            async with asyncio.timeout(seconds):
                await self._stop.wait()
        except TimeoutError:
            return

    def _failed(self, key: str, cause: GapCause) -> None:
        if self._status.error_key != key:
            _LOGGER.info("A camera's recording is interrupted: %s", key)
        self._try_declaring(lambda: self._coverage.broken(cause, self._clock()))
        self._report(state="failed", error_key=key)

    def _declare(self, start: datetime, end: datetime, cause: GapCause, lost: int) -> None:
        """A gap that cannot be written now (the disk is full) is written later, not forgotten."""
        self._undeclared.append((start, end, cause, lost))
        while self._undeclared:
            self._sink.gap(*self._undeclared[0])
            self._undeclared.pop(0)

    def _try_declaring(self, work: Callable[[], None]) -> None:
        try:
            work()
        except WitnessError as err:
            _LOGGER.warning("A gap waits to be written: %s", err.key)

    def _report(self, **changes: object) -> None:
        self._status = replace(self._status, **changes)  # type: ignore[arg-type]
        self._sink.status(self._status)

    def _going(self, before: CaptureStatus, segmenter: Segmenter, now: datetime) -> None:
        self._report(
            state="recording",
            error_key=None,
            frames=before.frames + segmenter.frames,
            bytes=before.bytes + segmenter.bytes,
            last_frame=now,
        )

    async def _record(self) -> None:
        """One connection, from describe to its end."""
        stream = Stream(self._source, self._clock, self._timeouts.request)
        try:
            if self._status.state == "failed":
                self._report(state="connecting")
            offer = await stream.open()
            self._status = replace(self._status, sound_refused=offer.sound_refused)
            segmenter = Segmenter(
                self._sink,
                self._coverage,
                segment_seconds=self._segment_seconds,
                sound=offer.sound.format if offer.sound else None,
                timeline=self._timeline,
            )
            before = self._status
            feed = Feed(
                stream, segmenter, self._clock, lambda now: self._going(before, segmenter, now)
            )
            client = await stream.play(offer)
            try:
                reason = await self._watch(client.ended, feed)
            except BaseException:
                feed.seal(GapCause.RESTART)
                raise
            feed.seal(reason.cause if isinstance(reason, CaptureError) else GapCause.STALLED)
            if reason is not None:
                raise reason
        finally:
            await stream.close()

    async def _watch(self, ended: asyncio.Future[WitnessError], feed: Feed) -> WitnessError | None:
        """Wait for the end; None if we were asked to stop."""
        stop = asyncio.ensure_future(self._stop.wait())
        loop = asyncio.get_running_loop()
        began = loop.time()
        times = self._timeouts
        try:
            while True:
                await asyncio.wait(
                    (ended, stop),
                    timeout=min(0.5, times.picture / 4, times.bytes / 4),
                    return_when=asyncio.FIRST_COMPLETED,
                )
                if stop.done():
                    return None
                if ended.done():
                    return ended.result()
                now = loop.time()
                feed.look()
                if now - max(began, feed.last_bytes) > times.bytes:
                    return StreamSilent()
                if now - max(began, feed.last_picture) > times.picture:
                    return StreamStalled()
                limit = times.next_keyframe if feed.last_key else times.first_keyframe
                if now - max(began, feed.last_key) > limit:
                    return StreamNoKeyframe()
        finally:
            stop.cancel()
