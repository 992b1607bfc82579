"""A camera: picked from what answered on the network, or by its address."""

from collections.abc import Mapping
from functools import partial
from typing import Any, override

import probatio as vol
from homeassistant.config_entries import ConfigEntryState, SubentryFlowResult
from homeassistant.const import CONF_HOST, CONF_NAME, CONF_PASSWORD, CONF_PORT, CONF_USERNAME
from homeassistant.helpers.selector import (
    BooleanSelector,
    SelectOptionDict,
    SelectSelector,
    SelectSelectorConfig,
    SelectSelectorMode,
    TextSelector,
    TextSelectorConfig,
    TextSelectorType,
)

from roomwitness.capture import CertificateUnknown, StreamInfo, StreamSource, probe
from roomwitness.errors import WitnessError
from roomwitness.onvif import (
    CameraInfo,
    DiscoveredCamera,
    describe,
    endpoint_of,
)

from .const import (
    CONF_AUDIO,
    CONF_ENDPOINT,
    CONF_FINGERPRINT,
    CONF_PROFILE,
    CONF_SERIAL,
    CONF_STREAM_URL,
)
from .discovery import async_look
from .rooms import camera_subentries, onvif_source, stream_source
from .signals_flow import SignalsStep
from .site import WitnessConfigEntry
from .transport_flow import CONNECTION, PORT, CertificateSteps, shown_transport

CONF_FOUND = "found"
_PASSWORD = TextSelector(TextSelectorConfig(type=TextSelectorType.PASSWORD))
_ONVIF = vol.Schema(
    {
        vol.Required(CONF_HOST): TextSelector(),
        vol.Required(CONF_PORT, default=80): PORT,
        vol.Optional(CONF_USERNAME): TextSelector(),
        vol.Optional(CONF_PASSWORD): _PASSWORD,
        **CONNECTION,
    }
)
_STREAM = vol.Schema(
    {
        vol.Required(CONF_STREAM_URL): TextSelector(TextSelectorConfig(type=TextSelectorType.URL)),
        vol.Optional(CONF_USERNAME): TextSelector(),
        vol.Optional(CONF_PASSWORD): _PASSWORD,
        **CONNECTION,
    }
)


