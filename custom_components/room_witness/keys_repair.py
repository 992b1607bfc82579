"""The repair of a site whose key file is gone: it is put back, or new keys are made."""

import secrets
from pathlib import Path
from typing import Any

import probatio as vol
from homeassistant.components.repairs import RepairsFlow, RepairsFlowResult
from homeassistant.config_entries import ConfigEntry
from homeassistant.core import HomeAssistant
from homeassistant.util import dt as dt_util

from roomwitness.errors import WitnessError
from roomwitness.vault.check import Places
from roomwitness.witness import Custodian, StoredKeys
from roomwitness.witness.newkeys import replace_lost

from . import paths
from .const import CONF_CUSTODIANS, CONF_MODE, CONF_VAULT, DOMAIN, MODE_SEALED

ISSUE = "site_keys_missing"


def make_new_keys(
    hass: HomeAssistant, vault: str, custodians: list[Custodian], *, sealed: bool
) -> StoredKeys:
    """Make a site's keys, also where there is a vault whose keys are lost; blocks on disk.

    Raises:
        VaultUnwritable, VaultFull, StoreError, LogUnwritable.
    """
    return replace_lost(
        Places(Path(vault), paths.ephemeral_dir(hass), paths.held_dir(hass)),
        paths.keys_file(hass),
        f"roomwitness/{secrets.token_hex(4)}",
        custodians,
        dt_util.utcnow(),
        sealed=sealed,
    )


class SiteKeysFlow(RepairsFlow):
    """Look again, or make new ones for the custodians that the entry names."""

    def _entry(self) -> ConfigEntry[Any] | None:
        return next(iter(self.hass.config_entries.async_entries(DOMAIN)), None)

    async def async_step_init(self, user_input: dict[str, Any] | None = None) -> RepairsFlowResult:
        """Choose."""
        return self.async_show_menu(step_id="init", menu_options=["put_back", "new_keys"])

    async def async_step_put_back(
        self, user_input: dict[str, Any] | None = None
    ) -> RepairsFlowResult:
        """The file was put back: is it there?"""
        entry = self._entry()
        errors: dict[str, str] = {}
        if user_input is not None and entry is not None:
            path = paths.keys_file(self.hass)
            if await self.hass.async_add_executor_job(StoredKeys.load, path) is not None:
                self.hass.config_entries.async_schedule_reload(entry.entry_id)
                return self.async_create_entry(data={})
            errors["base"] = "site_keys_missing"
        return self.async_show_form(step_id="put_back", data_schema=vol.Schema({}), errors=errors)

    async def async_step_new_keys(
        self, user_input: dict[str, Any] | None = None
    ) -> RepairsFlowResult:
        """Nobody has the file any more."""
        entry = self._entry()
        if entry is None:
            return self.async_abort(reason="site_gone")
        custodians = [Custodian(**item) for item in entry.data[CONF_CUSTODIANS]]
        errors: dict[str, str] = {}
        if user_input is not None:
            sealed = entry.data.get(CONF_MODE) == MODE_SEALED
            try:
                await self.hass.async_add_executor_job(
                    lambda: make_new_keys(
                        self.hass, entry.data[CONF_VAULT], custodians, sealed=sealed
                    )
                )
            except WitnessError as err:
                errors["base"] = err.key
            else:
                self.hass.config_entries.async_schedule_reload(entry.entry_id)
                return self.async_create_entry(data={})
        return self.async_show_form(
            step_id="new_keys",
            data_schema=vol.Schema({}),
            errors=errors,
            description_placeholders={"custodians": ", ".join(c.shown for c in custodians)},
        )
