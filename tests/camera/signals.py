"""What a camera tells and does besides its stream: PullPoint events, digital inputs, relays.

ONVIF Core 9 (events), Device IO 5 (inputs, relays). Each subscription has its own queue.
"""

import asyncio
import itertools
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from xml.sax.saxutils import quoteattr

from .config import CameraConfig, Faults

EVENTS, SUBSCRIPTION, DEVICE_IO = (
    "/onvif/event_service",
    "/onvif/subscription",
    "/onvif/deviceio_service",
)
INPUT, RELAY = "Device/Trigger/DigitalInput", "Device/Trigger/Relay"
MOTION, CELL_MOTION = "VideoSource/MotionAlarm", "RuleEngine/CellMotionDetector/Motion"
SCENE, DARK = (
    "VideoSource/GlobalSceneChange/ImagingService",
    "VideoSource/ImageTooDark/ImagingService",
)
TAMPER = "RuleEngine/TamperDetector/Tamper"
_NAMES = {  # Topic: names of its source and its value.
    INPUT: ("InputToken", "LogicalState"),
    RELAY: ("RelayToken", "LogicalState"),
    MOTION: ("Source", "State"),
    CELL_MOTION: ("VideoSourceConfigurationToken", "IsMotion"),
    SCENE: ("Source", "State"),
    DARK: ("Source", "State"),
    TAMPER: ("VideoSourceConfigurationToken", "IsTamper"),
}
_XMLNS = (
    ' xmlns:tev="http://www.onvif.org/ver10/events/wsdl"'
    ' xmlns:wsnt="http://docs.oasis-open.org/wsn/b-2"'
    ' xmlns:wsa="http://www.w3.org/2005/08/addressing"'
    ' xmlns:tns1="http://www.onvif.org/ver10/topics"'
)
_DIALECT = "http://www.onvif.org/ver10/tev/topicExpression/ConcreteSet"


class HangUp(Exception):
    """Close the connection without an answer."""


class Fault(Exception):
    """Answer this SOAP fault."""


def _time(moment: datetime) -> str:
    return f"{moment:%Y-%m-%dT%H:%M:%SZ}"


@dataclass
class Relay:
    state: str = "inactive"
    mode: str = "Bistable"
    idle: str = "open"


@dataclass
class _Subscription:
    ends: datetime
    waiting: list[str] = field(default_factory=list)
    come: asyncio.Event = field(default_factory=asyncio.Event)
    lost: bool = False

    def put(self, message: str) -> None:
        self.waiting.append(message)
        self.come.set()


