"""Subentries as the library wants them."""

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from homeassistant.config_entries import ConfigEntry, ConfigSubentry
from homeassistant.const import CONF_HOST, CONF_PASSWORD, CONF_PORT, CONF_USERNAME

from roomwitness.capture import StreamSource, Transport
from roomwitness.onvif import DeviceId, OnvifSource
from roomwitness.policy.words import RoomPolicy
from roomwitness.witness import CameraConfig, LegalFile, PanicInput, RelayLamp, RoomConfig

from .const import (
    CONF_AUDIO,
    CONF_CALENDAR,
    CONF_CAMERAS,
    CONF_ENDPOINT,
    CONF_ERASE_AT_REVIEW,
    CONF_FINGERPRINT,
    CONF_LAMP_RELAY,
    CONF_PANIC_INPUT,
    CONF_PANIC_WHEN,
    CONF_PRE_ROLL,
    CONF_QUOTA,
    CONF_RELAYS,
    CONF_SERIAL,
    CONF_STREAM_URL,
    CONF_TRANSPORT,
    CONF_TUNNEL_PORT,
    CONF_TWO_PEOPLE,
    SECTION_CONNECTION,
    SECTION_LEGAL_FILE,
    SECTION_TIMES,
    SUBENTRY_CAMERA,
    SUBENTRY_ROOM,
)


def room_subentries(entry: ConfigEntry[Any]) -> dict[str, ConfigSubentry]:
    """Every room's subentry by its id."""
    return {s.subentry_id: s for s in entry.subentries.values() if s.subentry_type == SUBENTRY_ROOM}


def camera_subentries(entry: ConfigEntry[Any]) -> dict[str, ConfigSubentry]:
    """Every camera's subentry by its id."""
    return {
        s.subentry_id: s for s in entry.subentries.values() if s.subentry_type == SUBENTRY_CAMERA
    }


def room_config(entry: ConfigEntry[Any], subentry: ConfigSubentry) -> RoomConfig:
    """One room; a camera that was removed is left out, and counted."""
    cameras, chosen = camera_subentries(entry), subentry.data.get(CONF_CAMERAS, ())
    return RoomConfig(
        id=subentry.subentry_id,
        cameras=tuple(
            camera_config(cameras[camera_id]) for camera_id in chosen if camera_id in cameras
        ),
        cameras_gone=sum(camera_id not in cameras for camera_id in chosen),
        policy=_policy(subentry.data, entry.options),
        legal_file=LegalFile(**subentry.data.get(SECTION_LEGAL_FILE, {})),
        calendar_bound=CONF_CALENDAR in subentry.data,
        quota_bytes=round(quota * 1e9) if (quota := subentry.data.get(CONF_QUOTA)) else None,
        lamp=relay_lamp(subentry.data),
    )


def relay_lamp(room: Mapping[str, Any]) -> RelayLamp | None:
    """The relay output that is a room's lamp, kept as the camera's id, a colon and its token."""
    camera_id, _, token = room.get(CONF_LAMP_RELAY, "").partition(":")
    return RelayLamp(camera_id, token) if token else None


def relay_options(entry: ConfigEntry[Any], chosen: RelayLamp | None) -> dict[str, str]:
    """What a room may choose as its lamp: the relays that its cameras had, and their names.

    The one that it has is among them, also if it is gone: saving the form takes no lamp away.
    """
    cameras = camera_subentries(entry)
    relays = [(key, token) for key, c in cameras.items() for token in c.data.get(CONF_RELAYS, ())]
    if chosen is not None and (chosen.camera_id, chosen.token) not in relays:
        relays.append((chosen.camera_id, chosen.token))
    return {
        f"{key}:{token}": f"{cameras[key].title if key in cameras else key}: {token}"
        for key, token in relays
    }


def stream_source(data: Mapping[str, Any]) -> StreamSource:
    """Where a camera's stream is, how to be let in, and how its media comes."""
    connection = data.get(SECTION_CONNECTION, {})
    return StreamSource(
        data[CONF_STREAM_URL],
        data.get(CONF_USERNAME) or None,
        data.get(CONF_PASSWORD) or None,
        data.get(CONF_AUDIO, False),
        Transport(connection.get(CONF_TRANSPORT, Transport.AUTOMATIC)),
        data.get(CONF_FINGERPRINT),
        connection.get(CONF_TUNNEL_PORT),
    )


def onvif_source(data: Mapping[str, Any]) -> OnvifSource:
    """Where a camera's ONVIF service is, and how to be let in."""
    return OnvifSource(
        data[CONF_HOST],
        data[CONF_PORT],
        data.get(CONF_USERNAME) or None,
        data.get(CONF_PASSWORD) or None,
    )


def camera_config(subentry: ConfigSubentry) -> CameraConfig:
    """One camera; one that is known by its stream alone has no ONVIF service."""
    data = subentry.data
    panic = data.get(CONF_PANIC_INPUT)
    return CameraConfig(
        id=subentry.subentry_id,
        source=stream_source(data),
        onvif=onvif_source(data) if CONF_HOST in data else None,
        device=DeviceId(data.get(CONF_ENDPOINT, ""), data.get(CONF_SERIAL, "")),
        panic=PanicInput(panic, data.get(CONF_PANIC_WHEN) == "open") if panic else None,
    )


def _policy(room: Mapping[str, Any], options: Mapping[str, Any]) -> RoomPolicy:
    times = room.get(SECTION_TIMES, {})
    given: dict[str, Any] = {name: timedelta(**value) for name, value in times.items()}
    return RoomPolicy(
        pre_roll=timedelta(seconds=room.get(CONF_PRE_ROLL, 0)),
        two_people=options.get(CONF_TWO_PEOPLE, False),
        erase_at_review=options.get(CONF_ERASE_AT_REVIEW, False),
        **given,
    )
