"""What can be decided in a repair: a hold whose review is due, a release that waits."""

from datetime import datetime, time
from typing import Any

import probatio as vol
from homeassistant.components.repairs import RepairsFlow, RepairsFlowResult
from homeassistant.helpers.selector import DateSelector, TextSelector
from homeassistant.util import dt as dt_util

from roomwitness.errors import WitnessError
from roomwitness.witness import Witness

from .const import DOMAIN

_SHORTEST_REASON = 3


class HoldFlow(RepairsFlow):
    """Extend or release; for a release that is asked, withdraw it.

    Home Assistant does not tell a repair who answers it. So where two people release, the second
    one must use the action: a release here is refused as nobody's.
    """

    def __init__(self, about: dict[str, str]) -> None:
        self._about = about

    async def async_step_init(self, user_input: dict[str, Any] | None = None) -> RepairsFlowResult:
        """Choose."""
        choices = {"hold_review_due": ["extend", "release"], "release_pending": ["withdraw"]}
        return self.async_show_menu(
            step_id="init",
            menu_options=choices.get(self._about.get("key", ""), []),
            description_placeholders=self._about,
        )

    async def async_step_extend(
        self, user_input: dict[str, Any] | None = None
    ) -> RepairsFlowResult:
        """Put the review off."""
        schema = {
            vol.Required("review_date"): DateSelector(),
            vol.Required("reason"): TextSelector(),
        }
        errors: dict[str, str] = {}
        if user_input is not None and not (errors := _reason_errors(user_input)):
            day = dt_util.parse_date(user_input["review_date"]) or dt_util.now().date()
            date = datetime.combine(day, time(), dt_util.get_default_time_zone())
            errors = await self._try("extend", dt_util.as_utc(date), user_input["reason"])
            if not errors:
                return self.async_create_entry(data={})
        return self._form("extend", schema, user_input, errors)

    async def async_step_release(
        self, user_input: dict[str, Any] | None = None
    ) -> RepairsFlowResult:
        """End it."""
        errors: dict[str, str] = {}
        if user_input is not None and not (errors := _reason_errors(user_input)):
            errors = await self._try("release", user_input["reason"])
            if not errors:
                return self.async_create_entry(data={})
        return self._form("release", {vol.Required("reason"): TextSelector()}, user_input, errors)

    async def async_step_withdraw(
        self, user_input: dict[str, Any] | None = None
    ) -> RepairsFlowResult:
        """Take the request back."""
        errors: dict[str, str] = {}
        if user_input is not None:
            errors = await self._try("withdraw")
            if not errors:
                return self.async_create_entry(data={})
        return self._form("withdraw", {}, user_input, errors)

    async def _try(self, work: str, *args: Any) -> dict[str, str]:
        entries = self.hass.config_entries.async_loaded_entries(DOMAIN)
        if not entries:
            return {"base": "site_not_loaded"}
        witness: Witness = entries[0].runtime_data.witness
        hold = self._about["hold_id"]
        try:
            await getattr(witness.holds, work)(self._about["meeting_id"], *args, hold_id=hold)
        except WitnessError as err:
            return {"base": err.key}
        return {}

    def _form(
        self,
        step_id: str,
        schema: dict[Any, Any],
        user_input: dict[str, Any] | None,
        errors: dict[str, str],
    ) -> RepairsFlowResult:
        return self.async_show_form(
            step_id=step_id,
            data_schema=self.add_suggested_values_to_schema(vol.Schema(schema), user_input),
            errors=errors,
            description_placeholders=self._about,
        )


def _reason_errors(user_input: dict[str, Any]) -> dict[str, str]:
    short = len(user_input["reason"].strip()) < _SHORTEST_REASON
    return {"reason": "reason_too_short"} if short else {}
