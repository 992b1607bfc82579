"""Repairs that are decided here: which flow asks about which issue."""

from homeassistant.components.repairs import RepairsFlow
from homeassistant.core import HomeAssistant

from roomwitness.witness.devices import CLOCK

from .backup_repair import BackupsGoneFlow
from .certificate_repair import ISSUES as CERTIFICATE_ISSUES
from .certificate_repair import CertificateFlow
from .clock_repair import ClockFlow
from .hold_repair import HoldFlow
from .keys_repair import ISSUE as KEYS_ISSUE
from .keys_repair import SiteKeysFlow


async def async_create_fix_flow(
    hass: HomeAssistant, issue_id: str, data: dict[str, str | int | float | None] | None
) -> RepairsFlow:
    """The flow of an issue that a person can answer for."""
    if data and "hold_id" in data:
        return HoldFlow({key: str(value) for key, value in data.items()})
    if data and data.get("key") in CERTIFICATE_ISSUES:
        return CertificateFlow(str(data["camera_id"]))
    if issue_id == KEYS_ISSUE:
        return SiteKeysFlow()
    if data and data.get("key") == CLOCK:
        return ClockFlow(str(data["camera_id"]))
    return BackupsGoneFlow()
