"""Events of a room: how its preflight went."""

from typing import override

from homeassistant.components.event import EventEntity, EventEntityDescription
from homeassistant.const import EntityCategory
from homeassistant.core import HomeAssistant, callback
from homeassistant.helpers.entity_platform import AddConfigEntryEntitiesCallback

from .entity import RoomEntity
from .site import WitnessConfigEntry

PARALLEL_UPDATES = 0

PASSED, FAILED = "passed", "failed"
PREFLIGHT = EventEntityDescription(
    key="preflight",
    translation_key="preflight",
    event_types=[PASSED, FAILED],
    entity_category=EntityCategory.DIAGNOSTIC,
)


async def async_setup_entry(
    hass: HomeAssistant,
    entry: WitnessConfigEntry,
    async_add_entities: AddConfigEntryEntitiesCallback,
) -> None:
    """Add the event of every room."""
    site = entry.runtime_data
    site.async_on_room(
        lambda room_id: async_add_entities(
            [PreflightEvent(site, room_id, PREFLIGHT)], config_subentry_id=room_id
        )
    )


class PreflightEvent(RoomEntity, EventEntity):
    """Fires after the first check before a meeting, whenever the result changes, and on demand."""

    _fired = 0

    @override
    async def async_added_to_hass(self) -> None:
        """Follow the room."""
        await super().async_added_to_hass()
        self._fire()
        self.async_on_remove(self.site.async_watch(self.room_id, self._async_look))

    @callback
    def _async_look(self) -> None:
        if self._fire():
            self.async_write_ha_state()

    def _fire(self) -> bool:
        """Take a result that was not told yet: the names of the checks that failed, no others."""
        status = self.site.status_or_none(self.room_id)
        checked = status.checked if status is not None else None
        if checked is None or checked.number == self._fired:
            return False
        self._fired = checked.number
        failed = list(checked.failed)
        self._trigger_event(FAILED if failed else PASSED, {"failed_checks": failed})
        return True
