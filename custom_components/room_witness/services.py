"""The actions for automations, scripts and scenes; each is aimed at rooms."""

import probatio as vol
from homeassistant.components.switch.const import DOMAIN as SWITCH_DOMAIN
from homeassistant.core import HomeAssistant, SupportsResponse, callback
from homeassistant.helpers import config_validation as cv
from homeassistant.helpers.service import async_register_platform_entity_service
from homeassistant.helpers.typing import VolDictType

from roomwitness.policy.words import HoldKind

from .const import DOMAIN

ATTR_KIND, ATTR_REASON, ATTR_MEETING_ID = "kind", "reason", "meeting_id"
ATTR_HOLD_ID, ATTR_REVIEW_DATE = "hold_id", "review_date"

REASON = vol.All(cv.string, vol.Length(min=3, max=500))
_MEETING: VolDictType = {vol.Optional(ATTR_MEETING_ID): cv.string}
_WHICH: VolDictType = {
    **_MEETING,
    vol.Optional(ATTR_HOLD_ID): cv.string,
}
_HOLD: VolDictType = {
    vol.Required(ATTR_KIND): vol.In([kind.value for kind in HoldKind]),
    vol.Required(ATTR_REASON): REASON,
    vol.Optional(ATTR_MEETING_ID): cv.string,
    vol.Optional(ATTR_REVIEW_DATE): cv.datetime,
}
_EXTEND: VolDictType = {
    vol.Required(ATTR_REVIEW_DATE): cv.datetime,
    vol.Required(ATTR_REASON): REASON,
    **_WHICH,
}
_RELEASE: VolDictType = {vol.Required(ATTR_REASON): REASON, **_WHICH}


@callback
def async_setup_services(hass: HomeAssistant) -> None:
    """Register them."""

    def register(
        name: str,
        func: str,
        schema: VolDictType | None = None,
        response: SupportsResponse = SupportsResponse.NONE,
    ) -> None:
        async_register_platform_entity_service(
            hass,
            DOMAIN,
            name,
            entity_domain=SWITCH_DOMAIN,
            func=func,
            schema=schema,
            supports_response=response,
        )

    register("start", "async_start_meeting", response=SupportsResponse.OPTIONAL)
    register("preflight", "async_preflight", response=SupportsResponse.OPTIONAL)
    register("stop", "async_stop_meeting")
    register("report_threat", "async_report_threat", response=SupportsResponse.OPTIONAL)
    register("hold", "async_hold", _HOLD, SupportsResponse.OPTIONAL)
    register("extend", "async_extend", _EXTEND, SupportsResponse.OPTIONAL)
    register("release", "async_release", _RELEASE, SupportsResponse.OPTIONAL)
    register("withdraw_release", "async_withdraw_release", dict(_WHICH), SupportsResponse.OPTIONAL)
    register("hand_over", "async_hand_over", _MEETING, SupportsResponse.OPTIONAL)
    register("list_evidence", "async_list_evidence", response=SupportsResponse.ONLY)
