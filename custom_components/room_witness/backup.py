"""Home Assistant takes a backup: the index is held still meanwhile, and the custody log says so."""

import logging
from contextlib import suppress
from pathlib import PurePath

from homeassistant.core import HomeAssistant
from homeassistant.exceptions import HomeAssistantError
from homeassistant.helpers.hassio import is_hassio

from roomwitness.errors import WitnessError

from .const import DOMAIN
from .paths import EPHEMERAL
from .site import Site

_LOGGER = logging.getLogger(__name__)


def _sites(hass: HomeAssistant) -> list[Site]:
    return [entry.runtime_data for entry in hass.config_entries.async_loaded_entries(DOMAIN)]


def core_takes(name: str) -> bool:
    """Whether this version of core takes a folder of that name into its backups."""
    # Here and not above: the backup integration is loaded only where it is used.
    from homeassistant.components.backup.const import EXCLUDE_FROM_BACKUP

    path = PurePath("data", name)
    return not any(path.full_match(f"data/{pattern}") for pattern in EXCLUDE_FROM_BACKUP)


async def async_pre_backup(hass: HomeAssistant) -> None:
    """Before core or the Supervisor copies the configuration folder.

    Raises:
        HomeAssistantError: a newer core no longer leaves out the keys of what is not held.
    """
    if not is_hassio(hass) and core_takes(EPHEMERAL):
        raise HomeAssistantError(
            translation_domain=DOMAIN, translation_key="backup_takes_ephemeral_keys"
        )
    for site in _sites(hass):
        try:
            await site.witness.backups.begin()
        except WitnessError as err:  # A copy that may need a second look is better than none.
            _LOGGER.warning("The index could not be held still for a backup: %s", err.key)


async def async_post_backup(hass: HomeAssistant) -> None:
    """Once it is done."""
    for site in _sites(hass):
        with suppress(WitnessError):  # The conductor's next change says what is wrong.
            await site.witness.backups.end()
