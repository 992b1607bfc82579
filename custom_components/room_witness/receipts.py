"""The actions that list erasures and hand out signed receipts and heads of the custody log."""

from datetime import datetime
from typing import Any

import probatio as vol
from homeassistant.core import (
    HomeAssistant,
    ServiceCall,
    ServiceResponse,
    SupportsResponse,
    callback,
)
from homeassistant.helpers import config_validation as cv
from homeassistant.helpers.typing import VolDictType
from homeassistant.util import dt as dt_util

from roomwitness.vault import Receipt

from .const import DOMAIN
from .errors import translated
from .site import async_site

ATTR_RECEIPT, ATTR_SINCE, ATTR_BEFORE = "receipt", "since", "before"
ATTR_LIMIT, ATTR_AFTER = "limit", "after"
PAGE: VolDictType = {
    vol.Optional(ATTR_SINCE): cv.datetime,
    vol.Optional(ATTR_BEFORE): cv.datetime,
    vol.Optional(ATTR_LIMIT, default=50): vol.All(vol.Coerce(int), vol.Range(1, 500)),
    vol.Optional(ATTR_AFTER): cv.string,
}


@callback
def async_setup_receipts(hass: HomeAssistant) -> None:
    """Register them."""

    async def get_receipt(call: ServiceCall) -> ServiceResponse:
        """The file's text, and the name that it should have."""
        name = call.data[ATTR_RECEIPT]
        witness = async_site(hass).witness
        with translated():
            file = await witness.receipt(name)
        return {"file_name": f"{name}.receipt", "file": file}

    async def list_receipts(call: ServiceCall) -> ServiceResponse:
        """A page, the newest first; ``next`` goes on as ``after``."""
        witness = async_site(hass).witness
        with translated():
            receipts, after = await witness.receipts(
                **span(call), after=call.data.get(ATTR_AFTER), limit=call.data[ATTR_LIMIT]
            )
        return {"receipts": [_row(receipt) for receipt in receipts], "next": after}

    async def get_checkpoint(call: ServiceCall) -> ServiceResponse:
        """The custody log's signed head, to be kept elsewhere."""
        witness = async_site(hass).witness
        with translated():
            checkpoint, vkey = await witness.checkpoint()
        return {"checkpoint": checkpoint, "verifier_key": vkey}

    hass.services.async_register(
        DOMAIN,
        "get_checkpoint",
        get_checkpoint,
        vol.Schema({}),
        supports_response=SupportsResponse.ONLY,
    )
    hass.services.async_register(
        DOMAIN,
        "get_receipt",
        get_receipt,
        vol.Schema({vol.Required(ATTR_RECEIPT): cv.string}),
        supports_response=SupportsResponse.ONLY,
    )
    hass.services.async_register(
        DOMAIN,
        "list_receipts",
        list_receipts,
        vol.Schema(PAGE),
        supports_response=SupportsResponse.ONLY,
    )


@callback
def span(call: ServiceCall) -> dict[str, datetime]:
    """``since`` and ``before``, where they are given; without a zone they are local."""
    return {
        key: dt_util.as_utc(call.data[key]) for key in (ATTR_SINCE, ATTR_BEFORE) if key in call.data
    }


def _row(receipt: Receipt) -> dict[str, Any]:
    return {
        "receipt": receipt.id,
        "meeting_id": receipt.meeting_id,
        "room_id": receipt.room_id,
        "erased_at": receipt.erased_at.isoformat(),
        "decision": receipt.decision,
        "recordings": receipt.recordings,
        "segments": receipt.segments,
        "bytes": receipt.bytes,
    }
