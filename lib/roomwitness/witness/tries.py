"""Steps of which each is tried, whatever became of the others."""

from types import TracebackType


class Tries:
    """``with tries:`` around each step; ``finish`` raises the first error, once all were tried.

    A disk that refuses one thing must not keep another from being done: an entry that cannot be
    logged keeps no key from being destroyed.
    """

    def __init__(self) -> None:
        self._first: Exception | None = None

    def __enter__(self) -> None:
        """Begin a step."""

    def __exit__(
        self,
        _kind: type[BaseException] | None,
        err: BaseException | None,
        _traceback: TracebackType | None,
    ) -> bool:
        """End it; an error (no cancellation) is kept for later."""
        if not isinstance(err, Exception):
            return False
        self._first = self._first or err
        return True

    def finish(self) -> None:
        """Raise the first step's error, if any failed."""
        if self._first is not None:
            raise self._first
