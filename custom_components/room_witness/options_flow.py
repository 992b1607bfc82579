"""The site's options: how holds end. They apply at once; nothing that records is interrupted."""

from typing import Any

import probatio as vol
from homeassistant.config_entries import ConfigFlowResult, OptionsFlow
from homeassistant.helpers.selector import BooleanSelector

from .const import CONF_ERASE_AT_REVIEW, CONF_TWO_PEOPLE


class SiteOptionsFlow(OptionsFlow):
    """One form."""

    async def async_step_init(self, user_input: dict[str, Any] | None = None) -> ConfigFlowResult:
        """Ask."""
        if user_input is not None:
            return self.async_create_entry(data={**self.config_entry.options, **user_input})
        schema = vol.Schema(
            {
                vol.Required(CONF_TWO_PEOPLE, default=False): BooleanSelector(),
                vol.Required(CONF_ERASE_AT_REVIEW, default=False): BooleanSelector(),
            }
        )
        return self.async_show_form(
            step_id="init",
            data_schema=self.add_suggested_values_to_schema(schema, self.config_entry.options),
        )
