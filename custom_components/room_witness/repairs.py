"""Repairs that are decided here: which flow asks about which issue."""

from homeassistant.components.repairs import RepairsFlow
from homeassistant.core import HomeAssistant

from .backup_repair import BackupsGoneFlow


async def async_create_fix_flow(
    hass: HomeAssistant, issue_id: str, data: dict[str, str | int | float | None] | None
) -> RepairsFlow:
    """The flow of an issue that a person can answer for."""
    return BackupsGoneFlow()
