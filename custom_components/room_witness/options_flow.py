"""The site's options. They apply at once; nothing that records is interrupted."""

from typing import Any

import probatio as vol
from homeassistant.config_entries import ConfigFlowResult
from homeassistant.helpers.selector import (
    BooleanSelector,
    SelectOptionDict,
    SelectSelector,
    SelectSelectorConfig,
    SelectSelectorMode,
)

from .const import CONF_DECIDERS, CONF_ERASE_AT_REVIEW, CONF_TWO_PEOPLE
from .outside import OutsideFlow


class SiteOptionsFlow(OutsideFlow):
    """A menu; each form keeps what the others said."""

    async def async_step_init(self, user_input: dict[str, Any] | None = None) -> ConfigFlowResult:
        """What it is about."""
        return self.async_show_menu(
            step_id="init", menu_options=["holds", "witnesses", "timestamps", "witnessing"]
        )

    async def async_step_holds(self, user_input: dict[str, Any] | None = None) -> ConfigFlowResult:
        """How holds end, and by whom."""
        users = await self._async_users()
        if user_input is not None:
            return self.async_create_entry(data={**self.config_entry.options, **user_input})
        schema = vol.Schema(
            {
                vol.Required(CONF_TWO_PEOPLE, default=False): BooleanSelector(),
                vol.Required(CONF_ERASE_AT_REVIEW, default=False): BooleanSelector(),
                vol.Optional(CONF_DECIDERS, default=list): SelectSelector(
                    SelectSelectorConfig(
                        options=users, multiple=True, mode=SelectSelectorMode.DROPDOWN
                    )
                ),
            }
        )
        known = {user["value"] for user in users}
        options = dict(self.config_entry.options)
        options[CONF_DECIDERS] = [u for u in options.get(CONF_DECIDERS, ()) if u in known]
        return self.async_show_form(
            step_id="holds",
            data_schema=self.add_suggested_values_to_schema(schema, options),
        )

    async def _async_users(self) -> list[SelectOptionDict]:
        """Those who log in here, by name; only their ids are kept."""
        return [
            SelectOptionDict(value=user.id, label=user.name or user.id)
            for user in await self.hass.auth.async_get_users()
            if user.is_active and not user.system_generated
        ]
