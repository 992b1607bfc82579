"""Who outside attests the custody log, and whose logs this site attests: options, and the view."""

from http import HTTPStatus
from typing import TYPE_CHECKING, Any

import probatio as vol
from aiohttp import web
from homeassistant.config_entries import ConfigEntryState, ConfigFlowResult, OptionsFlow
from homeassistant.core import HomeAssistant, callback
from homeassistant.helpers.aiohttp_client import async_get_clientsession
from homeassistant.helpers.http import KEY_HASS, HomeAssistantView
from homeassistant.helpers.network import NoURLAvailableError, get_url
from homeassistant.helpers.selector import TextSelector, TextSelectorConfig, TextSelectorType
from yarl import URL

from roomwitness.custody import LogTampered
from roomwitness.custody.cosigner import LIMIT, log_key
from roomwitness.custody.errors import TimestampInvalid
from roomwitness.custody.submission import PATH
from roomwitness.custody.timestamp import read_roots
from roomwitness.witness import TimestampConfig, WitnessConfig
from roomwitness.witness.destinations import witness_name

from .const import CONF_TSA_ROOT, CONF_TSA_URL, CONF_WITNESS_FOR, CONF_WITNESSES, DOMAIN

if TYPE_CHECKING:
    from .site import Site

_PREFIX = f"/api/{DOMAIN}/witness"
_LINES = TextSelector(TextSelectorConfig(multiline=True))


@callback
def async_configure(site: Site) -> None:
    """Let the conductor do what the options say now; nothing leaves the house without them."""
    options = site.entry.options
    authority = options.get(CONF_TSA_URL)
    site.witness.outside.configure(
        async_get_clientsession(site.hass),
        tuple(WitnessConfig(**each) for each in options.get(CONF_WITNESSES, ())),
        TimestampConfig(url=authority, root=options.get(CONF_TSA_ROOT, "")) if authority else None,
    )
    site.witness.witnessing.configure(options.get(CONF_WITNESS_FOR, ()))


class WitnessView(HomeAssistantView):
    """Other sites post their checkpoints here (c2sp.org/tlog-witness).

    There is no login: a checkpoint is taken only with the signature of a log that the admin listed.
    """

    url = f"{_PREFIX}/{PATH}"
    name = f"api:{DOMAIN}:witness"
    requires_auth = False

    async def post(self, request: web.Request) -> web.Response:
        """Answer one request of bounded size."""
        entries = request.app[KEY_HASS].config_entries.async_loaded_entries(DOMAIN)
        if not entries:
            return web.Response(status=HTTPStatus.NOT_FOUND)
        body = b""
        async for piece in request.content.iter_chunked(LIMIT):
            body += piece
            if len(body) > LIMIT:
                return web.Response(status=HTTPStatus.REQUEST_ENTITY_TOO_LARGE)
        site: Site = entries[0].runtime_data
        answer = await site.witness.witnessing.add_checkpoint(body)
        return web.Response(
            status=answer.status,
            body=answer.body.encode(),
            headers={"Content-Type": f"{answer.content_type}; charset=utf-8"}
            if answer.content_type == "text/plain"
            else {"Content-Type": answer.content_type},
        )


