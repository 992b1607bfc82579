"""Binary sensors of rooms and cameras."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import override

from homeassistant.components.binary_sensor import (
    BinarySensorEntity,
    BinarySensorEntityDescription,
)
from homeassistant.components.binary_sensor.const import BinarySensorDeviceClass
from homeassistant.const import EntityCategory
from homeassistant.core import HomeAssistant
from homeassistant.helpers.entity_platform import AddConfigEntryEntitiesCallback

from roomwitness.witness import RoomStatus

from .camera_entities import async_follow_cameras
from .entity import RoomEntity
from .site import WitnessConfigEntry

PARALLEL_UPDATES = 0


@dataclass(frozen=True, kw_only=True)
class RoomBinarySensorDescription(BinarySensorEntityDescription):
    """A binary sensor and what it shows of a room."""

    is_on_fn: Callable[[RoomStatus], bool]


BINARY_SENSORS = (
    RoomBinarySensorDescription(
        key="recording",
        translation_key="recording",
        is_on_fn=lambda status: status.recording,
    ),
    RoomBinarySensorDescription(
        key="pre_roll",
        translation_key="pre_roll",
        is_on_fn=lambda status: status.pre_roll_s > 0,
    ),
    RoomBinarySensorDescription(
        key="problem",
        device_class=BinarySensorDeviceClass.PROBLEM,
        entity_category=EntityCategory.DIAGNOSTIC,
        is_on_fn=lambda status: status.problem is not None,
    ),
)


async def async_setup_entry(
    hass: HomeAssistant,
    entry: WitnessConfigEntry,
    async_add_entities: AddConfigEntryEntitiesCallback,
) -> None:
    """Add the binary sensors of every room and camera."""
    site = entry.runtime_data
    site.async_on_room(
        lambda room_id: async_add_entities(
            [RoomBinarySensor(site, room_id, description) for description in BINARY_SENSORS],
            config_subentry_id=room_id,
        )
    )
    async_follow_cameras(hass, entry, async_add_entities)


class RoomBinarySensor(RoomEntity, BinarySensorEntity):
    """One fact about a room."""

    entity_description: RoomBinarySensorDescription

    @property
    @override
    def is_on(self) -> bool:
        """Whether it is so."""
        return self.entity_description.is_on_fn(self.status)
