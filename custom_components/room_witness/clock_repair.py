"""The repair of a camera's clock: shown, set, and looked at again."""

from typing import Any

import probatio as vol
from homeassistant.components.repairs import RepairsFlow, RepairsFlowResult

from roomwitness.errors import WitnessError
from roomwitness.onvif import DeviceClock, OnvifAuthFailed
from roomwitness.witness import Witness, checks

from .const import DOMAIN


class ClockFlow(RepairsFlow):
    """Measures first: somebody may have set the clock meanwhile."""

    def __init__(self, camera_id: str) -> None:
        self._camera_id = camera_id
        self._camera = ""
        self._offset = "?"

    async def async_step_init(self, user_input: dict[str, Any] | None = None) -> RepairsFlowResult:
        """Look at the clock now."""
        witness = self._witness()
        if witness is None:
            return self.async_abort(reason="site_not_loaded")
        try:
            clock = await witness.devices.clock(self._camera_id)
        except WitnessError as err:
            return self._form("unreachable", {"base": err.key})
        if clock is None:
            return self.async_abort(reason="no_clock")
        if not self._off(clock):
            await witness.devices.look_again(self._camera_id)
            return self.async_create_entry(data={})
        if clock.ntp:
            return await self.async_step_ntp()
        return self._form("set_clock", {})

    async def async_step_ntp(self, user_input: dict[str, Any] | None = None) -> RepairsFlowResult:
        """A time server should set it, and plainly does not."""
        return self.async_show_menu(
            step_id="ntp",
            menu_options=["init", "set_clock"],
            description_placeholders=self._about,
        )

    async def async_step_unreachable(
        self, user_input: dict[str, Any] | None = None
    ) -> RepairsFlowResult:
        """It did not answer: try again."""
        return await self.async_step_init(user_input)

    async def async_step_set_clock(
        self, user_input: dict[str, Any] | None = None
    ) -> RepairsFlowResult:
        """Set it, measure, and see whether it keeps."""
        errors: dict[str, str] = {}
        if user_input is not None:
            witness = self._witness()
            if witness is None:
                return self.async_abort(reason="site_not_loaded")
            try:
                clock = await witness.devices.set_clock(self._camera_id)
            except OnvifAuthFailed:
                errors["base"] = "not_administrator"
            except WitnessError as err:
                errors["base"] = err.key
            else:
                if clock is None or not self._off(clock):
                    return self.async_create_entry(data={})
                errors["base"] = "clock_still_off"
        return self._form("set_clock", errors)

    def _off(self, clock: DeviceClock) -> bool:
        self._offset = checks.shown_offset(clock.offset.seconds)
        return checks.clock_off(clock.offset.seconds)

    def _witness(self) -> Witness | None:
        entries = self.hass.config_entries.async_loaded_entries(DOMAIN)
        if not entries:
            return None
        subentry = entries[0].subentries.get(self._camera_id)
        self._camera = subentry.title if subentry is not None else ""
        witness: Witness = entries[0].runtime_data.witness
        return witness

    @property
    def _about(self) -> dict[str, str]:
        return {"camera": self._camera, "offset": self._offset}

    def _form(self, step_id: str, errors: dict[str, str]) -> RepairsFlowResult:
        return self.async_show_form(
            step_id=step_id,
            data_schema=vol.Schema({}),
            errors=errors,
            description_placeholders=self._about,
        )
