"""Notifications as cameras send them, and what a change of a property means."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from roomwitness.onvif import xml
from roomwitness.onvif.events import (
    Change,
    Kind,
    Notification,
    Operation,
    Seen,
    parse,
    take,
)
from roomwitness.onvif.pullpoint import LIFETIME_S, lifetime, wait_s


def answer(*messages: str) -> bytes:
    return f"<e:Envelope><e:Body>{''.join(messages)}</e:Body></e:Envelope>".encode()


def message(
    topic: str, source: dict[str, str], data: dict[str, str], operation: str = "Changed"
) -> str:
    def items(values: dict[str, str]) -> str:
        return "".join(f'<tt:SimpleItem Name="{k}" Value="{v}"/>' for k, v in values.items())

    return (
        f'<wsnt:NotificationMessage><wsnt:Topic Dialect="x"> {topic} </wsnt:Topic><wsnt:Message>'
        f'<tt:Message UtcTime="2026-11-25T12:00:00Z" PropertyOperation="{operation}">'
        f"<tt:Source>{items(source)}</tt:Source><tt:Data>{items(data)}</tt:Data></tt:Message>"
        "</wsnt:Message></wsnt:NotificationMessage>"
    )


def read(*messages: str) -> tuple[Notification, ...]:
    return parse(xml.read(answer(*messages)))


@pytest.mark.parametrize(
    ("topic", "source", "data", "kind", "token", "active"),
    [
        (
            "tns1:Device/Trigger/DigitalInput",
            {"InputToken": "1"},
            {"LogicalState": "true"},
            Kind.INPUT,
            "1",
            True,
        ),
        (
            "tns1:Device/tns1:Trigger/tns1:DigitalInput_00000",
            {"InputToken": "a"},
            {"LogicalState": "0"},
            Kind.INPUT,
            "a",
            False,
        ),
        (
            "tns1:Device/Trigger/Relay",
            {"RelayToken": "R"},
            {"LogicalState": "active"},
            Kind.RELAY,
            "R",
            True,
        ),
        (
            "tns1:VideoSource/MotionAlarm",
            {"Source": "v"},
            {"State": "TRUE"},
            Kind.MOTION,
            "VideoSource/MotionAlarm v",
            True,
        ),
        (
            "tns1:RuleEngine/CellMotionDetector/Motion",
            {"VideoSourceConfigurationToken": "c", "Rule": "r"},
            {"IsMotion": "false"},
            Kind.MOTION,
            "RuleEngine/CellMotionDetector/Motion c r",
            False,
        ),
        (
            "tns1:RuleEngine/TamperDetector/Tamper",
            {"Rule": "r"},
            {"IsTamper": "1"},
            Kind.TAMPER,
            "RuleEngine/TamperDetector/Tamper r",
            True,
        ),
        *(
            (
                f"tns1:VideoSource/{name}/ImagingService",
                {"Source": "v"},
                {"State": "true"},
                Kind.TAMPER,
                f"VideoSource/{name}/ImagingService v",
                True,
            )
            for name in ("GlobalSceneChange", "ImageTooDark", "ImageTooBright", "ImageTooBlurry")
        ),
    ],
)
def test_what_cameras_tell(
    topic: str,
    source: dict[str, str],
    data: dict[str, str],
    kind: Kind,
    token: str,
    active: bool,
) -> None:
    for operation in Operation:
        (found,) = read(message(topic, source, data, operation))
        assert found == Notification(kind, operation, token, active)


def test_what_we_do_not_know_is_left_out() -> None:
    good = message("tns1:VideoSource/MotionAlarm", {"Source": "v"}, {"State": "true"})
    assert read(
        message("tns1:RuleEngine/LineDetector/Crossed", {"Rule": "r"}, {"ObjectId": "1"}),
        message("tns1:Device/Trigger", {"InputToken": "1"}, {"LogicalState": "true"}),
        message("tns1:Device/Trigger/DigitalInput", {}, {"LogicalState": "true"}),
        message("tns1:VideoSource/MotionAlarm", {"Source": "v"}, {"State": "true"}, "Odd"),
        "<wsnt:NotificationMessage/>",
        good,
    ) == read(good)
    # An event that is no property has no operation: it happened just now.
    (found,) = read(good.replace(' PropertyOperation="Changed"', ""))
    assert found.operation is Operation.CHANGED
    (found,) = read(good.replace('"true"', '"perhaps"'))
    assert found.active is None
    assert len(read(*[good] * 1000)) == 256


@given(st.text(max_size=80), st.text("<>&\"'/ abtns1:DeviceTrigger", max_size=80))
def test_any_document_is_read_or_refused(topic: str, junk: str) -> None:
    text = message(topic, {"InputToken": junk}, {"LogicalState": junk})
    try:
        root = xml.read(answer(text))
    except xml.BadXml:
        return
    assert isinstance(parse(root), tuple)


def told(active: bool | None, operation: Operation = Operation.CHANGED) -> Notification:
    return Notification(Kind.INPUT, operation, "1", active)


INITIAL, DELETED = Operation.INITIALIZED, Operation.DELETED


@pytest.mark.parametrize(
    ("before", "notification", "after", "change"),
    [
        (None, told(True), True, Change.BEGAN),
        (None, told(True, INITIAL), True, Change.WAS_ACTIVE),
        (None, told(False, INITIAL), False, Change.NONE),
        (False, told(True), True, Change.BEGAN),
        (False, told(True, INITIAL), True, Change.BEGAN),  # While nobody listened.
        (True, told(True, INITIAL), True, Change.NONE),
        (True, told(True), True, Change.NONE),
        (True, told(False), False, Change.ENDED),
        (True, told(False, INITIAL), False, Change.ENDED),
        (True, told(True, DELETED), True, Change.NONE),
        (False, told(None), False, Change.NONE),
    ],
)
def test_what_a_change_means(
    before: bool | None, notification: Notification, after: bool | None, change: Change
) -> None:
    assert take(Seen(before), notification) == (Seen(after), change)


@given(st.lists(st.tuples(st.sampled_from([True, False, None]), st.sampled_from(list(Operation)))))
def test_a_press_counts_once_however_it_is_told(steps: list[tuple[bool | None, Operation]]) -> None:
    """Between two presses the input was told to be inactive."""
    seen, armed = Seen(), True
    for active, operation in steps:
        seen, change = take(seen, told(active, operation))
        if change is Change.BEGAN:
            assert armed
        if change in (Change.BEGAN, Change.WAS_ACTIVE):
            armed = False
        if active is False and operation is not DELETED:
            armed = True


@pytest.mark.parametrize(
    ("current", "end", "seconds"),
    [
        ("2026-11-25T12:00:00Z", "2026-11-25T12:00:30Z", 30),
        ("2026-11-25T12:00:00", "2026-11-25T12:00:30", 30),
        ("2026-11-25T12:00:00Z", "2026-11-25T12:00:01Z", 10),
        ("2026-11-25T12:00:00Z", "2036-11-25T12:00:01Z", 600),
        ("2026-11-25T12:00:00Z", "2026-11-25T11:00:00Z", LIFETIME_S),
        ("2026-11-25T12:00:00Z", "2026-11-25T12:00:30", LIFETIME_S),
        ("never", "", LIFETIME_S),
    ],
)
def test_how_long_a_subscription_lives(current: str, end: str, seconds: float) -> None:
    text = f"<CurrentTime>{current}</CurrentTime><TerminationTime>{end}</TerminationTime>"
    assert lifetime(xml.read(answer(text))) == seconds


@given(st.integers(1, 10_000), st.integers(0, 10_000), st.floats(0, 1, exclude_max=True))
def test_waits_grow_and_are_bounded(failures: int, refusals: int, chance: float) -> None:
    wait = wait_s(failures, refusals, chance)
    assert 0.3 < wait_s(1, 0, chance) <= 0.5
    assert 0.3 < wait <= (300.0 if refusals > 1 else 10.0)
    if refusals > 1:  # Many cameras lock out whoever is wrong five times in half an hour.
        assert wait > 200
