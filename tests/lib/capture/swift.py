"""An event loop whose clock goes on at once when nothing happens: real sockets, no waiting."""

import asyncio
import selectors
from collections.abc import Coroutine
from typing import Any

# What was sent on the loopback is there after this at the latest, or a little later in our clock.
_GRACE_S = 0.0002


class _Selector(selectors.SelectSelector):
    now = 0.0

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        found = super().select(0)
        if found or timeout == 0:
            return found
        found = super().select(_GRACE_S if timeout is not None else 1.0)
        if not found and timeout is not None:
            self.now += timeout
        return found


class SwiftLoop(asyncio.SelectorEventLoop):
    def __init__(self) -> None:
        self._swift = _Selector()
        super().__init__(self._swift)

    def time(self) -> float:
        return self._swift.now


def swiftly[T](work: Coroutine[Any, Any, T]) -> T:
    """Run by that clock, which begins at 0."""
    with asyncio.Runner(loop_factory=SwiftLoop) as runner:
        return runner.run(work)