class OutsideFlow(OptionsFlow):
    """The part of the site's options that is about the world outside."""

    async def async_step_witnesses(
        self, user_input: dict[str, Any] | None = None
    ) -> ConfigFlowResult:
        """Who cosigns this site's log."""
        errors, wrong = {}, ""
        if user_input is not None:
            found = []
            for line in _lines(user_input.get(CONF_WITNESSES, "")):
                try:
                    found.append(_witness(line))
                except ValueError:
                    errors[CONF_WITNESSES], wrong = "witness_invalid", line
            if not errors:
                return self._save(CONF_WITNESSES, found)
        shown = "\n".join(
            f"{each['url']} {each['vkey']}"
            for each in self.config_entry.options.get(CONF_WITNESSES, ())
        )
        return self._ask("witnesses", CONF_WITNESSES, shown, user_input, errors, wrong)

    async def async_step_witnessing(
        self, user_input: dict[str, Any] | None = None
    ) -> ConfigFlowResult:
        """Whose logs this site cosigns."""
        errors, wrong = {}, ""
        if user_input is not None:
            found = []
            for line in _lines(user_input.get(CONF_WITNESS_FOR, "")):
                try:
                    found.append(log_key(line)[1])
                except LogTampered:
                    errors[CONF_WITNESS_FOR], wrong = "log_key_invalid", line
            if not errors:
                return self._save(CONF_WITNESS_FOR, found)
        shown = "\n".join(self.config_entry.options.get(CONF_WITNESS_FOR, ()))
        return self._ask("witnessing", CONF_WITNESS_FOR, shown, user_input, errors, wrong)

    async def async_step_timestamps(
        self, user_input: dict[str, Any] | None = None
    ) -> ConfigFlowResult:
        """Who stamps this site's log."""
        errors = {}
        options = self.config_entry.options
        if user_input is not None:
            found = {key: user_input.get(key, "").strip() for key in (CONF_TSA_URL, CONF_TSA_ROOT)}
            if found[CONF_TSA_URL] and not _is_address(found[CONF_TSA_URL]):
                errors[CONF_TSA_URL] = "address_invalid"
            try:
                if found[CONF_TSA_ROOT]:
                    read_roots(found[CONF_TSA_ROOT])
            except TimestampInvalid:
                errors[CONF_TSA_ROOT] = "certificate_invalid"
            if not errors:
                return self.async_create_entry(data={**options, **found})
        schema = vol.Schema(
            {
                vol.Optional(CONF_TSA_URL): TextSelector(
                    TextSelectorConfig(type=TextSelectorType.URL)
                ),
                vol.Optional(CONF_TSA_ROOT): _LINES,
            }
        )
        return self.async_show_form(
            step_id="timestamps",
            data_schema=self.add_suggested_values_to_schema(schema, user_input or options),
            errors=errors,
        )

    @callback
    def _ask(
        self,
        step: str,
        field: str,
        shown: str,
        user_input: dict[str, Any] | None,
        errors: dict[str, str],
        wrong: str,
    ) -> ConfigFlowResult:
        if self.config_entry.state is not ConfigEntryState.LOADED:
            return self.async_abort(reason="site_not_loaded")
        site: Site = self.config_entry.runtime_data
        schema = vol.Schema({vol.Optional(field): _LINES})
        return self.async_show_form(
            step_id=step,
            data_schema=self.add_suggested_values_to_schema(schema, user_input or {field: shown}),
            errors=errors,
            description_placeholders={
                "log_key": f"`{site.witness.log_vkey}`",
                "witness_key": f"`{site.witness.witnessing.vkey}`",
                "witness_url": f"`{_own_url(self.hass)}{_PREFIX}`",
                "line": wrong,
            },
        )

    @callback
    def _save(self, key: str, value: list[Any]) -> ConfigFlowResult:
        return self.async_create_entry(data={**self.config_entry.options, key: value})


def _lines(text: str) -> list[str]:
    return [line.strip() for line in text.splitlines() if line.strip()]


def _witness(line: str) -> dict[str, str]:
    """URL and verifier key of a witness.

    Raises:
        ValueError: it is not that.
    """
    url, vkey = line.split()
    if not _is_address(url):
        raise ValueError("no such address")
    try:
        witness_name(vkey)
    except LogTampered:
        raise ValueError("no such key") from None
    return {"url": url, "vkey": vkey}


def _is_address(text: str) -> bool:
    try:
        url = URL(text)
    except ValueError:
        return False
    return url.scheme in ("http", "https") and bool(url.host) and url.user is None


def _own_url(hass: HomeAssistant) -> str:
    try:
        return get_url(hass, prefer_external=True)
    except NoURLAvailableError:
        return "https://homeassistant.example"