class CameraFlow(CertificateSteps, SignalsStep):
    """Find it, ask it, look at its picture, keep it."""

    def __init__(self) -> None:
        super().__init__()
        self._found: dict[str, DiscoveredCamera] = {}
        self._info: CameraInfo | None = None
        self._stream: StreamInfo | None = None
        self._data: dict[str, Any] = {}
        self._suggested: Mapping[str, Any] = {}

    async def async_step_user(self, user_input: dict[str, Any] | None = None) -> SubentryFlowResult:
        """Choose how to name the camera."""
        return self.async_show_menu(step_id="user", menu_options=["discovered", "onvif", "stream"])

    async def async_step_reconfigure(
        self, user_input: dict[str, Any] | None = None
    ) -> SubentryFlowResult:
        """Change address, password, profile or sound of a camera."""
        self._suggested = self._get_reconfigure_subentry().data
        self._pin = self._suggested.get(CONF_FINGERPRINT)
        if CONF_HOST in self._suggested:
            return await self.async_step_onvif()
        return await self.async_step_stream()

    async def async_step_discovered(
        self, user_input: dict[str, Any] | None = None
    ) -> SubentryFlowResult:
        """Show what answered on the network."""
        if user_input is not None:
            camera = self._found[user_input[CONF_FOUND]]
            self._suggested = {
                CONF_HOST: camera.host,
                CONF_PORT: camera.port,
                CONF_NAME: camera.name,
            }
            return await self.async_step_onvif()
        self._found = {f"{c.endpoint} {c.host}:{c.port}": c for c in await async_look(self.hass)}
        known = {
            (s.data.get(CONF_HOST), s.data.get(CONF_PORT))
            for s in camera_subentries(self._get_entry()).values()
        }
        options = [
            SelectOptionDict(
                value=answer, label=f"{c.name or c.hardware or c.host} ({c.host}:{c.port})"
            )
            for answer, c in self._found.items()
            if (c.host, c.port) not in known
        ]
        if not options:
            return await self.async_step_none_found()
        schema = vol.Schema(
            {
                vol.Required(CONF_FOUND): SelectSelector(
                    SelectSelectorConfig(options=options, mode=SelectSelectorMode.LIST)
                )
            }
        )
        return self.async_show_form(step_id="discovered", data_schema=schema)

    async def async_step_none_found(
        self, user_input: dict[str, Any] | None = None
    ) -> SubentryFlowResult:
        """Nobody new answered: look again, or enter an address."""
        return self.async_show_menu(step_id="none_found", menu_options=["discovered", "onvif"])

    async def async_step_onvif(
        self, user_input: dict[str, Any] | None = None
    ) -> SubentryFlowResult:
        """Ask the device for its streams."""
        errors: dict[str, str] = {}
        if user_input is not None:
            user_input[CONF_HOST] = user_input[CONF_HOST].strip()
            source = onvif_source(user_input)
            try:
                info = self._info = await describe(source)
                endpoint = info.endpoint or await endpoint_of(source)
            except WitnessError as err:
                errors["base"] = err.key
            else:
                kept = self._suggested.get(CONF_PROFILE)
                profile = next((p for p in info.profiles if p.token == kept), info.best)
                self._data = {
                    **user_input,
                    CONF_STREAM_URL: profile.url,
                    CONF_PROFILE: profile.token,
                    CONF_ENDPOINT: endpoint,
                    CONF_SERIAL: info.identity.serial,
                    "manufacturer": info.identity.manufacturer,
                    "model": info.identity.model,
                }
                try:
                    errors = await self._try()
                except CertificateUnknown as err:
                    return await self._async_ask(err, partial(self.async_step_onvif, user_input))
                # Where there are several profiles, another may do.
                if not errors or len(info.profiles) > 1:
                    return self._details(errors)
        return self.async_show_form(
            step_id="onvif",
            data_schema=self.add_suggested_values_to_schema(_ONVIF, user_input or self._suggested),
            errors=errors,
        )

    async def _try(self) -> dict[str, str]:
        """Look at the stream; gives what is wrong.

        Raises:
            CertificateUnknown: somebody must say whether it is the camera's.
        """
        self._data = self._pinned(self._data)
        try:
            self._stream = await self._look(self._source())
        except CertificateUnknown:
            self._stream = None
            raise
        except WitnessError as err:
            self._stream = None
            return {"base": err.key}
        return {}

    async def _look(self, source: StreamSource) -> StreamInfo:
        """Look at a stream in the recording process: what comes may be hostile, and meetings run.

        Only a site that is not loaded has none.
        """
        entry: WitnessConfigEntry = self._get_entry()
        if entry.state is ConfigEntryState.LOADED:
            return await entry.runtime_data.witness.look(source)
        return await probe(source)

    async def async_step_stream(
        self, user_input: dict[str, Any] | None = None
    ) -> SubentryFlowResult:
        """A camera without ONVIF, by the address of its stream."""
        errors: dict[str, str] = {}
        if user_input is not None:
            self._data = dict(user_input)
            try:
                errors = await self._try()
            except CertificateUnknown as err:
                return await self._async_ask(err, partial(self.async_step_stream, user_input))
            if not errors:
                return self._details(errors)
        return self.async_show_form(
            step_id="stream",
            data_schema=self.add_suggested_values_to_schema(_STREAM, user_input or self._suggested),
            errors=errors,
        )

    async def async_step_details(
        self, user_input: dict[str, Any] | None = None
    ) -> SubentryFlowResult:
        """What to call it, which profile, and whether it may hear."""
        errors: dict[str, str] = {}
        if user_input is not None:
            again = partial(self.async_step_details, dict(user_input))
            name = user_input.pop(CONF_NAME).strip()
            token = user_input.get(CONF_PROFILE)
            if self._info is not None and token is not None:
                url = next(p.url for p in self._info.profiles if p.token == token)
                self._data |= {CONF_STREAM_URL: url}
            self._data |= user_input
            if token is not None:
                try:
                    errors = await self._try()
                except CertificateUnknown as err:
                    return await self._async_ask(err, again)
            if not name:
                errors[CONF_NAME] = "name_missing"
            if not errors:
                return await self.async_ask_signals(name, self._data, self._suggested)
        return self._details(errors)

    def _details(self, errors: dict[str, str]) -> SubentryFlowResult:
        stream, info = self._stream, self._info
        offset = info.clock_offset_s if info is not None else None
        return self.async_show_form(
            step_id="details",
            data_schema=self._details_schema(),
            errors=errors,
            description_placeholders={
                "codec": stream.codec if stream else "-",
                "width": str(stream.width if stream else "-"),
                "height": str(stream.height if stream else "-"),
                "sound": (stream.audio_codec if stream else None) or "-",
                "sound_refused": (stream.sound_refused if stream else None) or "-",
                "transport": shown_transport(stream, self._data[CONF_STREAM_URL]),
                "offset": "-" if offset is None else f"{offset:.1f}",
            },
        )

    def _details_schema(self) -> vol.Schema:
        name = self._suggested.get(CONF_NAME) or self._data.get("model") or ""
        if self.source == "reconfigure":
            name = self._get_reconfigure_subentry().title
        fields: dict[Any, Any] = {vol.Required(CONF_NAME, default=name): TextSelector()}
        if self._info is not None and len(self._info.profiles) > 1:
            options = [SelectOptionDict(value=p.token, label=p.label) for p in self._info.profiles]
            selector = SelectSelector(SelectSelectorConfig(options=options))
            fields[vol.Required(CONF_PROFILE, default=self._data[CONF_PROFILE])] = selector
        offered = self._info is not None and any(p.has_audio for p in self._info.profiles)
        if self._stream.has_audio if self._stream is not None else offered:
            default = bool(self._suggested.get(CONF_AUDIO, False))
            fields[vol.Required(CONF_AUDIO, default=default)] = BooleanSelector()
        return vol.Schema(fields)

    @override
    def async_keep(self, name: str, data: dict[str, Any]) -> SubentryFlowResult:
        """Make the camera's subentry, or change it."""
        if self.source == "reconfigure":
            return self.async_update_and_abort(
                self._get_entry(),
                self._get_reconfigure_subentry(),
                title=name,
                data=data,
            )
        return self.async_create_entry(title=name, data=data)

    def _source(self) -> StreamSource:
        return stream_source(self._data)
