"""A camera's step for what is wired to it: a panic button on one of its digital inputs."""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any

import probatio as vol
from homeassistant.config_entries import ConfigSubentryFlow, SubentryFlowResult
from homeassistant.const import CONF_HOST
from homeassistant.helpers.selector import (
    SelectOptionDict,
    SelectSelector,
    SelectSelectorConfig,
    SelectSelectorMode,
)

from roomwitness.onvif import Connection, OnvifError, io

from .const import CONF_INPUTS, CONF_PANIC_INPUT, CONF_PANIC_WHEN, CONF_RELAYS
from .rooms import onvif_source

CLOSED, OPEN = "closed", "open"
_WHEN = SelectSelector(
    SelectSelectorConfig(
        options=[CLOSED, OPEN], translation_key="panic_when", mode=SelectSelectorMode.LIST
    )
)


class SignalsStep(ConfigSubentryFlow, ABC):
    """Asked last, and only of a camera that has inputs."""

    def __init__(self) -> None:
        self._signals_of: dict[str, Any] = {}
        self._signals_name = ""

    async def async_ask_signals(
        self, name: str, data: dict[str, Any], known: Mapping[str, Any]
    ) -> SubentryFlowResult:
        """Look for inputs and relays of the camera of that ``data``, which is about to be kept."""
        self._signals_name, self._signals_of = name, data
        inputs, relays = await _ask(data)
        if relays:
            data[CONF_RELAYS] = relays
        if not inputs:
            return self.async_keep(name, data)
        data[CONF_INPUTS] = inputs
        if known.get(CONF_PANIC_INPUT) in inputs:
            data[CONF_PANIC_INPUT] = known[CONF_PANIC_INPUT]
            data[CONF_PANIC_WHEN] = known.get(CONF_PANIC_WHEN, CLOSED)
        return await self.async_step_signals()

    async def async_step_signals(
        self, user_input: dict[str, Any] | None = None
    ) -> SubentryFlowResult:
        """Which input is the panic button, if any."""
        data = self._signals_of
        if user_input is not None:
            suggested = {CONF_PANIC_INPUT, CONF_PANIC_WHEN}
            data = {k: v for k, v in data.items() if k not in suggested}
            if CONF_PANIC_INPUT in user_input:
                data |= user_input
            return self.async_keep(self._signals_name, data)
        options = [SelectOptionDict(value=token, label=token) for token in data[CONF_INPUTS]]
        schema = vol.Schema(
            {
                vol.Optional(CONF_PANIC_INPUT): SelectSelector(
                    SelectSelectorConfig(options=options, mode=SelectSelectorMode.DROPDOWN)
                ),
                vol.Required(CONF_PANIC_WHEN, default=CLOSED): _WHEN,
            }
        )
        return self.async_show_form(
            step_id="signals", data_schema=self.add_suggested_values_to_schema(schema, data)
        )

    @abstractmethod
    def async_keep(self, name: str, data: dict[str, Any]) -> SubentryFlowResult:
        """Make the camera's subentry, or change it."""


async def _ask(data: Mapping[str, Any]) -> tuple[list[str], list[str]]:
    """Tokens of inputs and relays; none of a camera without ONVIF, or that does not say."""
    if CONF_HOST not in data:
        return [], []
    try:
        async with Connection(onvif_source(data)) as device:
            relays = [relay.token for relay in await io.relays(device)]
            return list(await io.inputs(device)), relays
    except OnvifError:
        return [], []
