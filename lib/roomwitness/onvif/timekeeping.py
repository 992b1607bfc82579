"""Reading and setting a device's clock (ONVIF Core, 8.2: GetSystemDateAndTime and its kin)."""

import asyncio
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from xml.sax.saxutils import escape

from . import names
from .clock import Offset
from .connection import Connection
from .errors import OnvifError

_ASKS = 3


@dataclass(frozen=True, slots=True)
class DeviceClock:
    """A device's clock against ours; ``ntp``: it says that a time server sets it."""

    offset: Offset
    ntp: bool


async def read_clock(device: Connection) -> DeviceClock | None:
    """Measure; None if the device tells no time.

    Raises:
        OnvifUnreachable, OnvifAuthFailed, OnvifError.
    """
    offset = await device.measure_clock(_ASKS)
    if offset is None or device.time is None:
        return None
    return DeviceClock(offset, device.time.ntp)


async def set_clock(device: Connection) -> DeviceClock:
    """Set it to ours and measure again. A time server of its own is switched off by that.

    Time zone and daylight saving stay as they are: only what both mean in UTC changes.

    Raises:
        OnvifAuthFailed: this user may not (setting needs an administrator).
        OnvifUnreachable, OnvifError.
    """
    before = await read_clock(device)
    if before is None or device.time is None:
        raise OnvifError("no time")
    now = datetime.now(UTC)
    at = now.replace(microsecond=0) + timedelta(seconds=1)
    await asyncio.sleep((at - now).total_seconds())  # It takes whole seconds: at the stroke of one.
    zone = device.time.timezone
    zone = f"<TimeZone><tt:TZ>{escape(zone)}</tt:TZ></TimeZone>" if zone else ""
    saving = str(device.time.daylight_saving).lower()
    inner = (
        f"<DateTimeType>Manual</DateTimeType><DaylightSavings>{saving}</DaylightSavings>{zone}"
        f"<UTCDateTime><tt:Time><tt:Hour>{at.hour}</tt:Hour><tt:Minute>{at.minute}</tt:Minute>"
        f"<tt:Second>{at.second}</tt:Second></tt:Time><tt:Date><tt:Year>{at.year}</tt:Year>"
        f"<tt:Month>{at.month}</tt:Month><tt:Day>{at.day}</tt:Day></tt:Date></UTCDateTime>"
    )
    await device.call(names.DEVICE, "SetSystemDateAndTime", inner)
    after = await read_clock(device)
    if after is None:
        raise OnvifError("no time")
    return after
