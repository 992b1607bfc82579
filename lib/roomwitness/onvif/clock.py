"""A device's clock as ``GetSystemDateAndTime`` shows it: pure arithmetic."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from xml.etree.ElementTree import Element

from . import xml


@dataclass(frozen=True, slots=True)
class DeviceTime:
    """What the device says: ``utc`` in whole seconds, and how it keeps time.

    ``timezone`` is its POSIX rule (IEEE 1003.1, 8.3), which setting the clock must not change.
    """

    utc: datetime
    ntp: bool
    timezone: str
    daylight_saving: bool


def parse_time(answer: Element) -> DeviceTime | None:
    """Read an answer; None if it holds no time that exists.

    Hour 24 (ISO 8601's end of a day) and leap seconds are read as the moment they mean.
    """
    utc = xml.find(answer, "UTCDateTime")
    names = ("Year", "Month", "Day", "Hour", "Minute", "Second")
    try:
        year, month, day, hour, minute, second = (int(xml.text(utc, name)) for name in names)
        if not (0 <= hour <= 24 and 0 <= minute <= 59 and 0 <= second <= 60):
            return None
        moment = datetime(year, month, day, tzinfo=UTC)
        moment += timedelta(hours=hour, minutes=minute, seconds=second)
    except ValueError, OverflowError:
        return None
    return DeviceTime(
        moment,
        xml.text(answer, "DateTimeType").upper() == "NTP",
        xml.text(answer, "TimeZone", "TZ"),
        xml.text(answer, "DaylightSavings").lower() in ("true", "1"),
    )


@dataclass(frozen=True, slots=True)
class Offset:
    """A device's clock minus ours, in seconds: surely from ``low`` to ``high``."""

    low: float
    high: float

    @property
    def seconds(self) -> float:
        """The middle."""
        return (self.low + self.high) / 2

    @property
    def error(self) -> float:
        """How much the middle can be wrong."""
        return (self.high - self.low) / 2


def offset(sent: datetime, received: datetime, shown: datetime) -> Offset:
    """What one answer tells: ``shown`` is whole seconds, read between our two moments."""
    return Offset(
        (shown - received).total_seconds(),
        (shown - sent).total_seconds() + 1.0,
    )


def narrow(offsets: Iterable[Offset]) -> Offset | None:
    """What several answers tell together; after a step of the clock, what the last ones do."""
    found: Offset | None = None
    for new in offsets:
        if found is None or new.low > found.high or new.high < found.low:
            found = new
        else:
            found = Offset(max(found.low, new.low), min(found.high, new.high))
    return found
