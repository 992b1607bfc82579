"""Where a site keeps what (docs/architecture.md, "On disk")."""

from pathlib import Path

from homeassistant.core import HomeAssistant

# The name is what keeps it out of backups.
EPHEMERAL = ".room_witness_unheld.log.d"


def default_vault(hass: HomeAssistant) -> str:
    """Folder of a new site's vault."""
    return hass.config.path("room_witness", "vault")


def keys_file(hass: HomeAssistant) -> Path:
    """The site's own keys; in backups, so that held evidence can be played after a restore."""
    return Path(hass.config.path("room_witness", "keys", "site.json"))


def held_dir(hass: HomeAssistant) -> Path:
    """Custodians' wraps of held recordings; in backups."""
    return Path(hass.config.path("room_witness", "held"))


def ephemeral_dir(hass: HomeAssistant) -> Path:
    """Keys of what is not held; neither core nor the Supervisor takes it into a backup.

    Both leave out what matches ``*.log.*`` directly in the configuration folder, folders too
    (docs/decisions/0005-keys-outside-backups.md).
    """
    return Path(hass.config.path(EPHEMERAL))
