"""What the library names by a key, in the words of the form that has it."""

from collections.abc import Mapping

from homeassistant.core import HomeAssistant, callback
from homeassistant.helpers.translation import async_get_cached_translations

from .const import DOMAIN

_KIND = {"kind": "selector.hold_kind.options.{}"}
_LEGAL_FILE = {"fields": "config_subentries.room.step.user.sections.legal_file.data.{}"}
# By the key of an error or a repair: which of its placeholders are keys, and where their words are.
_WORDS = {
    "legal_file_incomplete": _LEGAL_FILE,
    "decision_incomplete": {"fields": "services.decide.fields.{}.name"},
    "transition_not_allowed": {"state": "selector.meeting_state.options.{}"},
    "hold_review_due": _KIND,
    "release_pending": _KIND,
}


@callback
def labelled(hass: HomeAssistant, key: str, placeholders: Mapping[str, str]) -> dict[str, str]:
    """The placeholders of this error or repair as people read them, in Home Assistant's language.

    What has no word stays as it is.
    """
    found = dict(placeholders)
    for name, path in _WORDS.get(key, {}).items():
        if name in found:
            texts = async_get_cached_translations(
                hass, hass.config.language, path.split(".", 1)[0], DOMAIN
            )
            found[name] = ", ".join(
                texts.get(f"component.{DOMAIN}.{path.format(each)}", each)
                for each in found[name].split(", ")
            )
    return found
