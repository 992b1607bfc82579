"""One site at work: the conductor, and what ties it to Home Assistant."""

from collections.abc import Callable
from contextlib import suppress
from dataclasses import asdict
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any

from homeassistant.config_entries import ConfigEntry
from homeassistant.const import CONF_HOST, CONF_PORT, EVENT_HOMEASSISTANT_STOP
from homeassistant.core import Event, HomeAssistant, callback
from homeassistant.exceptions import ConfigEntryNotReady, ServiceValidationError
from homeassistant.helpers import device_registry as dr
from homeassistant.helpers.event import async_track_time_interval

from roomwitness.errors import WitnessError
from roomwitness.onvif import OnvifSource, at
from roomwitness.witness import RoomStatus, SiteConfig, StoredKeys, Witness

from . import issues, outside, paths
from .bookings import Bookings
from .const import (
    CONF_AREA,
    CONF_CHOSEN_MODE,
    CONF_CUSTODIANS,
    CONF_DECIDERS,
    CONF_MODE,
    CONF_ORIGIN,
    CONF_STREAM_URL,
    CONF_VAULT,
    DOMAIN,
    MODE_ASSISTED,
    MODE_SEALED,
)
from .copies import BackupList
from .discovery import async_look
from .lamp import Lamps
from .rooms import camera_config, camera_subentries, room_config, room_subentries

type WitnessConfigEntry = ConfigEntry[Site]

_REFRESH = timedelta(seconds=60)


@callback
def async_site(hass: HomeAssistant) -> Site:
    """The site, for actions that are aimed at no room.

    Raises:
        ServiceValidationError: it is not loaded.
    """
    entries = hass.config_entries.async_loaded_entries(DOMAIN)
    if not entries:
        raise ServiceValidationError(translation_domain=DOMAIN, translation_key="site_not_loaded")
    found: Site = entries[0].runtime_data
    return found


def entry_keys(keys: StoredKeys) -> dict[str, Any]:
    """What the entry's data say of a site's keys; no secret is among it."""
    return {
        CONF_ORIGIN: keys.origin,
        CONF_CUSTODIANS: [asdict(custodian) for custodian in keys.custodians],
        CONF_MODE: MODE_SEALED if keys.sealed else MODE_ASSISTED,
    }


