"""Binary sensors of a camera: what it tells besides its stream (docs/onvif.md)."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, override

from homeassistant.components.binary_sensor import (
    BinarySensorEntity,
    BinarySensorEntityDescription,
)
from homeassistant.components.binary_sensor.const import BinarySensorDeviceClass
from homeassistant.config_entries import ConfigSubentry
from homeassistant.const import CONF_HOST, EntityCategory
from homeassistant.core import HomeAssistant, callback
from homeassistant.helpers import entity_registry as er
from homeassistant.helpers.device_registry import DeviceInfo
from homeassistant.helpers.entity_platform import AddConfigEntryEntitiesCallback

from roomwitness.witness import CameraState

from .const import CONF_INPUTS, CONF_PANIC_INPUT, CONF_PANIC_WHEN, DOMAIN
from .rooms import camera_subentries
from .signals_flow import OPEN
from .site import Site, WitnessConfigEntry


@dataclass(frozen=True, kw_only=True)
class CameraBinarySensorDescription(BinarySensorEntityDescription):
    """A binary sensor and what it shows of a camera, by its subentry's data; None: not said yet."""

    is_on_fn: Callable[[CameraState, Mapping[str, Any]], bool | None]


PROBLEM = BinarySensorEntityDescription(
    key="problem",
    device_class=BinarySensorDeviceClass.PROBLEM,
    entity_category=EntityCategory.DIAGNOSTIC,
)
CONNECTED = CameraBinarySensorDescription(
    key="events",
    translation_key="events",
    device_class=BinarySensorDeviceClass.CONNECTIVITY,
    entity_category=EntityCategory.DIAGNOSTIC,
    is_on_fn=lambda state, _: state.listening,
)
TOLD = (
    CameraBinarySensorDescription(
        key="motion",
        device_class=BinarySensorDeviceClass.MOTION,
        is_on_fn=lambda state, _: state.motion,
    ),
    CameraBinarySensorDescription(
        key="tamper",
        device_class=BinarySensorDeviceClass.TAMPER,
        is_on_fn=lambda state, _: state.tampered,
    ),
)


def _pressed(state: CameraState, data: Mapping[str, Any]) -> bool | None:
    active = state.inputs.get(data.get(CONF_PANIC_INPUT, ""))
    return None if active is None else active is not (data.get(CONF_PANIC_WHEN) == OPEN)


PANIC = CameraBinarySensorDescription(key="panic", translation_key="panic", is_on_fn=_pressed)


def _input(token: str) -> CameraBinarySensorDescription:
    return CameraBinarySensorDescription(
        key=f"input_{token}",
        translation_key="input",
        translation_placeholders={"input": token},
        is_on_fn=lambda state, _: state.inputs.get(token),
    )


def describe(camera: ConfigSubentry) -> Iterator[CameraBinarySensorDescription]:
    """Which a camera has: none of one that is known by its stream alone."""
    if CONF_HOST not in camera.data:
        return
    yield CONNECTED
    yield from TOLD
    for token in camera.data.get(CONF_INPUTS, ()):
        yield _input(token)
    if CONF_PANIC_INPUT in camera.data:
        yield PANIC


@callback
def async_follow_cameras(
    hass: HomeAssistant, entry: WitnessConfigEntry, add_entities: AddConfigEntryEntitiesCallback
) -> None:
    """Have what each camera has: one may be given inputs later, or lose its panic button."""
    site, registry = entry.runtime_data, er.async_get(hass)
    added: set[str] = set()
    troubles: set[str] = set()

    @callback
    def follow(camera_id: str) -> None:
        described = {
            f"{camera_id}_{each.key}": each
            for each in describe(camera_subentries(entry)[camera_id])
        }
        ours = tuple(f"{camera_id}_{key}" for key in ("panic", "input_"))
        for known in er.async_entries_for_config_entry(registry, entry.entry_id):
            if known.unique_id.startswith(ours) and known.unique_id not in described:
                registry.async_remove(known.entity_id)
                added.discard(known.unique_id)
        new = {key: each for key, each in described.items() if key not in added}
        added.update(new)
        entities: list[BinarySensorEntity] = [
            CameraBinarySensor(site, camera_id, each) for each in new.values()
        ]
        if camera_id not in troubles:
            troubles.add(camera_id)
            entities.append(CameraProblem(site, camera_id))
        add_entities(entities, config_subentry_id=camera_id)

    site.async_on_camera(follow)


class CameraBinarySensor(BinarySensorEntity):
    """One fact that a camera tells."""

    _attr_has_entity_name = True
    _attr_should_poll = False
    entity_description: CameraBinarySensorDescription

    def __init__(
        self, site: Site, camera_id: str, description: CameraBinarySensorDescription
    ) -> None:
        self.site = site
        self.camera_id = camera_id
        self.entity_description = description
        self._attr_unique_id = f"{camera_id}_{description.key}"
        self._attr_device_info = DeviceInfo(identifiers={(DOMAIN, camera_id)})

    @property
    def _camera(self) -> ConfigSubentry | None:
        return camera_subentries(self.site.entry).get(self.camera_id)

    @property
    def _state(self) -> CameraState:
        return self.site.witness.cameras.state(self.camera_id)

    @property
    @override
    def available(self) -> bool:
        """Whether the camera is heard now; that it is not is known always."""
        if self._camera is None:
            return False
        return self.entity_description is CONNECTED or self._state.listening

    @property
    @override
    def is_on(self) -> bool | None:
        """Whether it is so."""
        data = self._camera.data if self._camera is not None else {}
        return self.entity_description.is_on_fn(self._state, data)

    @override
    async def async_added_to_hass(self) -> None:
        """Follow the camera."""
        self.async_on_remove(self.site.witness.cameras.subscribe(self._async_changed))

    @callback
    def _async_changed(self, camera_id: str) -> None:
        if camera_id == self.camera_id:
            self.async_write_ha_state()


class CameraProblem(BinarySensorEntity):
    """Whether something is wrong with the camera; the repairs say what. Every camera has it."""

    _attr_has_entity_name = True
    _attr_should_poll = False
    entity_description = PROBLEM

    def __init__(self, site: Site, camera_id: str) -> None:
        self.site = site
        self.camera_id = camera_id
        self._attr_unique_id = f"{camera_id}_{PROBLEM.key}"
        self._attr_device_info = DeviceInfo(identifiers={(DOMAIN, camera_id)})

    @property
    @override
    def is_on(self) -> bool:
        """Whether it is in trouble in any of its rooms."""
        return self.camera_id in self.site.troubled_cameras

    @override
    async def async_added_to_hass(self) -> None:
        """Follow what is wrong."""
        self.async_on_remove(self.site.async_watch_cameras(self.async_write_ha_state))
