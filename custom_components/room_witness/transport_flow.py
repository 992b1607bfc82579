"""How a camera's media comes: a part of the camera's forms that few need to open."""

from typing import Any

import probatio as vol
from homeassistant.data_entry_flow import section
from homeassistant.helpers.selector import SelectSelector, SelectSelectorConfig, SelectSelectorMode

from roomwitness.capture import Transport

from .const import CONF_TRANSPORT, SECTION_CONNECTION

_TRANSPORT = SelectSelector(
    SelectSelectorConfig(
        options=[way.value for way in Transport],
        translation_key=CONF_TRANSPORT,
        mode=SelectSelectorMode.DROPDOWN,
    )
)
CONNECTION: dict[Any, Any] = {
    vol.Optional(SECTION_CONNECTION): section(
        vol.Schema({vol.Required(CONF_TRANSPORT, default=Transport.AUTOMATIC.value): _TRANSPORT}),
        {"collapsed": True},
    )
}
