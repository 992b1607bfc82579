"""Entities that a room uses and that somebody renames: the room goes on with the new id."""

from homeassistant.config_entries import ConfigEntryState
from homeassistant.core import Event, HomeAssistant, callback
from homeassistant.helpers import entity_registry as er

from .const import CONF_CALENDAR, CONF_LAMP, DOMAIN
from .rooms import room_subentries
from .site import WitnessConfigEntry

_ENTITIES = (CONF_CALENDAR, CONF_LAMP)


@callback
def async_setup_renames(hass: HomeAssistant) -> None:
    """Follow them, also while the site cannot start: bookings would go unrecorded afterwards."""

    @callback
    def updated(event: Event[er.EventEntityRegistryUpdatedData]) -> None:
        data = event.data
        if data["action"] != "update" or "old_entity_id" not in data:
            return
        for entry in hass.config_entries.async_entries(DOMAIN):
            _async_follow(hass, entry, data["old_entity_id"], data["entity_id"])

    hass.bus.async_listen(er.EVENT_ENTITY_REGISTRY_UPDATED, updated)


@callback
def _async_follow(hass: HomeAssistant, entry: WitnessConfigEntry, old: str, new: str) -> None:
    if entry.state is ConfigEntryState.LOADED:
        entry.runtime_data.async_renamed(old, new)
    for room in room_subentries(entry).values():
        if changed := {key: new for key in _ENTITIES if room.data.get(key) == old}:
            data = {**room.data, **changed}
            hass.config_entries.async_update_subentry(entry, room, data=data)
