"""The blueprints that ship with the integration, put where Home Assistant looks for them."""

import logging
import shutil
from pathlib import Path

from homeassistant.const import SERVICE_RELOAD
from homeassistant.core import HomeAssistant
from homeassistant.setup import async_when_setup

from roomwitness.files import NEW, sha256

from .const import DOMAIN

_LOGGER = logging.getLogger(__name__)

_AUTOMATION = "automation"
_SHIPPED = Path(__file__).parent / "blueprints" / "automation"

# SHA-256 of every version that ever shipped, also of the present ones, so that none is forgotten
# when the next one comes: a test compares. What is none of these somebody has edited.
_OURS = frozenset(
    {
        "32cc0b3af4c7ae81a064a691c310c16e64be558d50e846d477c59ba0cb1fbc56",
        "645a1879feb62de51e0cf5b7467ae049c1c09ab0cbc8361a1525eaaebab9c180",
        "2c2d6c38274a84a4ec78877cdd2487c4471bb4c038b01b9a66a20133ed5ef113",
        "dba51cfbca7720d3f6e8338c10582daa1bd64ddbe98f0563331cff24314aa6d6",
    }
)


async def async_install(hass: HomeAssistant) -> None:
    """Put in place those that are missing or of an earlier version; an edited one is the admin's.

    Automations that were made from an earlier version follow at once.
    """
    target = Path(hass.config.path("blueprints", "automation", DOMAIN))
    try:
        replaced = await hass.async_add_executor_job(_install, target)
    except OSError as err:  # Recording must not wait for a blueprint.
        _LOGGER.warning("The blueprints could not be put in place: errno %s", err.errno)
        return
    if replaced:
        async_when_setup(hass, _AUTOMATION, _async_reload)


def _install(target: Path) -> bool:
    """Whether an earlier version was replaced."""
    target.mkdir(parents=True, exist_ok=True)
    replaced = False
    for blueprint in sorted(_SHIPPED.glob("*.yaml")):
        place = target / blueprint.name
        there, ours = sha256(place), sha256(blueprint)
        if place.exists() and (there == ours or there not in _OURS):
            continue
        whole = place.with_name(place.name + NEW)
        shutil.copyfile(blueprint, whole)
        whole.replace(place)  # A kill leaves no half one, which would count as edited.
        replaced |= there is not None
    return replaced


async def _async_reload(hass: HomeAssistant, _component: str) -> None:
    await hass.services.async_call(_AUTOMATION, SERVICE_RELOAD)
