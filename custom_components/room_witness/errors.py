"""The library's errors as Home Assistant's, translated."""

from collections.abc import Iterator
from contextlib import contextmanager

from homeassistant.core import async_get_hass
from homeassistant.exceptions import HomeAssistantError, ServiceValidationError

from roomwitness.errors import WitnessError
from roomwitness.policy.errors import (
    HoldNotFound,
    PersonNeeded,
    ReleaseNotAsked,
    ReviewDateInvalid,
    ReviewNotPutOff,
    ReviewWindowOver,
    TransitionNotAllowed,
    TwoPeopleNeeded,
)
from roomwitness.witness.errors import (
    KeysDestroyed,
    LegalFileIncomplete,
    MeetingNotFound,
    PageNotFound,
    PersonStillNeeded,
    PersonUnknown,
    ReceiptNotFound,
    RefusedByDisk,
    RefusedByQuota,
    RoomBusy,
    RoomIdle,
    RoomNotFound,
    RoomWithoutCamera,
)

from .const import DOMAIN
from .labels import labelled

_ASKED_WRONGLY = (
    KeysDestroyed,
    LegalFileIncomplete,
    HoldNotFound,
    MeetingNotFound,
    PageNotFound,
    ReceiptNotFound,
    PersonNeeded,
    PersonStillNeeded,
    PersonUnknown,
    RefusedByDisk,
    RefusedByQuota,
    ReleaseNotAsked,
    ReviewDateInvalid,
    ReviewNotPutOff,
    ReviewWindowOver,
    RoomBusy,
    RoomIdle,
    RoomNotFound,
    RoomWithoutCamera,
    TransitionNotAllowed,
    TwoPeopleNeeded,
)


@contextmanager
def translated() -> Iterator[None]:
    """Raise the library's errors as translated ones.

    Raises:
        ServiceValidationError: the request does not fit the room's state.
        HomeAssistantError: it could not be carried out.
    """
    try:
        yield
    except WitnessError as err:
        kind = ServiceValidationError if isinstance(err, _ASKED_WRONGLY) else HomeAssistantError
        raise kind(
            translation_domain=DOMAIN,
            translation_key=err.key,
            translation_placeholders=labelled(async_get_hass(), err.key, err.placeholders),
        ) from err
