"""The site's options. They apply at once; nothing that records is interrupted."""

from typing import Any

import probatio as vol
from homeassistant.config_entries import ConfigFlowResult
from homeassistant.helpers.selector import BooleanSelector

from .const import CONF_ERASE_AT_REVIEW, CONF_TWO_PEOPLE
from .outside import OutsideFlow


class SiteOptionsFlow(OutsideFlow):
    """A menu; each form keeps what the others said."""

    async def async_step_init(self, user_input: dict[str, Any] | None = None) -> ConfigFlowResult:
        """What it is about."""
        return self.async_show_menu(
            step_id="init", menu_options=["holds", "witnesses", "timestamps", "witnessing"]
        )

    async def async_step_holds(self, user_input: dict[str, Any] | None = None) -> ConfigFlowResult:
        """How holds end."""
        if user_input is not None:
            return self.async_create_entry(data={**self.config_entry.options, **user_input})
        schema = vol.Schema(
            {
                vol.Required(CONF_TWO_PEOPLE, default=False): BooleanSelector(),
                vol.Required(CONF_ERASE_AT_REVIEW, default=False): BooleanSelector(),
            }
        )
        return self.async_show_form(
            step_id="holds",
            data_schema=self.add_suggested_values_to_schema(schema, self.config_entry.options),
        )
