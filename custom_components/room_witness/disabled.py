"""A site that somebody disabled: nothing records there, and nothing is erased."""

from homeassistant.config_entries import (
    SIGNAL_CONFIG_ENTRY_CHANGED,
    ConfigEntry,
    ConfigEntryChange,
    ConfigEntryState,
)
from homeassistant.core import HomeAssistant, callback
from homeassistant.helpers import issue_registry as ir
from homeassistant.helpers.dispatcher import async_dispatcher_connect
from homeassistant.util import dt as dt_util

from . import issues
from .const import DOMAIN
from .lamp import async_put_out


@callback
def async_setup_disabled(hass: HomeAssistant) -> None:
    """Say so, and put its lamps out: also where it could not start, and nothing is unloaded."""

    @callback
    def changed(change: ConfigEntryChange, entry: ConfigEntry) -> None:
        if (
            entry.domain != DOMAIN
            or entry.disabled_by is None
            or entry.state is not ConfigEntryState.NOT_LOADED
            or change is not ConfigEntryChange.UPDATED
            or ir.async_get(hass).async_get_issue(DOMAIN, issues.SITE_DISABLED)
        ):
            return
        since = f"{dt_util.utcnow():%Y-%m-%d %H:%M} UTC"
        issues.async_set(hass, issues.SITE_DISABLED, active=True, since=since)
        hass.async_create_task(async_put_out(hass, entry), "room_witness lamps out")

    async_dispatcher_connect(hass, SIGNAL_CONFIG_ENTRY_CHANGED, changed)
