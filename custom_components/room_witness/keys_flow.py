"""Who may open evidence: custodians are added and retired here, at set-up and later."""

from collections.abc import Awaitable, Callable
from functools import wraps
from typing import Any

import probatio as vol
from homeassistant.config_entries import ConfigEntry, ConfigFlow, ConfigFlowResult
from homeassistant.core import HomeAssistant
from homeassistant.helpers.selector import (
    SelectOptionDict,
    SelectSelector,
    SelectSelectorConfig,
    SelectSelectorMode,
    TextSelector,
)

from roomwitness.errors import WitnessError
from roomwitness.vault.age import (
    KnownIdentity,
    generate_hybrid_identity,
    generate_identity,
    parse_recipient,
    try_recipient,
)
from roomwitness.vault.errors import IdentityInvalid, PluginFailed, PluginMissing
from roomwitness.witness import Custodian

from .const import CONF_MODE, DOMAIN, MODE_ASSISTED, MODE_SEALED
from .site import Site

CONF_CONFIRM, CONF_LABEL, CONF_RECIPIENT = "confirm", "label", "recipient"
CONF_CUSTODIAN = "custodian"
MODES = SelectSelector(
    SelectSelectorConfig(
        options=[MODE_ASSISTED, MODE_SEALED],
        translation_key=CONF_MODE,
        mode=SelectSelectorMode.LIST,
    )
)
_MENU = ["custodian", "custodian_pq", "custodian_own", "custodian_retire", "mode", "site_key"]
_CONFIRM_LENGTH = 6
_SHOWN = 100
_SECRETS = ("AGE-SECRET-KEY-", "AGE-PLUGIN-")


type _Step = Callable[[Any, Site, dict[str, Any] | None], Awaitable[ConfigFlowResult]]


def loaded_site(hass: HomeAssistant) -> Site | None:
    """The site, if it runs."""
    entries: list[ConfigEntry[Site]] = hass.config_entries.async_loaded_entries(DOMAIN)
    return entries[0].runtime_data if entries else None


def shortened(recipient: str) -> str:
    """A public key as a page shows it: a post-quantum one has 2,000 characters."""
    return recipient if len(recipient) <= _SHOWN else f"{recipient[:24]}...{recipient[-12:]}"


def _of_a_site(step: _Step) -> Callable[..., Awaitable[ConfigFlowResult]]:
    """A step that needs the site to run."""

    @wraps(step)
    async def found(flow: KeysFlow, user_input: dict[str, Any] | None = None) -> ConfigFlowResult:
        site = loaded_site(flow.hass)
        if site is None:
            return flow.async_abort(reason="site_not_loaded")
        return await step(flow, site, user_input)

    return found


