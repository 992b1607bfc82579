"""Whether a camera that refuses us may let us in again by itself; times are monotonic seconds."""

# A camera that starts, or counts a session of ours that is over, refuses for less than this.
PATIENCE_S = 120.0


class Patience:
    """Of one camera, with one user name and password.

    One that let us in until now has not got another password since: it starts, or is confused. And
    ``forbidden`` (403) is said of rights and sessions more than of passwords, which are 401.
    """

    def __init__(self) -> None:
        self._let_in: float | None = None
        self._forbidden: float | None = None

    def let_in(self, now: float) -> None:
        """There were pictures until now."""
        self._let_in, self._forbidden = now, None

    def lasts(self, now: float, *, forbidden: bool) -> bool:
        """It refused: whether to try again soon, as after any other failure."""
        since = [self._let_in]
        if forbidden:
            self._forbidden = now if self._forbidden is None else self._forbidden
            since.append(self._forbidden)
        return any(at is not None and now - at < PATIENCE_S for at in since)
