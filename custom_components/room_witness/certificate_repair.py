"""The repair of a camera whose certificate is not the confirmed one: is it the camera's?"""

from typing import Any

from homeassistant.components.repairs import RepairsFlow, RepairsFlowResult
from homeassistant.config_entries import ConfigEntry, ConfigSubentry

from roomwitness.capture import presented
from roomwitness.errors import WitnessError

from .const import CONF_FINGERPRINT, DOMAIN
from .rooms import camera_subentries, stream_source

ISSUES = frozenset({"certificate_unknown", "certificate_changed"})


class CertificateFlow(RepairsFlow):
    """Shows the certificate that the camera has now beside the confirmed one."""

    def __init__(self, camera_id: str) -> None:
        self._camera_id = camera_id
        self._shown: str | None = None

    def _camera(self) -> tuple[ConfigEntry[Any], ConfigSubentry] | None:
        for entry in self.hass.config_entries.async_entries(DOMAIN):
            camera = camera_subentries(entry).get(self._camera_id)
            if camera is not None:
                return entry, camera
        return None

    async def async_step_init(self, user_input: dict[str, Any] | None = None) -> RepairsFlowResult:
        """Look at the certificate."""
        found = self._camera()
        if found is None:
            return self.async_abort(reason="camera_gone")
        _, camera = found
        try:
            self._shown = await presented(stream_source(camera.data))
        except WitnessError as err:
            return self.async_abort(reason=err.key)
        if self._shown in (None, camera.data.get(CONF_FINGERPRINT)):
            return (
                self._async_keep()
            )  # An authority vouches for it now, or it is the old one again.
        return await self.async_step_confirm()

    async def async_step_confirm(
        self, user_input: dict[str, Any] | None = None
    ) -> RepairsFlowResult:
        """Ask."""
        if user_input is not None:
            return self._async_keep()
        found = self._camera()
        pinned = found[1].data.get(CONF_FINGERPRINT) if found is not None else None
        return self.async_show_form(
            step_id="confirm",
            description_placeholders={
                "camera": found[1].title if found is not None else "",
                "fingerprint": self._shown or "",
                "pinned": pinned or "-",
            },
        )

    def _async_keep(self) -> RepairsFlowResult:
        found = self._camera()
        if found is None:
            return self.async_abort(reason="camera_gone")
        entry, camera = found
        data = {key: value for key, value in camera.data.items() if key != CONF_FINGERPRINT}
        if self._shown is not None:
            data[CONF_FINGERPRINT] = self._shown
        self.hass.config_entries.async_update_subentry(entry, camera, data=data)
        return self.async_create_entry(data={})
