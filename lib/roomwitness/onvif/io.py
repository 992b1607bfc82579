"""Digital inputs and relay outputs (ONVIF Device IO, 5; Core, 8.6, on older devices)."""

from contextlib import suppress
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
        OnvifFault: it refuses to say, which does not mean that it has none.
        OnvifUnreachable, OnvifAuthFailed, OnvifError.
    """
    try:
        answer = await device.call(names.DEVICEIO, "GetDigitalInputs")
    except OnvifFault as err:
        if not _is_lacking(err):
            raise
        return ()
    return tuple(_token(each) for each in xml.every(answer, "DigitalInputs") if _token(each))[
        :_MOST
    ]


async def relays(device: Connection) -> tuple[Relay, ...]:
    """The relay outputs; none where the device has no such service.

    Raises:
        OnvifFault: it refuses to say, which does not mean that it has none.
        OnvifUnreachable, OnvifAuthFailed, OnvifError.
    """
    try:
        answer = await _either(device, "GetRelayOutputs", "")
    except OnvifFault as err:
        if not _is_lacking(err):
            raise
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
        known: dict[str, Relay] = {}
        with suppress(OnvifFault):  # It does not say how its relays are set.
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
    url, refused = (await device.services()).get(names.DEVICEIO), None
    if url is not None:
        try:
            return await device.post(device.address(url), names.DEVICE, operation, inner)
        except OnvifFault as err:
            refused = err
    try:
        return await device.call(names.DEVICE, operation, inner)
    except OnvifFault as err:
        # That the older service does not have it says nothing of why the newer one refused.
        raise refused if refused is not None and _is_lacking(err) else err from None


def _is_lacking(fault: OnvifFault) -> bool:
    """Whether the device says that there is no such service or operation."""
    return "actionnotsupported" in fault.codes


def _token(element: Element) -> str:
    return element.get("token", "")[:_MAX_TOKEN]
