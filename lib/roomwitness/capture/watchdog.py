"""Looks after a connection that stays open and delivers nothing, a frequent failure."""

import asyncio
from collections.abc import Callable

from .errors import CaptureError, StreamNoKeyframe, StreamSilent, StreamStalled
from .feed import Feed
from .timeouts import Timeouts

_LOOK_EVERY_S = 0.5


class Watchdog:
    """One connection's. ``bites`` is done, with the reason as its result, when too little comes;
    ``heard(silent)`` is told at each look whether a sound that is set up is missing.
    """

    def __init__(self, feed: Feed, times: Timeouts, heard: Callable[[bool], None]) -> None:
        self._feed = feed
        self._times = times
        self._heard = heard
        self._loop = asyncio.get_running_loop()
        self._began = self._loop.time()
        self._every = min(_LOOK_EVERY_S, times.picture / 4, times.bytes / 4)
        self.bites: asyncio.Future[CaptureError] = self._loop.create_future()
        self._timer = self._loop.call_later(self._every, self._look)

    def _look(self) -> None:
        reason = self._missing()
        if reason is not None:
            if not self.bites.done():
                self.bites.set_result(reason)
            return
        self._timer = self._loop.call_later(self._every, self._look)
        self._heard(self._feed.silent(self._began, self._times.sound))

    def _missing(self) -> CaptureError | None:
        feed, times, began, now = self._feed, self._times, self._began, self._loop.time()
        feed.look()
        if now - max(began, feed.last_bytes) > times.bytes:
            return StreamSilent()
        if now - max(began, feed.last_picture) > times.picture:
            return StreamStalled()
        limit = times.next_keyframe if feed.last_key else times.first_keyframe
        if now - max(began, feed.last_key) > limit:
            return StreamNoKeyframe()
        return None

    def close(self) -> None:
        """Look no more."""
        self._timer.cancel()
        self.bites.cancel()
