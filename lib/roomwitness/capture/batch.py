"""Fewer wake-ups: a connection is read when a good deal has come, or some moments have passed.

The kernel tells of a socket once it holds ``BYTES`` (``SO_RCVLOWAT``, socket(7)): a camera's
pictures then come some at a time. So that nothing waits for long where little comes, it is read
at every second tick without being told of; or, where only the event loop can read it (TLS), one
that was not read since the last tick is told of at its next byte.
"""

import asyncio
import socket
import weakref
from collections.abc import Callable
from contextlib import suppress
from typing import Any

# A camera of 4 Mbit/s does not fill it in two ticks: then cameras are read one behind the other,
# while the code that does it is in the processor's cache. One of 16 Mbit/s fills it in 0.26 s.
BYTES = 1 << 19
# What has come waits at most for two of them; a kill costs it, and the picture that came last.
TICK_S = 0.25
WAIT_S = 2 * TICK_S


class Batch:
    """One connection's; ``sock`` is anything with ``setsockopt``, and ``take`` reads what is there,
    None if the event loop must."""

    def __init__(
        self, sock: Any, loop: asyncio.AbstractEventLoop, take: Callable[[], None] | None = None
    ) -> None:
        self._sock = sock
        self._take = take
        # What came just before may not be written yet: the first wait is a short one.
        self._came = take is None
        self._at_once = False
        self._set(BYTES)
        self._ticks = _ticks_of.setdefault(loop, _Ticks(loop))
        self._ticks.add(self)

    def read(self) -> None:
        """Something was read."""
        self._came = True
        if self._at_once:
            self._at_once = False
            self._set(BYTES)

    def tick(self) -> None:
        """A moment has passed."""
        came, self._came = self._came, False
        if came or self._at_once:
            return
        if self._take is not None:
            self._take()
            self._came = True
        else:
            self._at_once = True
            self._set(1)

    def _set(self, size: int) -> None:
        with suppress(OSError):  # Then each byte wakes us, as ever.
            self._sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVLOWAT, size)

    def close(self) -> None:
        """No more of it: each byte wakes us again."""
        self._ticks.discard(self)
        self._set(1)


class _Ticks:
    """One timer for all connections of an event loop, as long as there are any."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = weakref.ref(loop)
        self._batches: set[Batch] = set()
        self._timer: asyncio.TimerHandle | None = None

    def add(self, batch: Batch) -> None:
        self._batches.add(batch)
        if self._timer is None:
            self._again()

    def discard(self, batch: Batch) -> None:
        self._batches.discard(batch)
        if not self._batches and self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _tick(self) -> None:
        for batch in tuple(self._batches):  # What they take may end one.
            batch.tick()
        if self._batches:
            self._again()

    def _again(self) -> None:
        if (loop := self._loop()) is not None:
            self._timer = loop.call_later(TICK_S, self._tick)


_ticks_of: weakref.WeakKeyDictionary[asyncio.AbstractEventLoop, _Ticks] = (
    weakref.WeakKeyDictionary()
)
