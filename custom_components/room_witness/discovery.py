"""Looking for cameras on the networks that Home Assistant is told to use."""

from homeassistant.components import network
from homeassistant.core import HomeAssistant

from roomwitness.onvif import DiscoveredCamera, discover


async def async_look(hass: HomeAssistant) -> tuple[DiscoveredCamera, ...]:
    """Who answers (Settings > System > Network says on which adapters is asked)."""
    addresses = await network.async_get_enabled_source_ips(hass)
    return await discover(interfaces=[str(a) for a in addresses if a.version == 4])
