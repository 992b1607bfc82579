"""How long a camera may take, and when it is tried again."""

from collections.abc import Callable
from dataclasses import dataclass

from . import backoff


@dataclass(frozen=True, slots=True, kw_only=True)
class Timeouts:
    """Seconds: until a request counts as failed, bytes, pictures or sound as missing, keyframes as
    never. Without sound the picture goes on.

    ``retries`` are the waits before each next connection, the last one repeating; without them
    they grow by ``backoff.delay``, or ``backoff.refused`` where it was the password.
    """

    request: float = 5.0
    bytes: float = 4.0
    picture: float = 5.0
    sound: float = 10.0
    first_keyframe: float = 10.0
    next_keyframe: float = 60.0
    retries: tuple[float, ...] = ()

    def wait(self, failures: int, chance: Callable[[], float], cap_s: float) -> float:
        """Seconds before the next connection after so many failures in a row."""
        if self.retries:
            return self.retries[min(failures, len(self.retries)) - 1]
        return backoff.delay(failures, chance, cap_s)

    def wait_refused(self, refusals: int, chance: Callable[[], float], cap_s: float) -> float:
        """The same after the camera refused the password so many times in a row."""
        if self.retries:
            return self.wait(refusals, chance, cap_s)
        return backoff.refused(refusals, chance, cap_s)
