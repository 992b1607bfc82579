"""Digital inputs and relay outputs (ONVIF Device IO, 5; Core, 8.6, on older devices)."""

from dataclasses import dataclass
from xml.etree.ElementTree import Element
from xml.sax.saxutils import escape, quoteattr

from . import names, xml
from .connection import Connection
from .errors import OnvifFault

_MOST = 32
_MAX_TOKEN = 64


@dataclass(frozen=True, slots=True)
class Relay:
    """A relay output. ``monostable``: it falls back by itself after a while.

    ``idle`` is its contact while it is inactive: ``open`` or ``closed``.
    """

    token: str
    monostable: bool
    idle: str


async def inputs(device: Connection) -> tuple[str, ...]:
    """Tokens of the digital inputs; none where the device has no such service.

    Raises:
        OnvifUnreachable, OnvifAuthFailed, OnvifError.
    """
    try:
        answer = await device.call(names.DEVICEIO, "GetDigitalInputs")
    except OnvifFault:
        return ()
    return tuple(_token(each) for each in xml.every(answer, "DigitalInputs") if _token(each))[
        :_MOST
    ]


async def relays(device: Connection) -> tuple[Relay, ...]:
    """The relay outputs; none where the device has no such service.

    Raises:
        OnvifUnreachable, OnvifAuthFailed, OnvifError.
    """
    try:
        answer = await _either(device, "GetRelayOutputs", "")
    except OnvifFault:
        return ()
    found = (
        Relay(
            _token(each),
            xml.text(each, "Mode").lower() == "monostable",
            "closed" if xml.text(each, "IdleState").lower() == "closed" else "open",
        )
        for each in xml.every(answer, "RelayOutputs")
    )
    return tuple(relay for relay in found if relay.token)[:_MOST]


async def set_relay(device: Connection, token: str, *, active: bool) -> None:
    """Switch a relay and have it stay so; its settings are changed only if it would fall back.

    Raises:
        OnvifUnreachable, OnvifAuthFailed, OnvifFault, OnvifError.
    """
    if active:
        known = {relay.token: relay for relay in await relays(device)}
        if token in known and known[token].monostable:
            await _make_bistable(device, known[token])
    state = "active" if active else "inactive"
    inner = (
        f"<RelayOutputToken>{escape(token)}</RelayOutputToken><LogicalState>{state}</LogicalState>"
    )
    await _either(device, "SetRelayOutputState", inner)


async def _make_bistable(device: Connection, relay: Relay) -> None:
    properties = (
        "<tt:Mode>Bistable</tt:Mode><tt:DelayTime>PT1S</tt:DelayTime>"
        f"<tt:IdleState>{relay.idle}</tt:IdleState>"
    )
    try:
        inner = (
            f"<RelayOutput token={quoteattr(relay.token)}>"
            f'<Properties xmlns="http://www.onvif.org/ver10/schema">{properties}</Properties>'
            "</RelayOutput>"
        )
        await device.call(names.DEVICEIO, "SetRelayOutputSettings", inner)
    except OnvifFault:
        inner = (
            f"<RelayOutputToken>{escape(relay.token)}</RelayOutputToken>"
            f"<Properties>{properties}</Properties>"
        )
        await device.call(names.DEVICE, "SetRelayOutputSettings", inner)


async def _either(device: Connection, operation: str, inner: str) -> Element:
    """At the Device IO service with the messages of Device Management (its WSDL), or at that."""
    url = (await device.services()).get(names.DEVICEIO)
    if url is not None:
        try:
            return await device.post(device.address(url), names.DEVICE, operation, inner)
        except OnvifFault:
            pass
    return await device.call(names.DEVICE, operation, inner)


def _token(element: Element) -> str:
    return element.get("token", "")[:_MAX_TOKEN]
