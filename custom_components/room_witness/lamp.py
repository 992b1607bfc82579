"""The lamp at the door: on while the room records, so that whoever enters sees it."""

import logging
from typing import TYPE_CHECKING

from homeassistant.const import ATTR_ENTITY_ID, SERVICE_TURN_OFF, SERVICE_TURN_ON
from homeassistant.core import DOMAIN as HOMEASSISTANT_DOMAIN
from homeassistant.core import callback
from homeassistant.exceptions import HomeAssistantError

from .const import CONF_LAMP
from .rooms import room_subentries

if TYPE_CHECKING:
    from .site import Site

_LOGGER = logging.getLogger(__name__)


class Lamps:
    """Switches each room's lamp when its recording begins or ends."""

    def __init__(self, site: Site) -> None:
        self._site = site
        self._shown: dict[str, bool] = {}

    @callback
    def async_sync(self, room_id: str) -> None:
        """Show whether the room records now, if that is not shown yet."""
        room = room_subentries(self._site.entry).get(room_id)
        status = self._site.status(room_id)
        if room is None or status is None or (lamp := room.data.get(CONF_LAMP)) is None:
            return
        if self._shown.get(room_id, False) is status.recording:
            return
        self._shown[room_id] = status.recording
        self._site.entry.async_create_background_task(
            self._site.hass,
            self._async_switch(room_id, lamp, on=status.recording),
            f"room_witness lamp {room_id}",
        )

    async def _async_switch(self, room_id: str, lamp: str, *, on: bool) -> None:
        try:
            await self._site.hass.services.async_call(
                HOMEASSISTANT_DOMAIN,
                SERVICE_TURN_ON if on else SERVICE_TURN_OFF,
                {ATTR_ENTITY_ID: lamp},
                blocking=True,
            )
        except HomeAssistantError as err:
            _LOGGER.warning("The lamp %s could not be switched: %s", lamp, err)
            self._shown.pop(room_id, None)  # The next change, or the next minute, tries again.
