"""What a camera tells besides its stream, read from notifications: pure, no I/O.

ONVIF Core 9.4 and 9.5 (topics, properties), Imaging annex (tampering), Analytics annex (rules),
Device IO 5.11 (inputs, relays). Topics are known by their last steps, whatever their prefix.
"""

from dataclasses import dataclass
from enum import StrEnum
from xml.etree.ElementTree import Element

from . import xml

_MAX_TOKEN = 64  # tt:ReferenceToken
_MAX_MESSAGES = 256


class Kind(StrEnum):
    """What a notification is about."""

    INPUT = "input"
    RELAY = "relay"
    MOTION = "motion"
    TAMPER = "tamper"


class Operation(StrEnum):
    """``tt:PropertyOperation``: how it is, what happened to it, or that it is no more."""

    INITIALIZED = "Initialized"
    CHANGED = "Changed"
    DELETED = "Deleted"


_TOPICS = (
    (("Device", "Trigger", "DigitalInput"), Kind.INPUT),
    (("Device", "Trigger", "Relay"), Kind.RELAY),
    (("VideoSource", "MotionAlarm"), Kind.MOTION),
    (("RuleEngine", "CellMotionDetector", "Motion"), Kind.MOTION),
    (("VideoSource", "GlobalSceneChange"), Kind.TAMPER),
    (("VideoSource", "ImageTooDark"), Kind.TAMPER),
    (("VideoSource", "ImageTooBright"), Kind.TAMPER),
    (("VideoSource", "ImageTooBlurry"), Kind.TAMPER),
    (("RuleEngine", "TamperDetector"), Kind.TAMPER),
)
_VALUES = {
    Kind.INPUT: ("LogicalState", "State"),
    Kind.RELAY: ("LogicalState", "State"),
    Kind.MOTION: ("State", "IsMotion"),
    Kind.TAMPER: ("State", "IsTamper", "Tamper"),
}
_TOKENS = {Kind.INPUT: "InputToken", Kind.RELAY: "RelayToken"}
_ON = frozenset({"true", "1", "active", "closed", "on"})
_OFF = frozenset({"false", "0", "inactive", "open", "off"})


@dataclass(frozen=True, slots=True)
class Notification:
    """One state that the camera tells; ``active`` is None where it says none that we know.

    ``source`` is the token of the input or relay; of motion and tamper it is what tells several
    detectors apart: topic and all source tokens.
    """

    kind: Kind
    operation: Operation
    source: str
    active: bool | None


def parse(root: Element) -> tuple[Notification, ...]:
    """Read the answer to PullMessages; what we do not know is left out."""
    found: list[Notification] = []
    for message in xml.every(root, "NotificationMessage"):
        if (notification := _notification(message)) is not None:
            found.append(notification)
        if len(found) == _MAX_MESSAGES:
            break
    return tuple(found)


def _notification(message: Element) -> Notification | None:
    steps = tuple(step.rpartition(":")[2] for step in xml.text(message, "Topic").split("/"))
    kind = next((kind for known, kind in _TOPICS if _is(steps, known)), None)
    inner = xml.find(message, "Message", "Message")
    if kind is None or inner is None:
        return None
    try:
        # Without one it is an event and no property (9.4.2): it happened just now.
        operation = Operation(inner.get("PropertyOperation") or Operation.CHANGED)
    except ValueError:
        return None
    tokens, values = _items(inner, "Source"), _items(inner, "Data")
    source = tokens.get(_TOKENS[kind]) if kind in _TOKENS else None
    if source is None:
        source = " ".join(
            ("/".join(steps), *tokens.values()) if kind not in _TOKENS else tokens.values()
        )
    if not source:
        return None
    value = next((values[name] for name in _VALUES[kind] if name in values), "").lower()
    active = True if value in _ON else False if value in _OFF else None
    return Notification(kind, operation, source[: 4 * _MAX_TOKEN], active)


def _is(steps: tuple[str, ...], known: tuple[str, ...]) -> bool:
    """Whether a topic is the known one or below it; some number its last step."""
    if len(steps) < len(known) or steps[: len(known) - 1] != known[:-1]:
        return False
    last = steps[len(known) - 1]
    return last == known[-1] or last.startswith(f"{known[-1]}_")


def _items(message: Element, part: str) -> dict[str, str]:
    return {
        item.get("Name", "")[:_MAX_TOKEN]: item.get("Value", "").strip()[:_MAX_TOKEN]
        for item in xml.every(xml.find(message, part), "SimpleItem")
    }


@dataclass(frozen=True, slots=True)
class Seen:
    """What is known of one property: its state, None before anything was told."""

    active: bool | None = None


class Change(StrEnum):
    """What a notification means for somebody who acts on it once."""

    NONE = "none"
    BEGAN = "began"
    ENDED = "ended"
    WAS_ACTIVE = "was_active"  # It was so before we listened: nobody knows since when.


def take(seen: Seen, notification: Notification) -> tuple[Seen, Change]:
    """Add one notification to what is known of its property.

    A property that was inactive and is ``Initialized`` as active (after a subscription was lost)
    began meanwhile, which counts once. One that is active when it is first told of did not begin
    that we know; one that was deleted keeps what was known of it.
    """
    if notification.operation is Operation.DELETED or notification.active is None:
        return seen, Change.NONE
    after = Seen(notification.active)
    if notification.active is seen.active:
        return after, Change.NONE
    if not notification.active:
        return after, Change.NONE if seen.active is None else Change.ENDED
    if seen.active is None and notification.operation is Operation.INITIALIZED:
        return after, Change.WAS_ACTIVE
    return after, Change.BEGAN
