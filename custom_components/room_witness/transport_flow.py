"""How a camera's media comes, and by which certificate it is known."""

from collections.abc import Awaitable, Callable
from typing import Any

import probatio as vol
from homeassistant.config_entries import ConfigSubentryFlow, SubentryFlowResult
from homeassistant.data_entry_flow import section
from homeassistant.helpers.selector import (
    NumberSelector,
    NumberSelectorConfig,
    NumberSelectorMode,
    SelectSelector,
    SelectSelectorConfig,
    SelectSelectorMode,
)

from roomwitness.capture import CertificateChanged, CertificateUnknown, StreamInfo, Transport

from .const import (
    CONF_FINGERPRINT,
    CONF_STREAM_URL,
    CONF_TRANSPORT,
    CONF_TUNNEL_PORT,
    SECTION_CONNECTION,
)

type Resume = Callable[[], Awaitable[SubentryFlowResult]]

_TRANSPORT = SelectSelector(
    SelectSelectorConfig(
        options=[way.value for way in Transport],
        translation_key=CONF_TRANSPORT,
        mode=SelectSelectorMode.DROPDOWN,
    )
)
PORT = vol.All(
    NumberSelector(NumberSelectorConfig(min=1, max=65535, mode=NumberSelectorMode.BOX)),
    vol.Coerce(int),
)
CONNECTION: dict[Any, Any] = {
    vol.Optional(SECTION_CONNECTION): section(
        vol.Schema(
            {
                vol.Required(CONF_TRANSPORT, default=Transport.AUTOMATIC.value): _TRANSPORT,
                vol.Optional(CONF_TUNNEL_PORT): PORT,
            }
        ),
        {"collapsed": True},
    )
}


def shown_transport(stream: StreamInfo | None, url: str) -> str:
    """How the media comes, in letters that need no translation."""
    if stream is None:
        return "-"
    return stream.transport.upper() + (" + TLS" if url.startswith("rtsps:") else "")


class CertificateSteps(ConfigSubentryFlow):
    """Asks whether a certificate that no authority vouches for is the camera's."""

    def __init__(self) -> None:
        super().__init__()
        self._pin: str | None = None
        self._replaced: str | None = None
        self._shown = ""
        self._resume: Resume

    def _pinned(self, data: dict[str, Any]) -> dict[str, Any]:
        """A camera's data with the confirmed certificate, where it uses one."""
        uses = self._pin is not None and data[CONF_STREAM_URL].startswith("rtsps:")
        bare = {key: value for key, value in data.items() if key != CONF_FINGERPRINT}
        return {**bare, CONF_FINGERPRINT: self._pin} if uses else bare

    async def _async_ask(self, err: CertificateUnknown, resume: Resume) -> SubentryFlowResult:
        """Show the certificate; what was broken off goes on with ``resume``."""
        if isinstance(err, CertificateChanged):
            # Perhaps an authority vouches for the new one: then nobody need be asked.
            self._replaced, self._pin = self._pin, None
            return await resume()
        self._shown, self._resume = err.placeholders["fingerprint"], resume
        if self._replaced is not None:
            return await self.async_step_certificate_changed()
        return await self.async_step_certificate()

    async def async_step_certificate(
        self, user_input: dict[str, Any] | None = None
    ) -> SubentryFlowResult:
        """A certificate that is seen for the first time."""
        if user_input is not None:
            self._pin = self._shown
            return await self._resume()
        return self.async_show_form(
            step_id="certificate",
            description_placeholders={"fingerprint": self._shown},
        )

    async def async_step_certificate_changed(
        self, user_input: dict[str, Any] | None = None
    ) -> SubentryFlowResult:
        """Another one than was confirmed before."""
        if user_input is not None:
            self._pin, self._replaced = self._shown, None
            return await self._resume()
        return self.async_show_form(
            step_id="certificate_changed",
            description_placeholders={
                "fingerprint": self._shown,
                "pinned": self._replaced or "",
            },
        )
