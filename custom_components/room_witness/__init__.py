"""Room Witness: recordings that protect staff in meetings, and go when they are not needed."""

import sys
from pathlib import Path

# A release carries the library inside (docs/decisions/0002-library-in-the-zip.md).
_BUNDLED = Path(__file__).parent / "_lib"
if _BUNDLED.is_dir() and str(_BUNDLED) not in sys.path:
    sys.path.append(str(_BUNDLED))

from homeassistant.const import Platform  # noqa: E402
from homeassistant.core import HomeAssistant  # noqa: E402
from homeassistant.helpers import config_validation as cv  # noqa: E402
from homeassistant.helpers.typing import ConfigType  # noqa: E402

from . import blueprints, issues  # noqa: E402
from .const import DOMAIN  # noqa: E402
from .decisions import async_setup_decisions  # noqa: E402
from .disabled import async_setup_disabled  # noqa: E402
from .lamp import async_put_out  # noqa: E402
from .meetings import async_setup_meetings  # noqa: E402
from .outside import WitnessView  # noqa: E402
from .people import async_setup_people  # noqa: E402
from .receipts import async_setup_receipts  # noqa: E402
from .removal import async_erase_unheld  # noqa: E402
from .renames import async_setup_renames  # noqa: E402
from .services import async_setup_services  # noqa: E402
from .site import Site, WitnessConfigEntry  # noqa: E402

CONFIG_SCHEMA = cv.config_entry_only_config_schema(DOMAIN)

PLATFORMS = [
    Platform.BINARY_SENSOR,
    Platform.BUTTON,
    Platform.EVENT,
    Platform.SENSOR,
    Platform.SWITCH,
]


async def async_setup(hass: HomeAssistant, config: ConfigType) -> bool:
    """Register the actions."""
    async_setup_services(hass)
    async_setup_receipts(hass)
    hass.http.register_view(WitnessView)
    async_setup_meetings(hass)
    async_setup_people(hass)
    async_setup_decisions(hass)
    async_setup_disabled(hass)
    async_setup_renames(hass)
    return True


async def async_setup_entry(hass: HomeAssistant, entry: WitnessConfigEntry) -> bool:
    """Open the site and let its rooms be seen."""
    issues.async_set(hass, issues.SITE_DISABLED, active=False)
    issues.async_set(hass, issues.UNHELD_LEFT, active=False)
    await blueprints.async_install(hass)
    site = Site(hass, entry)
    await site.async_start()
    entry.runtime_data = site
    # Rooms and cameras come and go without a reload: that would interrupt who is recording.
    entry.async_on_unload(entry.add_update_listener(_async_updated))
    await hass.config_entries.async_forward_entry_setups(entry, PLATFORMS)
    return True


async def _async_updated(hass: HomeAssistant, entry: WitnessConfigEntry) -> None:
    await entry.runtime_data.async_update_rooms()


async def async_unload_entry(hass: HomeAssistant, entry: WitnessConfigEntry) -> bool:
    """Seal what is open; meetings that run go on when the entry is loaded again."""
    unloaded = await hass.config_entries.async_unload_platforms(entry, PLATFORMS)
    if unloaded:
        await entry.runtime_data.async_stop()
    return unloaded


async def async_remove_entry(hass: HomeAssistant, entry: WitnessConfigEntry) -> None:
    """No lamp says any longer that a room is recorded, and what is not held is erased."""
    if (site := getattr(entry, "runtime_data", None)) is not None:  # It could not be unloaded.
        await site.async_stop()
    await async_put_out(hass, entry)
    await async_erase_unheld(hass, entry)
