"""The blueprints that ship with the integration, put where Home Assistant looks for them."""

import logging
import shutil
from pathlib import Path

from homeassistant.core import HomeAssistant

from .const import DOMAIN

_LOGGER = logging.getLogger(__name__)

_SHIPPED = Path(__file__).parent / "blueprints" / "automation"


async def async_install(hass: HomeAssistant) -> None:
    """Copy those that are not there; one that the admin changed is theirs."""
    target = Path(hass.config.path("blueprints", "automation", DOMAIN))
    try:
        await hass.async_add_executor_job(_copy_missing, target)
    except OSError as err:  # Recording must not wait for a blueprint.
        _LOGGER.warning("The blueprints could not be put in place: errno %s", err.errno)


def _copy_missing(target: Path) -> None:
    target.mkdir(parents=True, exist_ok=True)
    for blueprint in sorted(_SHIPPED.glob("*.yaml")):
        if not (target / blueprint.name).exists():
            shutil.copyfile(blueprint, target / blueprint.name)
