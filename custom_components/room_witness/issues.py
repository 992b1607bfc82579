"""What a person must act on, as Home Assistant's repair issues."""

from collections.abc import Iterable
from typing import TYPE_CHECKING

from homeassistant.core import HomeAssistant, callback
from homeassistant.helpers import issue_registry as ir

from roomwitness.witness import Problem
from roomwitness.witness.devices import CLOCK

from .certificate_repair import ISSUES as CERTIFICATE_ISSUES
from .const import DOMAIN
from .labels import labelled

if TYPE_CHECKING:
    from .site import WitnessConfigEntry

# Problems that keep the site from starting: there is no conductor to name them.
_SETUP = frozenset(
    {
        "site_keys_missing",
        "vault_unwritable",
        "vault_full",
        "vault_in_use",
        "vault_elsewhere",
        "store_error",
    }
)
# Problems that a person can answer for: repairs.py asks.
_FIXABLE = frozenset({"backups_carry_keys", "site_keys_missing"})
# What stands while there is no entry at work, also after a restart, until one is set up.
UNHELD_LEFT, SITE_DISABLED = "unheld_left", "site_disabled"
_LASTING = frozenset({UNHELD_LEFT, SITE_DISABLED})
_LEARN_MORE = "https://github.com/room-witness/room-witness/blob/main/docs/troubleshooting.md"


@callback
def async_set(hass: HomeAssistant, key: str, *, active: bool, **placeholders: str) -> None:
    """Show or take away an issue of the site as a whole."""
    if active:
        _create(hass, key, key, placeholders)
    else:
        ir.async_delete_issue(hass, DOMAIN, key)


@callback
def async_clear(hass: HomeAssistant) -> None:
    """Nobody looks after anything any more: take every issue away."""
    for domain, issue_id in tuple(ir.async_get(hass).issues):
        if domain == DOMAIN:
            ir.async_delete_issue(hass, DOMAIN, issue_id)


@callback
def async_clear_setup(hass: HomeAssistant) -> None:
    """The site has started: nothing keeps it from that."""
    for key in _SETUP:
        ir.async_delete_issue(hass, DOMAIN, key)


@callback
def async_show(hass: HomeAssistant, entry: WitnessConfigEntry, problems: Iterable[Problem]) -> None:
    """Make the issues that stand be these, and no others."""
    wanted = {_id(problem): problem for problem in problems}
    registry = ir.async_get(hass)
    shown = {
        issue_id: issue.translation_placeholders
        for (domain, issue_id), issue in registry.issues.items()
        if domain == DOMAIN and issue.active
    }
    for issue_id in shown.keys() - wanted.keys():
        ir.async_delete_issue(hass, DOMAIN, issue_id)
    for issue_id, problem in wanted.items():
        told = labelled(hass, problem.key, problem.placeholders)
        placeholders = told | _names(entry, problem)
        if issue_id not in shown or shown[issue_id] != placeholders:
            _create(hass, issue_id, problem.key, placeholders, _data(problem, told))


def cameras_of(problems: Iterable[Problem]) -> frozenset[str]:
    """Ids of the cameras that something is wrong with."""
    return frozenset(p.camera_id for p in problems if p.camera_id is not None)


def _id(problem: Problem) -> str:
    parts = (problem.key, problem.room_id, problem.camera_id, problem.hold_id)
    return "_".join(part for part in parts if part is not None)


def _names(entry: WitnessConfigEntry, problem: Problem) -> dict[str, str]:
    """The names by which people know room and camera.

    Of a room that is removed only its id is left; lists and the custody log have it too.
    """
    names = {"room": problem.room_id, "camera": problem.camera_id}
    return {
        word: entry.subentries[each].title if each in entry.subentries else each
        for word, each in names.items()
        if each is not None
    }


def _data(problem: Problem, told: dict[str, str]) -> dict[str, str | int | float | None] | None:
    """What a fix flow needs to know; None: a person must act elsewhere."""
    if problem.key in {*CERTIFICATE_ISSUES, CLOCK}:
        return {"key": problem.key, "camera_id": problem.camera_id}
    if problem.hold_id is None:
        return None
    return {
        "key": problem.key,
        "meeting_id": problem.meeting_id,
        "hold_id": problem.hold_id,
        **told,
    }


def _create(
    hass: HomeAssistant,
    issue_id: str,
    key: str,
    placeholders: dict[str, str],
    data: dict[str, str | int | float | None] | None = None,
) -> None:
    ir.async_create_issue(
        hass,
        DOMAIN,
        issue_id,
        data=data,
        is_fixable=key in _FIXABLE or data is not None,
        is_persistent=key in _LASTING,
        severity=ir.IssueSeverity.ERROR,
        translation_key=key,
        translation_placeholders=placeholders,
        learn_more_url=f"{_LEARN_MORE}#{key}",
    )
