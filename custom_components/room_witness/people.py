"""Whose pseudonym it is: Home Assistant's users. The library keeps their ids, erasable."""

import probatio as vol
from homeassistant.core import Context, HomeAssistant, ServiceCall, callback
from homeassistant.exceptions import ServiceValidationError
from homeassistant.helpers import config_validation as cv
from homeassistant.helpers.service import async_register_admin_service

from roomwitness.witness import Witness

from .const import CONF_DECIDERS, DOMAIN
from .errors import translated
from .site import Site, async_site

ATTR_PERSON_ENTITY, ATTR_PSEUDONYM = "person_entity_id", "pseudonym"
_FORGET = vol.Schema(
    vol.All(
        {
            vol.Optional(ATTR_PERSON_ENTITY): cv.entity_domain("person"),
            vol.Optional(ATTR_PSEUDONYM): cv.string,
        },
        cv.has_at_least_one_key(ATTR_PERSON_ENTITY, ATTR_PSEUDONYM),
    )
)


@callback
def pseudonym(witness: Witness, context: Context | None) -> str | None:
    """Who asks; None is an automation or a device."""
    return witness.people.pseudonym(context.user_id if context else None)


async def async_may_decide(site: Site, context: Context | None) -> None:
    """Let pass who may end a hold or hand evidence over.

    That is an administrator, whom the site's options list, and an automation, which an
    administrator has built: it is nobody, and cannot be one of two people.

    Raises:
        ServiceValidationError: it is somebody else.
        HomeAssistantError: the log could not be told whom the options list.
    """
    if context is None or context.user_id is None:
        return
    user = await site.hass.auth.async_get_user(context.user_id)
    if user is not None and user.is_admin:
        return
    deciders = site.entry.options.get(CONF_DECIDERS, ())
    if user is None or not user.is_active or user.id not in deciders:
        raise ServiceValidationError(translation_domain=DOMAIN, translation_key="not_a_decider")
    with translated():  # What the log does not say yet counts for nothing.
        await site.witness.people.set_deciders(deciders)


async def async_names_for(hass: HomeAssistant, context: Context | None) -> bool:
    """Whether whoever asks may be told names: an administrator, or what one has built."""
    if context is None or context.user_id is None:
        return True
    user = await hass.auth.async_get_user(context.user_id)
    return user is not None and user.is_admin


async def async_name(hass: HomeAssistant, witness: Witness, person: str | None) -> str | None:
    """The person's name, while it is known who that is."""
    account = witness.people.account(person)
    user = None if account is None else await hass.auth.async_get_user(account)
    return None if user is None else user.name


@callback
def async_setup_people(hass: HomeAssistant) -> None:
    """Register the action that erases who somebody was."""

    async def forget_person(call: ServiceCall) -> None:
        witness = async_site(hass).witness
        person = call.data.get(ATTR_PSEUDONYM)
        if person is None:
            state = hass.states.get(call.data[ATTR_PERSON_ENTITY])
            account = None if state is None else state.attributes.get("user_id")
            if account is None:
                raise ServiceValidationError(
                    translation_domain=DOMAIN, translation_key="person_has_no_user"
                )
            person = witness.people.known(account)
        by = pseudonym(witness, call.context)
        with translated():
            await witness.people.forget(person, by)

    async_register_admin_service(hass, DOMAIN, "forget_person", forget_person, _FORGET)