class Site:
    """What every entity, action and flow of the integration asks."""

    def __init__(self, hass: HomeAssistant, entry: WitnessConfigEntry) -> None:
        self.hass = hass
        self.entry = entry
        self.witness: Witness
        self._bookings = Bookings(self)
        self._lamps = Lamps(self)
        self._backups = BackupList(hass, self)
        self._watchers: dict[str | None, list[Callable[[], None]]] = {}
        self._adders: list[Callable[[str], None]] = []
        self._camera_adders: list[Callable[[str], None]] = []
        self._camera_watchers: list[Callable[[], None]] = []
        self.troubled_cameras: frozenset[str] = frozenset()
        self._rooms: set[str] = set()
        self._told: dict[str, RoomStatus] = {}
        self._stops: list[Callable[[], None]] = []
        self._stopped = False

    async def async_start(self) -> None:
        """Open the vault and begin.

        Raises:
            ConfigEntryNotReady: keys or vault cannot be used now. Home Assistant tries again, also
                where a person must act first: what was put back is then found without a reload.
        """
        keys = await self.hass.async_add_executor_job(StoredKeys.load, paths.keys_file(self.hass))
        issues.async_set(self.hass, "site_keys_missing", active=keys is None)
        if keys is None:
            raise ConfigEntryNotReady(
                translation_domain=DOMAIN, translation_key="site_keys_missing"
            )
        self.witness = Witness(
            SiteConfig(
                root=Path(self.entry.data[CONF_VAULT]),
                ephemeral_dir=paths.ephemeral_dir(self.hass),
                held_dir=paths.held_dir(self.hass),
                keys=keys,
                keys_file=paths.keys_file(self.hass),
            )
        )
        try:
            await self.witness.start()
            await self._async_choose_mode()
        except WitnessError as err:
            issues.async_set(self.hass, err.key, active=True)
            raise ConfigEntryNotReady(translation_domain=DOMAIN, translation_key=err.key) from None
        issues.async_clear_setup(self.hass)
        self.async_show_keys()
        self._stops.append(self.witness.changes.subscribe(self._async_changed, self._async_settled))
        self.witness.devices.moved = self._async_camera_moved
        self.witness.devices.find = partial(async_look, self.hass)
        self.witness.lamps.gone = self._lamps.gone
        await self.async_update_rooms()
        self._stops.append(async_track_time_interval(self.hass, self._async_refresh, _REFRESH))
        self._bookings.async_start()
        self._backups.async_start()
        self._stops.append(
            self.hass.bus.async_listen(EVENT_HOMEASSISTANT_STOP, self._async_hass_stops)
        )

    async def _async_choose_mode(self) -> None:
        """Keys that were here before follow what was chosen when the site was added again.

        Raises:
            LogUnwritable, VaultUnwritable, VaultFull: the site is stopped; nothing is recorded in
                the other mode meanwhile.
        """
        if (mode := self.entry.data.get(CONF_CHOSEN_MODE)) is None:
            return
        try:
            await self.witness.keys.set_sealed(mode == MODE_SEALED)
        except WitnessError:
            await self.witness.stop()
            raise

    @callback
    def async_show_keys(self) -> None:
        """Let the entry say what is no secret of the keys, should the key file be lost."""
        data = {**self.entry.data, **entry_keys(self.witness.keys.stored)}
        data.pop(CONF_CHOSEN_MODE, None)  # They follow it.
        if data != self.entry.data:
            self.hass.config_entries.async_update_entry(self.entry, data=data)

    async def _async_hass_stops(self, _event: Event) -> None:
        await self.async_stop()

    async def async_stop(self) -> None:
        """Seal what is open and let go; a second call does nothing."""
        if self._stopped:
            return
        self._stopped = True
        for stop in self._stops:
            stop()
        self._bookings.async_stop()
        self._lamps.async_stop()
        self._backups.async_stop()
        await self.witness.stop()

    async def async_update_rooms(self) -> None:
        """Take the subentries as they are now, without interrupting other rooms."""
        rooms = room_subentries(self.entry)
        await self.witness.set_rooms(room_config(self.entry, room) for room in rooms.values())
        cameras = camera_subentries(self.entry)
        self.witness.cameras.configure(camera_config(camera) for camera in cameras.values())
        outside.async_configure(self)
        self._async_register_devices()
        new = rooms.keys() - self._rooms
        self._rooms = set(rooms)
        for room_id in sorted(new):
            for add in self._adders:
                add(room_id)
        for add_camera in self._camera_adders:
            for camera_id in sorted(cameras):
                add_camera(camera_id)
        self._bookings.async_rooms_changed()
        self._lamps.async_rooms_changed()
        self._async_show_issues()
        with suppress(WitnessError):  # Asked again before it counts (people.py).
            await self.witness.people.set_deciders(self.entry.options.get(CONF_DECIDERS, ()))

    @callback
    def async_on_room(self, add: Callable[[str], None]) -> None:
        """Call ``add(room_id)`` for every room there is, and for each that comes."""
        self._adders.append(add)
        for room_id in sorted(self._rooms):
            add(room_id)

    @callback
    def async_on_camera(self, add: Callable[[str], None]) -> None:
        """Call ``add(camera_id)`` for every camera there is, and for all after each change."""
        self._camera_adders.append(add)
        for camera_id in sorted(camera_subentries(self.entry)):
            add(camera_id)

    @callback
    def async_watch(self, room_id: str | None, watcher: Callable[[], None]) -> Callable[[], None]:
        """Call ``watcher`` after each change of the room, or of the site; returns the way out."""
        watchers = self._watchers.setdefault(room_id, [])
        watchers.append(watcher)
        return lambda: watchers.remove(watcher)

    @callback
    def async_watch_cameras(self, watcher: Callable[[], None]) -> Callable[[], None]:
        """Call ``watcher`` when other cameras are in trouble; returns the way out."""
        self._camera_watchers.append(watcher)
        return lambda: self._camera_watchers.remove(watcher)

    def status(self, room_id: str) -> RoomStatus:
        """The room as it is now.

        Raises:
            RoomNotFound: it is removed.
        """
        return self._told.get(room_id) or self.witness.status(room_id)

    def status_or_none(self, room_id: str) -> RoomStatus | None:
        """The room as it is now; None once it is removed."""
        return self.status(room_id) if room_id in self._rooms else None

    @property
    def rooms(self) -> frozenset[str]:
        """Ids of the rooms there are."""
        return frozenset(self._rooms)

    @callback
    def async_renamed(self, old: str, new: str) -> None:
        """An entity has another id; the rooms will be told next."""
        self._lamps.async_renamed(old, new)

    @callback
    def _async_changed(self, room_id: str) -> None:
        if (status := self.status_or_none(room_id)) is not None:
            self._told[room_id] = status  # A room has many entities, and they see the same.
        try:
            for watcher in tuple(self._watchers.get(room_id, ())):
                watcher()
            self._lamps.async_sync(room_id)
        finally:
            self._told.clear()

    @callback
    def _async_settled(self) -> None:
        for watcher in tuple(self._watchers.get(None, ())):
            watcher()
        self._async_show_issues()

    @callback
    def _async_camera_moved(self, camera_id: str, there: OnvifSource) -> None:
        """A camera was recognised at another address: keep that one."""
        subentry = self.entry.subentries.get(camera_id)
        if subentry is None:
            return
        data = {
            **subentry.data,
            CONF_HOST: there.host,
            CONF_PORT: there.port,
            CONF_STREAM_URL: at(subentry.data[CONF_STREAM_URL], there.host),
        }
        self.hass.config_entries.async_update_subentry(self.entry, subentry, data=data)

    @callback
    def _async_refresh(self, _now: object = None) -> None:
        self.witness.refresh()

    @callback
    def _async_show_issues(self) -> None:
        problems = self.witness.problems()
        issues.async_show(self.hass, self.entry, problems)
        before, self.troubled_cameras = self.troubled_cameras, issues.cameras_of(problems)
        if before != self.troubled_cameras:
            for watcher in tuple(self._camera_watchers):
                watcher()

    @callback
    def _async_register_devices(self) -> None:
        registry = dr.async_get(self.hass)
        for subentry in camera_subentries(self.entry).values():
            registry.async_get_or_create(
                config_entry_id=self.entry.entry_id,
                config_subentry_id=subentry.subentry_id,
                identifiers={(DOMAIN, subentry.subentry_id)},
                name=subentry.title,
                manufacturer=subentry.data.get("manufacturer"),
                model=subentry.data.get("model"),
            )
        for subentry in room_subentries(self.entry).values():
            identifier = (DOMAIN, subentry.subentry_id)
            known = registry.async_get_device_by_identifier(identifier, self.entry.entry_id)
            device = registry.async_get_or_create(
                config_entry_id=self.entry.entry_id,
                config_subentry_id=subentry.subentry_id,
                identifiers={identifier},
                name=subentry.title,
                model="Room",
                entry_type=dr.DeviceEntryType.SERVICE,
            )
            area = subentry.data.get(CONF_AREA)
            if area is not None and known is None:  # From then on the device's area counts.
                registry.async_update_device(device.id, area_id=area)
