"""A real-time pull-point (ONVIF Core, 9.1): subscribe, pull, renew, unsubscribe, and again.

Whatever fails, the subscription is made anew, at first at once and then with back-off, for as long
as somebody listens: a panic button may hang on it.
"""

import asyncio
import math
import random
import uuid
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from datetime import datetime
from xml.etree import ElementTree
from xml.etree.ElementTree import Element
from xml.sax.saxutils import escape

from . import names, xml
from .connection import Connection
from .errors import OnvifAuthFailed, OnvifError, OnvifFault, OnvifHungUp, OnvifNoEvents
from .events import Notification, parse
from .source import OnvifSource

_NOTIFY = "http://docs.oasis-open.org/wsn/b-2"
_MANAGER = "http://docs.oasis-open.org/wsn/bw-2/SubscriptionManager"
_PULL = f"{names.EVENTS}/PullPointSubscription"
_ADDRESSING = "http://www.w3.org/2005/08/addressing"

# If we are killed, the camera forgets us after so long: it holds only a few subscriptions.
LIFETIME_S = 60
_SHORTEST_S, _LONGEST_S = 10.0, 600.0
# A camera that is switched off without a word is missed after the two together.
PULL_S, _SLACK_S = 10, 5.0
_ANSWER_S = 5.0
_AT_ONCE = 10  # Messages; more is refused by some.
_BETWEEN_S = 0.05  # A camera that always has something to say cannot keep us busy.
_EMPTY_S = 0.75  # Nor one that answers at once that it has nothing to say.
# Some close the connection instead of saying so. That is believed so often in a row: a subscription
# is renewed sooner, and that must be answered.
_HANG_UPS = 5
_LEAVE_S = 2.0
_STEADY_S = 5.0  # A subscription that lived shorter counts as one more failure.
FIRST_WAIT_S, MAX_WAIT_S, REFUSED_WAIT_S = 0.5, 10.0, 300.0
# One that answered until now has not got another password since, nor lost its events: it starts.
PATIENCE_S = 120.0


@dataclass(slots=True)
class _Point:
    """One subscription: where it is, what it wants to be told with every request, until when."""

    url: str = field(repr=False)
    to: str = field(repr=False)
    parameters: str
    lifetime_s: float
    renewable: bool = True

    def headers(self, action: str) -> str:
        return (
            f'<a:Action s:mustUnderstand="1">{action}</a:Action>'
            f"<a:MessageID>urn:uuid:{uuid.uuid4()}</a:MessageID>"
            "<a:ReplyTo><a:Address>http://www.w3.org/2005/08/addressing/anonymous</a:Address>"
            f'</a:ReplyTo><a:To s:mustUnderstand="1">{escape(self.to)}</a:To>{self.parameters}'
        )


async def listen(
    source: OnvifSource,
    take: Callable[[Notification], None],
    alive: Callable[[OnvifError | None], None],
) -> None:
    """Hear what the camera tells until cancelled.

    ``alive(None)`` is called when a subscription works, ``alive(error)`` when there is none;
    between the two nothing is known of the camera's state.
    """
    loop = asyncio.get_running_loop()
    failures = refusals = 0
    heard, listening = -math.inf, loop.time()
    while True:
        began = loop.time()
        try:
            async with Connection(source) as device, _subscribed(device) as point:
                async for notifications in _pull(device, point):
                    for notification in notifications:
                        take(notification)
                    alive(None)
                    heard, refusals = loop.time(), 0
        except Exception as err:  # One that nobody thought of must not end it unheard.
            alive(err if isinstance(err, OnvifError) else OnvifError(type(err).__name__))
            failures = 1 if loop.time() - began > _STEADY_S else failures + 1
            refusals = refusals + 1 if isinstance(err, OnvifAuthFailed | OnvifNoEvents) else 0
            # No password was wrong where it only lists no events, as one that starts does.
            since = max(heard, listening) if isinstance(err, OnvifNoEvents) else heard
            silent_s = loop.time() - since
        wait = wait_s(failures, refusals, random.random(), silent_s)  # noqa: S311 (for load)
        await asyncio.sleep(wait)


def wait_s(failures: int, refusals: int, chance: float, silent_s: float = math.inf) -> float:
    """How long to wait after so many failures in a row; ``chance`` in [0, 1) spreads cameras.

    A device that refuses us twice is asked seldom: many lock out who tries a wrong password often,
    and would lock out the recorder too. Not so if it answered us ``silent_s`` ago, a short time.
    """
    longest = min(MAX_WAIT_S, FIRST_WAIT_S * float(1 << min(failures - 1, 16)))
    if refusals > 1 and silent_s >= PATIENCE_S:
        longest = REFUSED_WAIT_S
    return longest * (0.75 + 0.25 * chance)


