"""When was this picture taken? From what the index keeps of a segment (docs/time.md)."""

from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Protocol

from .records import ClockEvent


class Timed(Protocol):
    """What a segment's row tells of time."""

    @property
    def start(self) -> datetime:
        """Our wall time of the first picture."""
        ...

    @property
    def end(self) -> datetime:
        """Our wall time of the end of the last."""
        ...

    @property
    def media_seconds(self) -> float:
        """What lies between by the camera's media clock."""
        ...

    @property
    def host_steps(self) -> int:
        """How many steps of our own clock came before."""
        ...


def wall_time(segment: Timed, media_seconds: float, events: Iterable[ClockEvent] = ()) -> datetime:
    """Our wall time of the picture that is shown ``media_seconds`` into the segment.

    A straight line through the segment's start and end, so that the camera's drift is taken out.
    Given the recording's clock events, it also corrects for steps of our own clock that came
    after the segment: what the clock was set to later is believed more than what it showed before.
    """
    rate = (segment.end - segment.start) / segment.media_seconds if segment.media_seconds else None
    shown = segment.start + (rate * media_seconds if rate is not None else timedelta(0))
    steps = [event.seconds for event in events if event.kind == "host_step"]
    return shown + timedelta(seconds=sum(steps[segment.host_steps :]))
