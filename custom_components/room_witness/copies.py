"""Which backups Home Assistant has: those taken while evidence was held still carry its key."""

from collections.abc import Callable
from contextlib import suppress
from datetime import timedelta
from typing import TYPE_CHECKING

from homeassistant.core import HomeAssistant, callback
from homeassistant.helpers.event import async_track_time_interval
from homeassistant.util import dt as dt_util

from roomwitness.errors import WitnessError
from roomwitness.vault.copies import Listed, Listing

if TYPE_CHECKING:
    from homeassistant.components.backup.manager import ManagerStateEvent

    from .site import Site

_EVERY = timedelta(hours=1)


class BackupList:
    """Tells the conductor about backups: at start, each hour, and whenever one was made."""

    def __init__(self, hass: HomeAssistant, site: Site) -> None:
        self._hass = hass
        self._site = site
        self._stops: list[Callable[[], None]] = []

    @callback
    def async_start(self) -> None:
        """Begin to look, if this Home Assistant makes backups."""
        # Here and not above: the backup integration is loaded only where it is used.
        from homeassistant.components.backup.const import DATA_MANAGER
        from homeassistant.components.backup.manager import BackupManagerState

        manager = self._hass.data.get(DATA_MANAGER)
        if manager is None:
            return

        async def look(_now: object = None) -> None:
            # An agent that is not loaded is not asked, and gives no error: we look who is there.
            agents = frozenset(manager.backup_agents)
            idle = manager.state is BackupManagerState.IDLE
            found, errors = await manager.async_get_backups()
            listing = Listing(
                found={
                    name: Listed(time, frozenset(backup.agents))
                    for name, backup in found.items()
                    if backup.homeassistant_included
                    and (time := dt_util.parse_datetime(backup.date)) is not None
                },
                answered=agents - errors.keys(),
                settled=idle and not errors,
            )
            with suppress(WitnessError):  # The conductor's next change says what is wrong.
                await self._site.witness.backups.are(listing)

        @callback
        def event(event: ManagerStateEvent) -> None:
            if event.manager_state is BackupManagerState.IDLE:
                self._site.entry.async_create_background_task(
                    self._hass, look(), "room_witness backups"
                )

        self._stops.append(manager.async_subscribe_events(event))
        self._stops.append(async_track_time_interval(self._hass, look, _EVERY))
        self._site.entry.async_create_background_task(self._hass, look(), "room_witness backups")

    @callback
    def async_stop(self) -> None:
        """Look no more."""
        for stop in self._stops:
            stop()
        self._stops.clear()
