"""Sensors of a room."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, override

from homeassistant.components.sensor import (
    SensorDeviceClass,
    SensorEntity,
    SensorEntityDescription,
    SensorStateClass,
)
from homeassistant.const import EntityCategory, UnitOfInformation
from homeassistant.core import HomeAssistant
from homeassistant.helpers.entity_platform import AddConfigEntryEntitiesCallback

from roomwitness.policy.words import MeetingState
from roomwitness.witness import RoomStatus, Witness

from .entity import RoomEntity, SiteEntity
from .site import WitnessConfigEntry

PARALLEL_UPDATES = 0

STATES = [
    "idle",
    *(s.value for s in MeetingState if s not in (MeetingState.RELEASED, MeetingState.ERASED)),
]


@dataclass(frozen=True, kw_only=True)
class RoomSensorDescription(SensorEntityDescription):
    """A sensor and what it shows of a room."""

    value_fn: Callable[[RoomStatus], str | int | datetime | None]
    attributes_fn: Callable[[RoomStatus], Mapping[str, Any]] | None = None


def _meeting(status: RoomStatus) -> Mapping[str, Any]:
    found = {"meeting_id": status.meeting_id, "segments": status.segments}
    # Whoever reads the state, on a sign at the door too, must see that cameras are watched.
    return {**found, "pre_roll_seconds": status.pre_roll_s} if status.pre_roll_s else found


def _reviews(status: RoomStatus) -> Mapping[str, Any]:
    return {"next_review": status.next_review, "releases_pending": status.releases_pending}


def _receipt(status: RoomStatus) -> Mapping[str, Any]:
    receipt = status.last_receipt
    if receipt is None:
        return {}
    return {"receipt": receipt.id, "meeting_id": receipt.meeting_id, "segments": receipt.segments}


SENSORS = (
    RoomSensorDescription(
        key="state",
        translation_key="state",
        device_class=SensorDeviceClass.ENUM,
        options=STATES,
        value_fn=lambda status: str(status.state),
        attributes_fn=_meeting,
    ),
    RoomSensorDescription(
        key="next_booking",
        translation_key="next_booking",
        device_class=SensorDeviceClass.TIMESTAMP,
        value_fn=lambda status: status.next_booking,
    ),
    RoomSensorDescription(
        key="evidence_held",
        translation_key="evidence_held",
        state_class=SensorStateClass.MEASUREMENT,
        value_fn=lambda status: status.evidence_held,
        attributes_fn=_reviews,
    ),
    RoomSensorDescription(
        key="next_erasure",
        translation_key="next_erasure",
        device_class=SensorDeviceClass.TIMESTAMP,
        value_fn=lambda status: status.next_erasure,
    ),
    RoomSensorDescription(
        key="last_erasure",
        translation_key="last_erasure",
        device_class=SensorDeviceClass.TIMESTAMP,
        entity_category=EntityCategory.DIAGNOSTIC,
        value_fn=lambda status: status.last_receipt.erased_at if status.last_receipt else None,
        attributes_fn=_receipt,
    ),
    RoomSensorDescription(
        key="erasures_overdue",
        translation_key="erasures_overdue",
        entity_category=EntityCategory.DIAGNOSTIC,
        state_class=SensorStateClass.MEASUREMENT,
        value_fn=lambda status: status.overdue,
    ),
    RoomSensorDescription(
        key="space_used",
        translation_key="space_used",
        device_class=SensorDeviceClass.DATA_SIZE,
        native_unit_of_measurement=UnitOfInformation.BYTES,
        suggested_unit_of_measurement=UnitOfInformation.GIGABYTES,
        suggested_display_precision=1,
        entity_category=EntityCategory.DIAGNOSTIC,
        state_class=SensorStateClass.MEASUREMENT,
        value_fn=lambda status: status.used_bytes,
    ),
)


@dataclass(frozen=True, kw_only=True)
class SiteSensorDescription(SensorEntityDescription):
    """A sensor and what it shows of the site."""

    value_fn: Callable[[Witness], int]


SITE_SENSORS = (
    SiteSensorDescription(
        key="erasures_overdue",
        translation_key="erasures_overdue",
        entity_category=EntityCategory.DIAGNOSTIC,
        state_class=SensorStateClass.MEASUREMENT,
        value_fn=lambda witness: witness.overdue(),
    ),
)


async def async_setup_entry(
    hass: HomeAssistant,
    entry: WitnessConfigEntry,
    async_add_entities: AddConfigEntryEntitiesCallback,
) -> None:
    """Add the sensors of the site and of every room."""
    site = entry.runtime_data
    async_add_entities(SiteSensor(site, description) for description in SITE_SENSORS)
    site.async_on_room(
        lambda room_id: async_add_entities(
            [RoomSensor(site, room_id, description) for description in SENSORS],
            config_subentry_id=room_id,
        )
    )


class SiteSensor(SiteEntity, SensorEntity):
    """One value of the site."""

    entity_description: SiteSensorDescription

    @property
    @override
    def native_value(self) -> int:
        """The value."""
        return self.entity_description.value_fn(self.site.witness)


class RoomSensor(RoomEntity, SensorEntity):
    """One value of a room."""

    entity_description: RoomSensorDescription
    _unrecorded_attributes = frozenset({"segments"})

    @property
    @override
    def native_value(self) -> str | int | datetime | None:
        """The value."""
        return self.entity_description.value_fn(self.status)

    @property
    @override
    def extra_state_attributes(self) -> Mapping[str, Any] | None:
        """Which meeting or receipt the value is about."""
        attributes = self.entity_description.attributes_fn
        return attributes(self.status) if attributes else None
