"""The repair of backups that carry a key of erased evidence: somebody answers for it."""

from typing import override

from homeassistant.components.repairs import ConfirmRepairFlow, RepairsFlowResult

from .const import DOMAIN
from .errors import translated

ISSUE = "backups_carry_keys"


class BackupsGoneFlow(ConfirmRepairFlow):
    """Somebody answers for it that the backups are destroyed; the custody log keeps that."""

    @override
    async def async_step_confirm(
        self, user_input: dict[str, str] | None = None
    ) -> RepairsFlowResult:
        """Ask, then note it."""
        if user_input is not None:
            for entry in self.hass.config_entries.async_loaded_entries(DOMAIN):
                with translated():
                    await entry.runtime_data.witness.backups.are_gone()
        return await super().async_step_confirm(user_input)
