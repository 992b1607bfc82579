"""The action that hands out the signed receipt of an erasure."""

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

from .const import DOMAIN
from .errors import translated

ATTR_RECEIPT = "receipt"


@callback
def async_setup_receipts(hass: HomeAssistant) -> None:
    """Register it."""

    async def get_receipt(call: ServiceCall) -> ServiceResponse:
        """The file's text, and the name that it should have."""
        entries = hass.config_entries.async_loaded_entries(DOMAIN)
        if not entries:
            raise ServiceValidationError(
                translation_domain=DOMAIN, translation_key="site_not_loaded"
            )
        name = call.data[ATTR_RECEIPT]
        with translated():
            file = await entries[0].runtime_data.witness.receipt(name)
        return {"file_name": f"{name}.receipt", "file": file}

    hass.services.async_register(
        DOMAIN,
        "get_receipt",
        get_receipt,
        vol.Schema({vol.Required(ATTR_RECEIPT): cv.string}),
        supports_response=SupportsResponse.ONLY,
    )
