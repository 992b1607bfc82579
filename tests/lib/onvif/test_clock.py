"""A device's clock: read from whole seconds, and set."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from roomwitness.onvif import (
    Connection,
    OnvifAuthFailed,
    OnvifError,
    OnvifSource,
    read_clock,
    set_clock,
    xml,
)
from roomwitness.onvif.clock import Offset, narrow, offset, parse_time
from tests.camera import Camera, CameraConfig

START = datetime(2026, 11, 25, 23, 59, 58, tzinfo=UTC)


def told(hour: int, minute: int, second: int, day: int = 25, **extra: str) -> bytes:
    more = "".join(f"<{name}>{value}</{name}>" for name, value in extra.items())
    return (
        f"<R>{more}<UTCDateTime><Time><Hour>{hour}</Hour><Minute>{minute}</Minute>"
        f"<Second>{second}</Second></Time><Date><Year>2026</Year><Month>11</Month><Day>{day}</Day>"
        "</Date></UTCDateTime></R>"
    ).encode()


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        (told(23, 59, 58), START),
        (told(24, 0, 0), START + timedelta(seconds=2)),
        (told(23, 59, 60), START + timedelta(seconds=2)),
        (told(25, 0, 0), None),
        (told(23, 60, 0), None),
        (told(0, 0, -1), None),
        (told(0, 0, 0, day=31), None),
        (b"<R/>", None),
        (b"<R><UTCDateTime><Time><Hour>x</Hour></Time></UTCDateTime></R>", None),
    ],
)
def test_a_time_is_read_or_there_is_none(answer: bytes, expected: datetime | None) -> None:
    found = parse_time(xml.read(answer))
    assert (found.utc if found else None) == expected


def test_how_it_keeps_time_is_read_too() -> None:
    answer = told(1, 2, 3, DateTimeType="NTP", DaylightSavings="true", TZ="CET-1").replace(
        b"<TZ>CET-1</TZ>", b"<TimeZone><TZ> CET-1 </TZ></TimeZone>"
    )
    found = parse_time(xml.read(answer))
    assert found is not None
    assert (found.ntp, found.timezone, found.daylight_saving) == (True, "CET-1", True)


@given(
    st.floats(-1e6, 1e6),
    st.lists(st.tuples(st.floats(0, 2), st.floats(0, 1), st.floats(0, 1)), min_size=1, max_size=6),
)
def test_the_true_offset_is_always_inside(
    true: float, asks: list[tuple[float, float, float]]
) -> None:
    moment, found = START, []
    for pause, there, back in asks:
        sent = moment + timedelta(seconds=pause)
        read = sent + timedelta(seconds=there)
        moment = read + timedelta(seconds=back)
        shown = (read + timedelta(seconds=true)).replace(microsecond=0)
        found.append(offset(sent, moment, shown))
    together = narrow(found)
    assert together is not None
    assert together.low - 1e-4 <= true <= together.high + 1e-4
    assert together.error <= min(f.error for f in found) + 1e-9


def test_after_a_step_the_last_answers_count() -> None:
    assert narrow([Offset(0, 1), Offset(0.5, 2), Offset(9, 10), Offset(9.5, 11)]) == Offset(9.5, 10)
    assert narrow([]) is None


@pytest.fixture
async def camera() -> AsyncIterator[Camera]:
    async with Camera(CameraConfig(user="admin", password="word")) as found:
        yield found


async def test_the_clock_is_set_and_zone_and_daylight_saving_stay(camera: Camera) -> None:
    await camera.fault("clock_offset_s", -7200.0)
    source = OnvifSource("127.0.0.1", camera.onvif.port, "admin", "word")
    async with Connection(source) as device:
        before = await read_clock(device)
        assert before is not None
        assert before.offset.seconds == pytest.approx(-7200, abs=0.6)
        assert before.offset.error < 0.5
        assert before.ntp
        after = await set_clock(device)
    # The simulator refuses another zone than it has, and a lost daylight saving.
    assert after.offset.seconds == pytest.approx(0, abs=0.6)
    assert abs(camera.faults.clock_offset_s) < 0.2
    assert not after.ntp


async def test_a_clock_that_cannot_be_set_says_why(camera: Camera) -> None:
    source = OnvifSource("127.0.0.1", camera.onvif.port, "admin", "word")
    async with Connection(source) as device:
        camera.onvif.house.may_set = False
        with pytest.raises(OnvifAuthFailed):
            await set_clock(device)
        camera.onvif.house.may_set, camera.onvif.house.keeps_clock_wrong = True, True
        await camera.fault("clock_offset_s", 30.0)
        assert (await set_clock(device)).offset.seconds == pytest.approx(30, abs=0.6)
        camera.onvif.house._GetSystemDateAndTime = lambda _: "<tds:R/>"  # type: ignore[method-assign]
        assert await read_clock(device) is None
        with pytest.raises(OnvifError):
            await set_clock(device)
