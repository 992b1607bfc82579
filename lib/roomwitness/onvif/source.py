"""Where a device is, and how to be let in."""

from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class OnvifSource:
    """A device's ONVIF service; ``repr`` tells none of it."""

    host: str = field(repr=False)
    port: int = field(default=80, repr=False)
    username: str | None = field(default=None, repr=False)
    password: str | None = field(default=None, repr=False)
