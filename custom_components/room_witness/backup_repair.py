"""The repair of backups that carry a key of erased evidence: somebody answers for it."""

from typing import override

from homeassistant.components.repairs import ConfirmRepairFlow, RepairsFlowResult

from .const import DOMAIN
from .errors import translated


class BackupsGoneFlow(ConfirmRepairFlow):
    """Somebody answers for it that the backups are destroyed; the custody log keeps that.

    Only for those that they were shown: a list may be longer, or have grown meanwhile.
    """

    _shown: tuple[str, ...] = ()

    @override
    async def async_step_confirm(
        self, user_input: dict[str, str] | None = None
    ) -> RepairsFlowResult:
        """Ask, then note it."""
        for entry in self.hass.config_entries.async_loaded_entries(DOMAIN):
            backups = entry.runtime_data.witness.backups
            if user_input is None:
                self._shown = backups.told
                continue
            with translated():
                await backups.are_gone(self._shown)
        return await super().async_step_confirm(user_input)