class Signals:
    """``set`` changes what a topic says; ``press`` and ``release`` close and open an input."""

    def __init__(self, config: CameraConfig, faults: Faults, url: Callable[[str], str]) -> None:
        self._faults, self._url = faults, url
        self.inputs = {f"in{n}": "open" for n in range(1, config.inputs + 1)}
        self.relays = {f"relay{n}": Relay() for n in range(1, config.relays + 1)}
        self.commands: list[tuple[str, str]] = []  # Every accepted SetRelayOutputState.
        self.created = self.pulled = self.renewed = self.unsubscribed = 0
        self._properties: dict[tuple[str, str], str] = {
            **{(INPUT, token): "false" for token in self.inputs},
            **{(RELAY, token): "inactive" for token in self.relays},
        }
        self._subscriptions: dict[str, _Subscription] = {}
        self._numbers = itertools.count(1)

    # What a test or a hand does.

    def set(self, topic: str, source: str, value: str | bool) -> None:
        self._properties[topic, source] = str(value).lower()
        self._tell(topic, source, "Changed")

    def delete(self, topic: str, source: str) -> None:
        self._tell(topic, source, "Deleted")
        del self._properties[topic, source]

    def press(self, token: str = "in1") -> None:
        self.inputs[token] = "closed"
        self.set(INPUT, token, True)

    def release(self, token: str = "in1") -> None:
        self.inputs[token] = "open"
        self.set(INPUT, token, False)

    def lose(self) -> None:
        """Forget every subscription, as a restart does."""
        for subscription in self._subscriptions.values():
            subscription.lost = True
            subscription.come.set()
        self._subscriptions.clear()

    @property
    def waiting(self) -> int:
        """Messages that nobody has pulled."""
        return sum(len(each.waiting) for each in self._subscriptions.values())

    @property
    def subscribers(self) -> int:
        return sum(s.ends > datetime.now(UTC) for s in self._subscriptions.values())

    def _tell(self, topic: str, source: str, operation: str) -> None:
        for subscription in self._subscriptions.values():
            subscription.put(self._message(topic, source, operation))

    def _message(self, topic: str, source: str, operation: str) -> str:
        of, name = _NAMES[topic]
        value = self._properties[topic, source]
        now = datetime.now(UTC) + timedelta(seconds=self._faults.clock_offset_s)
        return (
            f'<wsnt:NotificationMessage><wsnt:Topic Dialect="{_DIALECT}">tns1:{topic}</wsnt:Topic>'
            f'<wsnt:Message><tt:Message UtcTime="{_time(now)}" PropertyOperation="{operation}">'
            f'<tt:Source><tt:SimpleItem Name="{of}" Value={quoteattr(source)}/></tt:Source>'
            f'<tt:Data><tt:SimpleItem Name="{name}" Value="{value}"/></tt:Data></tt:Message>'
            "</wsnt:Message></wsnt:NotificationMessage>"
        )

    # What a client asks.

    async def answer(self, name: str, text: str, path: str) -> str | None:
        """The response's XML; None if this is none of our operations."""
        operation = getattr(self, f"_{name}", None)
        if operation is None:
            return None
        result = operation(text, path)
        return str(await result if asyncio.iscoroutine(result) else result)

    def _CreatePullPointSubscription(self, text: str, _path: str) -> str:  # noqa: N802
        if self._faults.refuse_events:
            raise Fault("SubscribeCreationFailed")
        self.created += 1
        number = str(next(self._numbers))
        now, ends = self._until(text, "InitialTerminationTime")
        subscription = self._subscriptions[number] = _Subscription(ends)
        for topic, source in self._properties:
            subscription.put(self._message(topic, source, "Initialized"))
        address, parameters = self._url(f"{SUBSCRIPTION}/{number}"), ""
        if self._faults.reference_parameters:
            address = self._url(f"{SUBSCRIPTION}/any")
            parameters = (
                '<wsa:ReferenceParameters><d:Number xmlns:d="http://example.org/device">'
                f"{number}</d:Number></wsa:ReferenceParameters>"
            )
        return (
            f"<tev:CreatePullPointSubscriptionResponse{_XMLNS}><tev:SubscriptionReference>"
            f"<wsa:Address>{address}</wsa:Address>{parameters}</tev:SubscriptionReference>"
            f"<wsnt:CurrentTime>{_time(now)}</wsnt:CurrentTime><wsnt:TerminationTime>{_time(ends)}"
            "</wsnt:TerminationTime></tev:CreatePullPointSubscriptionResponse>"
        )

    def _until(self, text: str, name: str) -> tuple[datetime, datetime]:
        found = re.search(rf"{name}[^>]*>PT(\d+)S<", text)
        now = datetime.now(UTC)
        seconds = min(float(found[1]) if found else 60.0, self._faults.longest_subscription_s)
        return now, now + timedelta(seconds=seconds)

    def _of(self, text: str, path: str) -> _Subscription:
        number = path.rpartition("/")[2]
        if found := re.search(r"Number[^>]*>(\d+)<", text):
            number = found[1]
        subscription = self._subscriptions.get(number)
        if subscription is None or subscription.ends < datetime.now(UTC):
            raise Fault("ResourceUnknown")
        return subscription

    async def _PullMessages(self, text: str, path: str) -> str:  # noqa: N802
        subscription = self._of(text, path)
        self.pulled += 1
        found = re.search(r"Timeout[^>]*>PT(\d+)S<", text)
        limit = re.search(r"MessageLimit[^>]*>(\d+)<", text)
        try:
            wait_s = float(found[1]) if found else 1.0
            async with asyncio.timeout(0 if self._faults.no_long_poll else wait_s):
                await subscription.come.wait()
        except TimeoutError:
            pass
        if subscription.lost:
            raise Fault("ResourceUnknown")
        if self._faults.closes_empty and not subscription.waiting:
            raise HangUp
        several = min(int(limit[1]) if limit else 1, 5)
        messages = subscription.waiting[:several]
        del subscription.waiting[:several]
        if not subscription.waiting:
            subscription.come.clear()
        return (
            f"<tev:PullMessagesResponse{_XMLNS}><tev:CurrentTime>{_time(datetime.now(UTC))}"
            f"</tev:CurrentTime><tev:TerminationTime>{_time(subscription.ends)}"
            f"</tev:TerminationTime>{''.join(messages)}</tev:PullMessagesResponse>"
        )

    def _SetSynchronizationPoint(self, text: str, path: str) -> str:  # noqa: N802
        subscription = self._of(text, path)
        for topic, source in self._properties:
            subscription.put(self._message(topic, source, "Initialized"))
        return f"<tev:SetSynchronizationPointResponse{_XMLNS}/>"

    def _Renew(self, text: str, path: str) -> str:  # noqa: N802
        if self._faults.no_renew:
            raise Fault("ActionNotSupported")
        self.renewed += 1
        now, ends = self._until(text, "TerminationTime")
        self._of(text, path).ends = ends
        return (
            f"<wsnt:RenewResponse{_XMLNS}><wsnt:TerminationTime>{_time(ends)}</wsnt:TerminationTime>"
            f"<wsnt:CurrentTime>{_time(now)}</wsnt:CurrentTime></wsnt:RenewResponse>"
        )

    def _Unsubscribe(self, text: str, path: str) -> str:  # noqa: N802
        gone = self._of(text, path)
        self._subscriptions = {k: s for k, s in self._subscriptions.items() if s is not gone}
        self.unsubscribed += 1
        return f"<wsnt:UnsubscribeResponse{_XMLNS}/>"

    def _GetDigitalInputs(self, _text: str, _path: str) -> str:  # noqa: N802
        found = "".join(f'<tmd:DigitalInputs token="{token}"/>' for token in self.inputs)
        return (
            '<tmd:GetDigitalInputsResponse xmlns:tmd="http://www.onvif.org/ver10/deviceIO/wsdl">'
            f"{found}</tmd:GetDigitalInputsResponse>"
        )

    def _GetRelayOutputs(self, _text: str, _path: str) -> str:  # noqa: N802
        found = "".join(
            f'<tds:RelayOutputs token="{token}"><tt:Properties><tt:Mode>{relay.mode}</tt:Mode>'
            f"<tt:DelayTime>PT1S</tt:DelayTime><tt:IdleState>{relay.idle}</tt:IdleState>"
            "</tt:Properties></tds:RelayOutputs>"
            for token, relay in self.relays.items()
        )
        return f"<tds:GetRelayOutputsResponse>{found}</tds:GetRelayOutputsResponse>"

    def _SetRelayOutputSettings(self, text: str, _path: str) -> str:  # noqa: N802
        token = re.search(r'token="([^"]+)"|RelayOutputToken[^>]*>([^<]+)<', text)
        mode, idle = re.search(r"Mode[^>]*>(\w+)<", text), re.search(r"IdleState[^>]*>(\w+)<", text)
        if token is None or mode is None or idle is None:
            raise Fault("InvalidArgVal")
        relay = self.relays[token[1] or token[2]]
        relay.mode, relay.idle = mode[1], idle[1]
        return "<tds:SetRelayOutputSettingsResponse/>"

    def _SetRelayOutputState(self, text: str, _path: str) -> str:  # noqa: N802
        token = re.search(r"RelayOutputToken[^>]*>([^<]+)<", text)
        state = re.search(r"LogicalState[^>]*>(\w+)<", text)
        if self._faults.refuse_relay or token is None or token[1] not in self.relays or not state:
            raise Fault("RelayToken")
        self.relays[token[1]].state = state[1]
        self.commands.append((token[1], state[1]))
        self.set(RELAY, token[1], state[1])
        return "<tds:SetRelayOutputStateResponse/>"
