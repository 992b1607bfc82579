"""What every entity of a room shares."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import override

from homeassistant.helpers.device_registry import DeviceEntryType, DeviceInfo
from homeassistant.helpers.entity import Entity, EntityDescription

from roomwitness.witness import RoomStatus

from .const import DOMAIN
from .errors import translated
from .site import Site


class SiteEntity(Entity):
    """An entity of the site as a whole, told of every change."""

    _attr_has_entity_name = True
    _attr_should_poll = False

    def __init__(self, site: Site, description: EntityDescription) -> None:
        self.site = site
        self.entity_description = description
        entry_id = site.entry.entry_id
        self._attr_unique_id = f"{entry_id}_{description.key}"
        self._attr_device_info = DeviceInfo(
            identifiers={(DOMAIN, entry_id)},
            name=site.entry.title,
            model="Site",
            entry_type=DeviceEntryType.SERVICE,
        )

    @override
    async def async_added_to_hass(self) -> None:
        """Follow every room."""
        self.async_on_remove(self.site.async_watch(None, self.async_write_ha_state))


class RoomEntity(Entity):
    """An entity of one room, told of every change."""

    _attr_has_entity_name = True
    _attr_should_poll = False

    def __init__(self, site: Site, room_id: str, description: EntityDescription) -> None:
        self.site = site
        self.room_id = room_id
        self.entity_description = description
        self._attr_unique_id = f"{room_id}_{description.key}"
        self._attr_device_info = DeviceInfo(identifiers={(DOMAIN, room_id)})

    @property
    def status(self) -> RoomStatus:
        """The room as it is now."""
        return self.site.status(self.room_id)

    @property
    @override
    def available(self) -> bool:
        """Whether the room is still configured."""
        return self.room_id in self.site.rooms

    @asynccontextmanager
    async def acting(self) -> AsyncIterator[None]:
        """Carry out an action: its errors are translated, and it is over when all entities show it.

        Raises:
            ServiceValidationError, HomeAssistantError: as ``translated`` says.
        """
        with translated():
            yield
        await self.site.witness.changes.told()

    @override
    async def async_added_to_hass(self) -> None:
        """Follow the room."""
        self.async_on_remove(self.site.async_watch(self.room_id, self.async_write_ha_state))
