"""A camera that has another address now: found by its endpoint, recognised by its serial number.

Anybody on the network can answer a probe with a camera's endpoint (WS-Discovery has no security
that cameras use). So credentials go there only as digests and only after the host has refused us,
and the host must know the serial number that the camera had when it was set up.
"""

from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass, field, replace

from .connection import Connection
from .device import Identity, identity
from .discovery import PORT, DiscoveredCamera, discover
from .errors import OnvifError
from .source import OnvifSource

type Find = Callable[[], Awaitable[tuple[DiscoveredCamera, ...]]]

_MAX_TRIED = 4


@dataclass(frozen=True, slots=True)
class DeviceId:
    """What stays the same when a camera's address changes; empty where it is not known."""

    endpoint: str = field(default="", repr=False)
    serial: str = field(default="", repr=False)


def another(known: DeviceId, found: Identity) -> bool:
    """Whether this is surely not the device that was set up."""
    return bool(known.serial and found.serial) and known.serial != found.serial


async def endpoint_of(source: OnvifSource, timeout_s: float = 1.0) -> str:
    """By what WS-Discovery knows a device that does not say it over ONVIF; empty if not at all."""
    answers = await discover(timeout_s, [(source.host, PORT)])
    here = (source.host, source.port)
    found = next((c.endpoint for c in answers if (c.host, c.port) == here), "")
    return "" if found == f"{source.host}:{source.port}" else found


async def follow(
    source: OnvifSource, known: DeviceId, answers: Iterable[DiscoveredCamera]
) -> OnvifSource | None:
    """Where the device is now, by those who answered; None if it is not recognised elsewhere."""
    if not (known.endpoint and known.serial):
        return None
    here = (source.host, source.port)
    places = [(c.host, c.port) for c in answers if c.endpoint == known.endpoint]
    for host, port in [place for place in places if place != here][:_MAX_TRIED]:
        there = replace(source, host=host, port=port)
        if await _is_it(there, known):
            return there
    return None


async def _is_it(source: OnvifSource, known: DeviceId) -> bool:
    try:
        async with Connection(source, cautious=True) as device:
            return (await identity(device)).serial == known.serial
    except OnvifError:
        return False
