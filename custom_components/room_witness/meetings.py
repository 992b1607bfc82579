"""The action that lists meetings: for custodian and data protection officer; calls are logged."""

from collections.abc import Iterable
from datetime import UTC, datetime

import probatio as vol
from homeassistant.core import (
    Context,
    HomeAssistant,
    ServiceCall,
    ServiceResponse,
    SupportsResponse,
    callback,
)
from homeassistant.exceptions import ServiceValidationError
from homeassistant.helpers import config_validation as cv
from homeassistant.helpers import device_registry as dr
from homeassistant.util.json import JsonObjectType, JsonValueType

from roomwitness.policy.words import Hold, MeetingState
from roomwitness.witness import Listed

from .const import DOMAIN
from .errors import translated
from .people import async_name, async_names_for, pseudonym
from .receipts import ATTR_AFTER, ATTR_LIMIT, PAGE, span
from .rooms import room_subentries
from .site import Site, async_site

ATTR_ROOM, ATTR_STATES = "room", "states"
_LIST = vol.Schema(
    {
        **PAGE,
        vol.Optional(ATTR_ROOM): cv.string,
        vol.Optional(ATTR_STATES, default=list): vol.All(
            cv.ensure_list, [vol.In([state.value for state in MeetingState])]
        ),
    }
)


@callback
def async_setup_meetings(hass: HomeAssistant) -> None:
    """Register it."""

    async def list_meetings(call: ServiceCall) -> ServiceResponse:
        """A page, the newest first; ``next`` goes on as ``after``."""
        site = async_site(hass)
        room = call.data.get(ATTR_ROOM)
        with translated():
            found, after = await site.witness.listings.meetings(
                pseudonym(site.witness, call.context),
                room_id=None if room is None else _room(hass, room),
                states=[MeetingState(state) for state in call.data[ATTR_STATES]],
                **span(call),
                after=call.data.get(ATTR_AFTER),
                limit=call.data[ATTR_LIMIT],
            )
        return {"meetings": await async_rows(site, call.context, found), "next": after}

    hass.services.async_register(
        DOMAIN, "list_meetings", list_meetings, _LIST, supports_response=SupportsResponse.ONLY
    )


@callback
def _room(hass: HomeAssistant, device_id: str) -> str:
    """The room's id, from that of its device."""
    device = dr.async_get(hass).async_get(device_id)
    names = [name for domain, name in device.identifiers if domain == DOMAIN] if device else []
    if len(names) != 1:
        raise ServiceValidationError(translation_domain=DOMAIN, translation_key="room_not_found")
    return names[0]


async def async_rows(
    site: Site, context: Context | None, found: Iterable[Listed]
) -> list[JsonValueType]:
    """As an action answers; who placed a hold is named to administrators, if it is still known."""
    named = await async_names_for(site.hass, context)
    return [await _row(site, each, named=named) for each in found]


async def _row(site: Site, listed: Listed, *, named: bool) -> JsonObjectType:
    meeting, found = listed.meeting, listed.found
    room = room_subentries(site.entry).get(meeting.room_id)
    return {
        "meeting_id": meeting.id,
        "room_id": meeting.room_id,
        "room": None if room is None else room.title,
        "state": str(meeting.state),
        "planned_start": _iso(meeting.planned_start),
        "planned_end": _iso(meeting.planned_end),
        "started": _iso(meeting.started),
        "ended": _iso(meeting.ended),
        "deadline": _iso(meeting.deadline),
        "erased": _iso(meeting.erased),
        "holds": [await _hold(site, hold, named=named) for hold in meeting.open_holds],
        "recordings": found.recordings,
        "segments": found.segments,
        "bytes": found.bytes,
        "media_seconds": round(found.media_seconds, 3),
        "gaps": found.gaps,
        "gap_seconds": round(found.gap_seconds, 3),
        "gap_causes": list(found.gap_causes),
    }


async def _hold(site: Site, hold: Hold, *, named: bool) -> JsonObjectType:
    row: JsonObjectType = {
        "hold_id": hold.id,
        "kind": str(hold.kind),
        "created": _iso(hold.created),
        "review_date": _iso(hold.review_date),
        "release_pending": hold.release_asked is not None,
    }
    for key, person in (
        ("placed_by", hold.placed_by),
        ("release_asked_by", hold.release_asked_by),
    ):
        row[key] = person
        if named:
            row[f"{key}_name"] = await async_name(site.hass, site.witness, person)
    return row


def _iso(moment: datetime | None) -> str | None:
    return None if moment is None else moment.astimezone(UTC).isoformat()
