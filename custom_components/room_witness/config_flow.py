"""Setting the site up: where the vault is, and who may open evidence."""

from pathlib import Path
from typing import Any, override

import probatio as vol
from homeassistant.config_entries import (
    SOURCE_RECONFIGURE,
    ConfigEntry,
    ConfigFlowResult,
    ConfigSubentryFlow,
    OptionsFlow,
)
from homeassistant.core import callback
from homeassistant.helpers.selector import TextSelector

from roomwitness.errors import WitnessError
from roomwitness.vault.folder import check_folder
from roomwitness.witness import Custodian, StoredKeys

from . import paths
from .camera_flow import CameraFlow
from .const import (
    CONF_CHOSEN_MODE,
    CONF_MODE,
    CONF_VAULT,
    DOMAIN,
    MODE_ASSISTED,
    MODE_SEALED,
    SUBENTRY_CAMERA,
    SUBENTRY_ROOM,
)
from .keys_flow import MODES, KeysFlow, shortened
from .keys_repair import make_new_keys
from .options_flow import SiteOptionsFlow
from .room_flow import RoomFlow
from .site import entry_keys


class RoomWitnessConfigFlow(KeysFlow, domain=DOMAIN):
    """One site to a Home Assistant."""

    def __init__(self) -> None:
        self._vault = ""
        self._sealed = False

    @classmethod
    @callback
    @override
    def async_get_supported_subentry_types(
        cls, config_entry: ConfigEntry
    ) -> dict[str, type[ConfigSubentryFlow]]:
        """Cameras and rooms."""
        return {SUBENTRY_CAMERA: CameraFlow, SUBENTRY_ROOM: RoomFlow}

    @staticmethod
    @callback
    @override
    def async_get_options_flow(config_entry: ConfigEntry) -> OptionsFlow:
        """How holds end."""
        return SiteOptionsFlow()

    @override
    async def async_step_user(self, user_input: dict[str, Any] | None = None) -> ConfigFlowResult:
        """Where the vault is."""
        errors: dict[str, str] = {}
        if user_input is not None:
            try:
                await self.hass.async_add_executor_job(check_folder, Path(user_input[CONF_VAULT]))
            except WitnessError as err:
                errors[CONF_VAULT] = err.key
            else:
                self._vault = user_input[CONF_VAULT]
                self._sealed = user_input[CONF_MODE] == MODE_SEALED
                return await self._async_step_keys()
        kept = await self._async_stored()  # What they are is suggested, not what others are.
        mode = MODE_SEALED if kept is not None and kept.sealed else MODE_ASSISTED
        schema = vol.Schema(
            {
                vol.Required(CONF_VAULT, default=paths.default_vault(self.hass)): TextSelector(),
                vol.Required(CONF_MODE, default=mode): MODES,
            }
        )
        return self.async_show_form(
            step_id="user",
            data_schema=self.add_suggested_values_to_schema(schema, user_input),
            errors=errors,
        )

    async def _async_step_keys(self) -> ConfigFlowResult:
        """Keys of a site that was here before go on: its evidence and its log need them."""
        stored = await self._async_stored()
        if stored is not None:
            return await self.async_step_known_site()
        return await self.async_step_first_custodian()

    async def async_step_first_custodian(
        self, user_input: dict[str, Any] | None = None
    ) -> ConfigFlowResult:
        """How the first custodian comes by a key."""
        return self.async_show_menu(
            step_id="first_custodian", menu_options=["custodian", "custodian_pq", "custodian_own"]
        )

    async def _async_stored(self) -> StoredKeys | None:
        return await self.hass.async_add_executor_job(StoredKeys.load, paths.keys_file(self.hass))

    async def async_step_known_site(
        self, user_input: dict[str, Any] | None = None
    ) -> ConfigFlowResult:
        """Go on with the keys that are here; if they are in another mode than chosen, say so."""
        stored = await self._async_stored()
        if stored is None:
            return self.async_abort(reason="site_keys_missing")
        if user_input is None:
            mode = MODE_SEALED if self._sealed else MODE_ASSISTED
            return self.async_show_form(
                step_id="known_site" if self._follow(stored) else f"known_site_{mode}",
                data_schema=vol.Schema({}),
                description_placeholders={
                    "recipients": ", ".join(
                        f"`{shortened(c.recipient)}`" for c in stored.custodians
                    )
                },
            )
        return self._async_create(stored)

    # The titles differ, what they do does not.
    async_step_known_site_sealed = async_step_known_site_assisted = async_step_known_site

    def _follow(self, stored: StoredKeys) -> bool:
        """Whether the keys are in the mode that was chosen."""
        return stored.sealed is self._sealed

    @override
    async def _async_take(self, custodian: Custodian) -> ConfigFlowResult:
        """At set-up: with this custodian the site has its keys."""
        if self.source == SOURCE_RECONFIGURE:
            return await super()._async_take(custodian)
        stored = await self.hass.async_add_executor_job(
            lambda: make_new_keys(self.hass, self._vault, [custodian], sealed=self._sealed)
        )
        return self._async_create(stored)

    @callback
    def _async_create(self, stored: StoredKeys) -> ConfigFlowResult:
        data = {CONF_VAULT: self._vault, **entry_keys(stored)}
        if not self._follow(stored):  # The site changes it, and logs it, when it starts.
            data[CONF_CHOSEN_MODE] = MODE_SEALED if self._sealed else MODE_ASSISTED
        return self.async_create_entry(title="Room Witness", data=data)