class KeysFlow(ConfigFlow):
    """The steps about custodians; ``_async_take`` says what becomes of one."""

    _identity: KnownIdentity | None = None

    async def _async_take(self, custodian: Custodian) -> ConfigFlowResult:
        """Add the custodian to the site.

        Raises:
            WitnessError: it could not be done; shown in the form.
        """
        site = loaded_site(self.hass)
        if site is None:
            return self.async_abort(reason="site_not_loaded")
        found = await site.witness.keys.add_custodian(custodian.recipient, custodian.label)
        done = {
            "custodian": custodian.shown,
            "changed": str(found.added),
            "waiting": str(found.waiting.get(custodian.id, 0)),
        }
        return self._done(site, "custodian_added", done)

    def _done(self, site: Site, reason: str, placeholders: dict[str, str]) -> ConfigFlowResult:
        site.async_show_keys()
        return self.async_abort(reason=reason, description_placeholders=placeholders)

    @_of_a_site
    async def async_step_reconfigure(
        self, site: Site, user_input: dict[str, Any] | None
    ) -> ConfigFlowResult:
        """What is to be changed about the site's keys."""
        shown = "\n".join(
            f"- {c.shown}: `{shortened(c.recipient)}`" for c in site.witness.keys.custodians
        )
        return self.async_show_menu(
            step_id="reconfigure",
            menu_options=_MENU,
            description_placeholders={"custodians": shown},
        )

    async def async_step_custodian(
        self, user_input: dict[str, Any] | None = None
    ) -> ConfigFlowResult:
        """A new recovery identity that every age program opens with."""
        return await self._async_new("custodian", generate_identity, user_input)

    async def async_step_custodian_pq(
        self, user_input: dict[str, Any] | None = None
    ) -> ConfigFlowResult:
        """A new recovery identity that a quantum computer does not find."""
        return await self._async_new("custodian_pq", generate_hybrid_identity, user_input)

    async def _async_new(
        self,
        step: str,
        generate: Callable[[], KnownIdentity],
        user_input: dict[str, Any] | None,
    ) -> ConfigFlowResult:
        """Show a new identity once; its last characters prove that it was kept."""
        if self._identity is None:
            self._identity = generate()
        identity, recipient = str(self._identity), str(self._identity.recipient)
        errors: dict[str, str] = {}
        if user_input is not None:
            told = user_input[CONF_CONFIRM].strip().upper()
            if len(told) >= _CONFIRM_LENGTH and identity.endswith(told):
                custodian = Custodian(recipient, user_input.get(CONF_LABEL, "").strip())
                try:
                    result = await self._async_take(custodian)
                except WitnessError as err:
                    errors["base"] = err.key
                else:
                    self._identity = None
                    return result
            else:
                errors[CONF_CONFIRM] = "identity_not_confirmed"
        schema = vol.Schema(
            {
                vol.Optional(CONF_LABEL): TextSelector(),
                vol.Required(CONF_CONFIRM): TextSelector(),
            }
        )
        return self.async_show_form(
            step_id=step,
            data_schema=self.add_suggested_values_to_schema(schema, user_input),
            errors=errors,
            description_placeholders={"identity": identity, "recipient": shortened(recipient)},
        )

    async def async_step_custodian_own(
        self, user_input: dict[str, Any] | None = None
    ) -> ConfigFlowResult:
        """Take the public half of a key that was made elsewhere."""
        errors: dict[str, str] = {}
        placeholders: dict[str, str] = {}
        if user_input is not None:
            text = user_input[CONF_RECIPIENT].strip()
            try:
                recipient = str(parse_recipient(text))
                await self.hass.async_add_executor_job(try_recipient, recipient)
            except (PluginMissing, PluginFailed) as err:
                errors[CONF_RECIPIENT], placeholders = err.key, err.placeholders
            except IdentityInvalid:
                secret = text.upper().startswith(_SECRETS)
                errors[CONF_RECIPIENT] = "recipient_is_secret" if secret else "recipient_invalid"
            else:
                custodian = Custodian(recipient, user_input.get(CONF_LABEL, "").strip())
                try:
                    return await self._async_take(custodian)
                except WitnessError as err:
                    errors["base"] = err.key
            if "recipient_is_secret" in errors.values():
                user_input = {}  # It is not shown again.
        schema = vol.Schema(
            {
                vol.Optional(CONF_LABEL): TextSelector(),
                vol.Required(CONF_RECIPIENT): TextSelector(),
            }
        )
        return self.async_show_form(
            step_id="custodian_own",
            data_schema=self.add_suggested_values_to_schema(schema, user_input),
            errors=errors,
            description_placeholders=placeholders,
        )

    @_of_a_site
    async def async_step_mode(
        self, site: Site, user_input: dict[str, Any] | None
    ) -> ConfigFlowResult:
        """Who can open new recordings."""
        keys = site.witness.keys
        errors: dict[str, str] = {}
        if user_input is not None:
            try:
                await keys.set_sealed(user_input[CONF_MODE] == MODE_SEALED)
            except WitnessError as err:
                errors["base"] = err.key
            else:
                site.async_show_keys()
                return self.async_abort(reason="mode_changed")
        mode = MODE_SEALED if keys.stored.sealed else MODE_ASSISTED
        return self.async_show_form(
            step_id="mode",
            data_schema=vol.Schema({vol.Required(CONF_MODE, default=mode): MODES}),
            errors=errors,
        )

    @_of_a_site
    async def async_step_site_key(
        self, site: Site, user_input: dict[str, Any] | None
    ) -> ConfigFlowResult:
        """A new key for this site."""
        errors: dict[str, str] = {}
        if user_input is not None:
            try:
                found = await site.witness.keys.rotate_site_key()
            except WitnessError as err:
                errors["base"] = err.key
            else:
                done = {"changed": str(found.added)}
                return self.async_abort(reason="site_key_rotated", description_placeholders=done)
        return self.async_show_form(step_id="site_key", data_schema=vol.Schema({}), errors=errors)

    @_of_a_site
    async def async_step_custodian_retire(
        self, site: Site, user_input: dict[str, Any] | None
    ) -> ConfigFlowResult:
        """Choose who is to go."""
        keys = site.witness.keys
        errors: dict[str, str] = {}
        if user_input is not None:
            name = user_input[CONF_CUSTODIAN]
            shown = {c.id: c.shown for c in keys.custodians}.get(name, name)
            try:
                found = await keys.retire_custodian(name)
            except WitnessError as err:
                errors["base"] = err.key
            else:
                done = {
                    "custodian": shown,
                    "changed": str(found.removed),
                    "kept": str(found.kept.get(name, 0)),
                }
                return self._done(site, "custodian_retired", done)
        choices = [SelectOptionDict(value=c.id, label=c.shown) for c in keys.custodians]
        if len(choices) < 2:
            return self.async_abort(reason="custodian_last")
        which = SelectSelectorConfig(options=choices, mode=SelectSelectorMode.LIST)
        return self.async_show_form(
            step_id="custodian_retire",
            data_schema=vol.Schema({vol.Required(CONF_CUSTODIAN): SelectSelector(which)}),
            errors=errors,
        )
