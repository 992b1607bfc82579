"""Setting the site up: where the vault is, and the custodian's identity, shown this once."""

import secrets
from pathlib import Path
from typing import Any, override

import probatio as vol
from homeassistant.config_entries import (
    ConfigEntry,
    ConfigFlow,
    ConfigFlowResult,
    ConfigSubentryFlow,
    OptionsFlow,
)
from homeassistant.core import callback
from homeassistant.helpers.selector import TextSelector

from roomwitness.errors import WitnessError
from roomwitness.vault.folder import check_folder
from roomwitness.witness import SiteKeys, generate_site_keys

from . import paths
from .camera_flow import CameraFlow
from .const import (
    CONF_ORIGIN,
    CONF_RECIPIENT,
    CONF_VAULT,
    DOMAIN,
    SUBENTRY_CAMERA,
    SUBENTRY_ROOM,
)
from .keys import StoredKeys
from .options_flow import SiteOptionsFlow
from .room_flow import RoomFlow

CONF_CONFIRM = "confirm"
_CONFIRM_LENGTH = 6


class RoomWitnessConfigFlow(ConfigFlow, domain=DOMAIN):
    """One site to a Home Assistant."""

    def __init__(self) -> None:
        self._vault = ""
        self._origin = ""
        self._keys: SiteKeys | None = None

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
                return await self._async_step_keys()
        schema = vol.Schema(
            {vol.Required(CONF_VAULT, default=paths.default_vault(self.hass)): TextSelector()}
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
        self._origin = f"roomwitness/{secrets.token_hex(4)}"
        self._keys = generate_site_keys(self._origin)
        return await self.async_step_custodian()

    async def _async_stored(self) -> StoredKeys | None:
        return await self.hass.async_add_executor_job(StoredKeys.load, paths.keys_file(self.hass))

    async def async_step_known_site(
        self, user_input: dict[str, Any] | None = None
    ) -> ConfigFlowResult:
        """Go on with the keys that are here."""
        stored = await self._async_stored()
        if stored is None:
            return self.async_abort(reason="site_keys_missing")
        if user_input is None:
            return self.async_show_form(
                step_id="known_site",
                data_schema=vol.Schema({}),
                description_placeholders={"recipient": stored.custodian_recipient},
            )
        return self._async_create(stored)

    async def async_step_custodian(
        self, user_input: dict[str, Any] | None = None
    ) -> ConfigFlowResult:
        """Show the recovery identity once; its last characters prove that it was kept."""
        keys = self._keys
        if keys is None:
            return self.async_abort(reason="site_keys_missing")
        errors: dict[str, str] = {}
        if user_input is not None:
            told = user_input[CONF_CONFIRM].strip().upper()
            if len(told) >= _CONFIRM_LENGTH and keys.custodian_identity.endswith(told):
                stored = StoredKeys(
                    origin=self._origin,
                    custodian_recipient=keys.custodian_recipient,
                    site_identity=keys.site_identity,
                    log_private_key=keys.log_private_key,
                )
                try:
                    await self.hass.async_add_executor_job(stored.save, paths.keys_file(self.hass))
                except OSError:
                    errors["base"] = "vault_unwritable"
                else:
                    self._keys = None
                    return self._async_create(stored)
            else:
                errors[CONF_CONFIRM] = "identity_not_confirmed"
        return self.async_show_form(
            step_id="custodian",
            data_schema=vol.Schema({vol.Required(CONF_CONFIRM): TextSelector()}),
            errors=errors,
            description_placeholders={
                "identity": keys.custodian_identity,
                "recipient": keys.custodian_recipient,
            },
        )

    @callback
    def _async_create(self, stored: StoredKeys) -> ConfigFlowResult:
        return self.async_create_entry(
            title="Room Witness",
            data={
                CONF_VAULT: self._vault,
                CONF_ORIGIN: stored.origin,
                CONF_RECIPIENT: stored.custodian_recipient,
            },
        )