@asynccontextmanager
async def _subscribed(device: Connection) -> AsyncIterator[_Point]:
    url = (await device.services()).get(names.EVENTS)
    if url is None:
        raise OnvifNoEvents
    point = await _create(device, device.address(url))
    try:
        yield point
    finally:
        with suppress(OnvifError, TimeoutError):
            async with asyncio.timeout(_LEAVE_S):
                await _ask(device, point, _NOTIFY, "Unsubscribe", f"{_MANAGER}/UnsubscribeRequest")


async def _create(device: Connection, url: str) -> _Point:
    factory = _Point(url, url, "", LIFETIME_S)
    action = f"{names.EVENTS}/EventPortType/CreatePullPointSubscriptionRequest"
    wanted = f"<InitialTerminationTime>PT{LIFETIME_S}S</InitialTerminationTime>"
    answer = await _ask(
        device, factory, names.EVENTS, "CreatePullPointSubscription", action, wanted
    )
    parameters = _parameters(device.raw)
    to = xml.text(answer, "SubscriptionReference", "Address")
    if not to:
        raise OnvifError("no subscription")
    return _Point(device.address(to), to, parameters, lifetime(answer))


async def _pull(device: Connection, point: _Point) -> AsyncIterator[tuple[Notification, ...]]:
    """Everything that the camera tells; the first answer is asked for without waiting."""
    await _synchronize(device, point)
    loop = asyncio.get_running_loop()
    renewed, seconds, hang_ups = loop.time(), 1, 0
    while True:
        asked, answer = loop.time(), None
        try:
            answer = await _messages(device, point, seconds)
            hang_ups = 0
        except OnvifHungUp:
            if (hang_ups := hang_ups + 1) > _HANG_UPS:
                raise
        empty = next(xml.every(answer, "NotificationMessage"), None) is None
        yield () if answer is None else parse(answer)
        # A poll must not outlast the subscription, nor the moment when it is due for renewal.
        seconds = max(1, min(PULL_S, int(point.lifetime_s / 4)))
        if point.renewable and loop.time() - renewed > point.lifetime_s / 2:
            await _renew(device, point)
            renewed, hang_ups = loop.time(), 0
        early = _EMPTY_S - (loop.time() - asked) if empty else 0.0
        await asyncio.sleep(max(_BETWEEN_S, early))


async def _synchronize(device: Connection, point: _Point) -> None:
    """Have the camera tell how everything is. Not all can, not all need it (9.6), and some answer
    what is no SOAP, or nothing: whether the subscription works is seen by pulling."""
    action = f"{_PULL}/SetSynchronizationPointRequest"
    try:
        await _ask(device, point, names.EVENTS, "SetSynchronizationPoint", action)
    except OnvifAuthFailed:
        raise
    except OnvifError:
        pass


async def _messages(device: Connection, point: _Point, seconds: int) -> Element:
    wanted = f"<Timeout>PT{seconds}S</Timeout><MessageLimit>{_AT_ONCE}</MessageLimit>"
    action, patience = f"{_PULL}/PullMessagesRequest", seconds + _SLACK_S
    return await _ask(device, point, names.EVENTS, "PullMessages", action, wanted, patience)


async def _renew(device: Connection, point: _Point) -> None:
    wanted = f"<TerminationTime>PT{LIFETIME_S}S</TerminationTime>"
    try:
        answer = await _ask(device, point, _NOTIFY, "Renew", f"{_MANAGER}/RenewRequest", wanted)
    except OnvifFault:
        point.renewable = False  # Some keep it alive by pulling alone; if not, we subscribe anew.
    else:
        point.lifetime_s = lifetime(answer)


async def _ask(
    device: Connection,
    point: _Point,
    namespace: str,
    operation: str,
    action: str,
    inner: str = "",
    timeout_s: float = _ANSWER_S,
) -> Element:
    return await device.post(
        point.url,
        namespace,
        operation,
        inner,
        header=point.headers(action),
        action=action,
        timeout_s=timeout_s,
    )


def lifetime(body: Element) -> float:
    """Seconds that the camera grants, by its own clock; what makes no sense is taken as asked."""
    try:
        told = [
            datetime.fromisoformat(xml.text(body, name))
            for name in ("CurrentTime", "TerminationTime")
        ]
        granted = (told[1] - told[0]).total_seconds()
    except ValueError, TypeError, OverflowError:
        return LIFETIME_S
    return min(max(granted, _SHORTEST_S), _LONGEST_S) if granted > 0 else LIFETIME_S


def _parameters(raw: bytes) -> str:
    """The subscription's reference parameters as headers, namespaces and all (WS-Addressing, 3.3).

    The document was read before and has no document type.
    """
    try:
        root = ElementTree.fromstring(raw)  # noqa: S314
    except ElementTree.ParseError:
        return ""
    found = root.find(f".//{{{_ADDRESSING}}}ReferenceParameters")
    if found is None:
        return ""
    for element in found:
        element.set(f"{{{_ADDRESSING}}}IsReferenceParameter", "true")
        element.tail = None
    return "".join(ElementTree.tostring(element, encoding="unicode") for element in found)
