"""Diagnostics: states and counts. No name, address, title, identity or stream is in them."""

from typing import Any

from homeassistant.core import HomeAssistant

from .const import CONF_CALENDAR, CONF_CAMERAS, CONF_LAMP, CONF_LAMP_RELAY
from .rooms import camera_subentries, room_subentries
from .site import WitnessConfigEntry


async def async_get_config_entry_diagnostics(
    hass: HomeAssistant, entry: WitnessConfigEntry
) -> dict[str, Any]:
    """What helps to help, and nothing that says who or where."""
    site = entry.runtime_data
    rooms = []
    for room_id, subentry in sorted(room_subentries(entry).items()):
        status = site.status(room_id)
        rooms.append(
            {
                "state": str(status.state),
                "recording": status.recording,
                "cameras_configured": len(subentry.data.get(CONF_CAMERAS, ())),
                "calendar_bound": CONF_CALENDAR in subentry.data,
                "lamp": CONF_LAMP in subentry.data,
                "lamp_relay": CONF_LAMP_RELAY in subentry.data,
                "evidence_held": status.evidence_held,
                "overdue": status.overdue,
                "segments": status.segments,
                "cameras": sorted(
                    (camera.state, camera.error_key, camera.frames)
                    for camera in status.cameras.values()
                ),
            }
        )
    return {
        "cameras": len(camera_subentries(entry)),
        "custodians": len(site.witness.keys.custodians),
        "recorder_losses": site.witness.recorder_losses,
        "rooms": rooms,
        "sealed": site.witness.keys.stored.sealed,
        "problems": sorted(problem.key for problem in site.witness.problems()),
    }
