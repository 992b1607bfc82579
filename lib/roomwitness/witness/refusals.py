"""Cameras that refused the password: asked again ever more seldom, before they lock the account."""

import random
from collections.abc import Callable
from dataclasses import dataclass

from roomwitness.capture import StreamSource, backoff


@dataclass(frozen=True, slots=True)
class _Refused:
    """How often in a row, and until when it is left alone; as it was configured then."""

    source: StreamSource
    times: int
    until: float


class Refusals:
    """By camera id; times are monotonic seconds. Another password, or address, is tried at once."""

    def __init__(self, chance: Callable[[], float] = random.random) -> None:
        self._chance = chance
        self._refused: dict[str, _Refused] = {}

    def rests(self, camera_id: str, source: StreamSource, now: float) -> bool:
        """Whether asking now would be one wrong password too many."""
        last = self._refused.get(camera_id)
        return last is not None and last.source == source and now < last.until

    def refused(self, camera_id: str, source: StreamSource, now: float) -> None:
        """It refused."""
        last = self._refused.get(camera_id)
        times = last.times + 1 if last is not None and last.source == source else 1
        # Nobody is in the room yet: without the quick second try.
        wait = backoff.refused(times + 1, self._chance, backoff.IDLE_REFUSED_CAP_S)
        self._refused[camera_id] = _Refused(source, times, now + wait)

    def let_in(self, camera_id: str) -> None:
        """It took the password."""
        self._refused.pop(camera_id, None)
