"""A camera's step for what is wired to it: a panic button on one of its digital inputs."""

from abc import ABC, abstractmethod
from collections.abc import Awaitable, Iterable, Mapping, Sequence
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

from roomwitness.onvif import Connection, OnvifError, OnvifFault, io

from .const import CONF_INPUTS, CONF_PANIC_INPUT, CONF_PANIC_WHEN, CONF_RELAYS
from .rooms import onvif_source

CLOSED, OPEN = "closed", "open"
_WHEN = SelectSelector(
    SelectSelectorConfig(
        options=[CLOSED, OPEN], translation_key="panic_when", mode=SelectSelectorMode.LIST
    )
)


class SignalsStep(ConfigSubentryFlow, ABC):
    """Asked last, and only of a camera that has inputs.

    What was known of a camera that is changed is kept unless the camera itself says that it is
    gone: a timeout must not take anybody's panic button away.
    """

    def __init__(self) -> None:
        self._signals_of: dict[str, Any] = {}
        self._signals_known: Mapping[str, Any] = {}
        self._signals_name = ""

    async def async_ask_signals(
        self, name: str, data: dict[str, Any], known: Mapping[str, Any]
    ) -> SubentryFlowResult:
        """Look for inputs and relays of the camera of that ``data``, which is about to be kept."""
        self._signals_name, self._signals_of, self._signals_known = name, data, known
        return await self.async_step_signals_again()

    async def async_step_signals_again(
        self, user_input: dict[str, Any] | None = None
    ) -> SubentryFlowResult:
        """Ask the camera."""
        known = self._signals_known
        try:
            inputs, relays = await _ask(self._signals_of, known)
        except OnvifError:
            return await self.async_step_signals_unknown()
        return await self._async_take(inputs, relays)

    async def async_step_signals_unknown(
        self, user_input: dict[str, Any] | None = None
    ) -> SubentryFlowResult:
        """The camera did not say: ask again, or keep what was known."""
        known = self._signals_known
        return self.async_show_menu(
            step_id="signals_unknown",
            menu_options=["signals_again", "signals_kept"],
            description_placeholders={
                "inputs": _listed(known.get(CONF_INPUTS, ())),
                "relays": _listed(known.get(CONF_RELAYS, ())),
                "panic": known.get(CONF_PANIC_INPUT, "-"),
            },
        )

    async def async_step_signals_kept(
        self, user_input: dict[str, Any] | None = None
    ) -> SubentryFlowResult:
        """Go on with what was known."""
        known = self._signals_known
        return await self._async_take(known.get(CONF_INPUTS, ()), known.get(CONF_RELAYS, ()))

    async def _async_take(self, inputs: Sequence[str], relays: Sequence[str]) -> SubentryFlowResult:
        data, known = self._signals_of, self._signals_known
        for key, tokens in ((CONF_INPUTS, inputs), (CONF_RELAYS, relays)):
            if tokens:
                data[key] = list(tokens)
        if (panic := known.get(CONF_PANIC_INPUT)) is not None:
            if panic not in inputs:
                return await self.async_step_panic_gone()
            data[CONF_PANIC_INPUT] = panic
            data[CONF_PANIC_WHEN] = known.get(CONF_PANIC_WHEN, CLOSED)
        return await self._async_choose()

    async def async_step_panic_gone(
        self, user_input: dict[str, Any] | None = None
    ) -> SubentryFlowResult:
        """The camera says that it has no longer the input of its panic button."""
        if user_input is not None:
            return await self._async_choose()
        return self.async_show_form(
            step_id="panic_gone",
            data_schema=vol.Schema({}),
            description_placeholders={
                "panic": self._signals_known[CONF_PANIC_INPUT],
                "inputs": _listed(self._signals_of.get(CONF_INPUTS, ())),
            },
        )

    async def _async_choose(self) -> SubentryFlowResult:
        if CONF_INPUTS not in self._signals_of:
            return self.async_keep(self._signals_name, self._signals_of)
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


async def _ask(
    data: Mapping[str, Any], known: Mapping[str, Any]
) -> tuple[Sequence[str], Sequence[str]]:
    """Tokens of inputs and relays; none of a camera without ONVIF.

    Raises:
        OnvifError: it could not be asked, or does not say though it had some.
    """
    if CONF_HOST not in data:
        return (), ()
    async with Connection(onvif_source(data)) as device:
        relays = await _tokens(io.relays(device), known.get(CONF_RELAYS, ()))
        inputs = await _tokens(io.inputs(device), known.get(CONF_INPUTS, ()))
    return inputs, [relay.token for relay in relays]


async def _tokens[T](asked: Awaitable[Sequence[T]], known: Sequence[str]) -> Sequence[T]:
    try:
        return await asked
    except OnvifFault:
        if known:
            raise
        return ()  # Cameras have many ways to say that they have no such thing.


def _listed(tokens: Iterable[str]) -> str:
    return ", ".join(tokens) or "-"
