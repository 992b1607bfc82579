"""What is decided of evidence: by a room's own actions, or by one that names the meeting.

The latter also reaches evidence whose room is removed, which no entity shows any more.
"""

from datetime import datetime

import probatio as vol
from homeassistant.core import (
    HomeAssistant,
    ServiceCall,
    ServiceResponse,
    SupportsResponse,
    callback,
)
from homeassistant.exceptions import ServiceValidationError
from homeassistant.helpers import config_validation as cv
from homeassistant.util import dt as dt_util

from roomwitness.witness import Witness

from .const import DOMAIN
from .errors import translated
from .labels import labelled
from .people import async_may_decide, pseudonym
from .services import ATTR_HOLD_ID, ATTR_MEETING_ID, ATTR_REASON, ATTR_REVIEW_DATE, REASON
from .site import async_site

ATTR_DECISION = "decision"
_NEEDS = {
    "extend": (ATTR_REVIEW_DATE, ATTR_REASON),
    "release": (ATTR_REASON,),
    "withdraw_release": (),
    "hand_over": (),
}
_DECIDE = vol.Schema(
    {
        vol.Required(ATTR_MEETING_ID): cv.string,
        vol.Required(ATTR_DECISION): vol.In(list(_NEEDS)),
        vol.Optional(ATTR_HOLD_ID): cv.string,
        vol.Optional(ATTR_REVIEW_DATE): cv.datetime,
        vol.Optional(ATTR_REASON): REASON,
    }
)


async def extend(
    witness: Witness,
    by: str | None,
    meeting: str,
    review_date: datetime,
    reason: str,
    hold_id: str | None,
) -> ServiceResponse:
    """Put the review of one hold, or of all of a meeting, off."""
    date = dt_util.as_utc(review_date)
    ids = await witness.holds.extend(meeting, date, reason, hold_id, by)
    return {"meeting_id": meeting, "hold_ids": list(ids), "review_date": date.isoformat()}


async def release(
    witness: Witness, by: str | None, meeting: str, reason: str, hold_id: str | None
) -> ServiceResponse:
    """End one hold, or all of a meeting; or ask for it, where two people are needed."""
    done = await witness.holds.release(meeting, reason, hold_id, by)
    return {
        "meeting_id": meeting,
        "released": [each.hold_id for each in done if each.released],
        "pending": [each.hold_id for each in done if not each.released],
    }


async def withdraw(
    witness: Witness, by: str | None, meeting: str, hold_id: str | None
) -> ServiceResponse:
    """Take back a release that waits for its second person."""
    ids = await witness.holds.withdraw(meeting, hold_id, by)
    return {"meeting_id": meeting, "hold_ids": list(ids)}


async def hand_over(witness: Witness, by: str | None, meeting: str) -> ServiceResponse:
    """Note that the police have the evidence; it stays held."""
    await witness.hand_over(meeting, by)
    return {"meeting_id": meeting}


@callback
def async_setup_decisions(hass: HomeAssistant) -> None:
    """Register the action that names the meeting."""

    async def decide(call: ServiceCall) -> ServiceResponse:
        """All of them are for those who may end a hold: no entity is asked what one controls."""
        site = async_site(hass)
        await async_may_decide(site, call.context)
        witness = site.witness
        by, given = pseudonym(witness, call.context), call.data
        meeting, hold_id = given[ATTR_MEETING_ID], given.get(ATTR_HOLD_ID)
        decision = given[ATTR_DECISION]
        if missing := [name for name in _NEEDS[decision] if name not in given]:
            key, fields = "decision_incomplete", {"fields": ", ".join(missing)}
            raise ServiceValidationError(
                translation_domain=DOMAIN,
                translation_key=key,
                translation_placeholders=labelled(hass, key, fields),
            )
        with translated():
            if decision == "extend":
                date, reason = given[ATTR_REVIEW_DATE], given[ATTR_REASON]
                done = await extend(witness, by, meeting, date, reason, hold_id)
            elif decision == "release":
                done = await release(witness, by, meeting, given[ATTR_REASON], hold_id)
            elif decision == "withdraw_release":
                done = await withdraw(witness, by, meeting, hold_id)
            else:
                done = await hand_over(witness, by, meeting)
        await witness.changes.told()
        return done

    hass.services.async_register(
        DOMAIN, "decide", decide, _DECIDE, supports_response=SupportsResponse.OPTIONAL
    )
