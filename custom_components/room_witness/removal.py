"""The entry goes: what is not held is erased, because nothing would erase it later."""

import logging
from pathlib import Path
from typing import Any

from homeassistant.config_entries import ConfigEntry
from homeassistant.core import HomeAssistant
from homeassistant.util import dt as dt_util

from roomwitness.vault.check import Places
from roomwitness.witness import RoomConfig, StoredKeys
from roomwitness.witness.giving_up import give_up

from . import issues, paths
from .const import CONF_VAULT
from .rooms import room_config, room_subentries

_LOGGER = logging.getLogger(__name__)


async def async_erase_unheld(hass: HomeAssistant, entry: ConfigEntry[Any]) -> None:
    """Erase what is not held. Evidence, log, receipts and the site's keys stay.

    What could not be done is a repair that outlives the entry.
    """
    rooms = [room_config(entry, room) for room in room_subentries(entry).values()]
    try:
        gone = await hass.async_add_executor_job(_give_up, hass, entry.data[CONF_VAULT], rooms)
    except Exception as err:  # Whatever it is, it is told and not in the way.
        _LOGGER.warning("What is not held could not be erased: %s", type(err).__name__)
        gone = False
    issues.async_clear(hass)
    issues.async_set(hass, issues.UNHELD_LEFT, active=not gone)


def _give_up(hass: HomeAssistant, vault: str, rooms: list[RoomConfig]) -> bool:
    places = Places(Path(vault), paths.ephemeral_dir(hass), paths.held_dir(hass))
    return give_up(places, StoredKeys.load(paths.keys_file(hass)), rooms, dt_util.utcnow())
