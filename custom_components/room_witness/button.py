"""The buttons of a room: the one that staff press when they are threatened, and a check."""

from typing import override

from homeassistant.components.button import ButtonEntity, ButtonEntityDescription
from homeassistant.const import EntityCategory
from homeassistant.core import HomeAssistant
from homeassistant.helpers.entity_platform import AddConfigEntryEntitiesCallback

from .entity import RoomEntity
from .people import pseudonym
from .site import WitnessConfigEntry

PARALLEL_UPDATES = 0

REPORT_THREAT = ButtonEntityDescription(key="report_threat", translation_key="report_threat")
CHECK = ButtonEntityDescription(
    key="preflight", translation_key="preflight", entity_category=EntityCategory.DIAGNOSTIC
)


async def async_setup_entry(
    hass: HomeAssistant,
    entry: WitnessConfigEntry,
    async_add_entities: AddConfigEntryEntitiesCallback,
) -> None:
    """Add the buttons of every room."""
    site = entry.runtime_data
    site.async_on_room(
        lambda room_id: async_add_entities(
            [ReportThreatButton(site, room_id, REPORT_THREAT), CheckButton(site, room_id, CHECK)],
            config_subentry_id=room_id,
        )
    )


class ReportThreatButton(RoomEntity, ButtonEntity):
    """Holds the running meeting, or the one that has just ended, as evidence."""

    @override
    async def async_press(self) -> None:
        """Report a threat."""
        by = pseudonym(self.site.witness, self._context)
        async with self.acting():
            await self.site.witness.report_threat(self.room_id, by)


class CheckButton(RoomEntity, ButtonEntity):
    """Checks the room now; the preflight event and repairs tell what is wrong."""

    @override
    async def async_press(self) -> None:
        """Check."""
        async with self.acting():
            await self.site.witness.preflight(self.room_id)
