"""The configuration folder before Home Assistant's first start."""

import json
from datetime import UTC, datetime
from pathlib import Path

from .place import TOP, Place

# What the demo needs, instead of default_config, which brings voice, cloud and Bluetooth.
_CONFIGURATION = """\
homeassistant:
  name: Room Witness demo
  unit_system: metric
  country: SE
  time_zone: {zone}
  external_url: "{url}"
  internal_url: "{url}"
config:
frontend:
history:
logbook:
automation: !include automations.yaml
lovelace:
  dashboards:
    room-witness:
      mode: yaml
      title: Room Witness
      icon: mdi:shield-account
      show_in_sidebar: true
      filename: dashboard.yaml
input_button:
  wall_switch_14:
    name: Wall switch, room 14
    icon: mdi:light-switch
input_boolean:
  bulb_12:
    name: Bulb, room 12
template:
  - light:
      - name: Lamp, room 12
        default_entity_id: light.lamp_room_12
        unique_id: lamp_room_12
        state: "{{{{ is_state('input_boolean.bulb_12', 'on') }}}}"
        turn_on:
          - action: input_boolean.turn_on
            target: {{entity_id: input_boolean.bulb_12}}
        turn_off:
          - action: input_boolean.turn_off
            target: {{entity_id: input_boolean.bulb_12}}
logger:
  default: warning
  filters:  # What only camera snapshots and voice use, and a machine may not have.
    haffmpeg.core: ["FFmpeg fails"]
    homeassistant.components.camera.img_util: ["turbojpeg"]
"""

_ROOM = """\
  - type: grid
    column_span: 1
    cards:
      - type: heading
        heading: {title}
        icon: {icon}
        badges:
          - type: entity
            entity: binary_sensor.{room}_problem
            show_state: true
            visibility:
              - condition: state
                entity: binary_sensor.{room}_problem
                state: "on"
      - type: markdown
        content: "{text}"
      - type: tile
        entity: sensor.{room}_state
        name: State
        grid_options: {{columns: 6}}
      - type: tile
        entity: {lamp}
        name: {lamp_name}
        grid_options: {{columns: 6}}
      - type: tile
        entity: switch.{room}_meeting
        name: Meeting
        grid_options: {{columns: 6}}
      - type: tile
        entity: {threat}
        name: {threat_name}
        color: red
        hide_state: true
        tap_action:
          action: perform-action
          perform_action: {threat_action}
          target: {{entity_id: {threat}}}
        grid_options: {{columns: 6}}
      - type: tile
        entity: {next}
        name: {next_name}
        grid_options: {{columns: 6}}
      - type: tile
        entity: sensor.{room}_evidence_held
        name: Evidence held
        grid_options: {{columns: 6}}
      - type: tile
        entity: sensor.{room}_next_erasure
        name: Next erasure
        visibility:
          - condition: state
            entity: sensor.{room}_next_erasure
            state_not: [unknown, unavailable]
        grid_options: {{columns: 6}}
      - type: tile
        entity: sensor.{room}_last_erasure
        name: Last erasure
        visibility:
          - condition: state
            entity: sensor.{room}_last_erasure
            state_not: [unknown, unavailable]
        grid_options: {{columns: 6}}
"""

_DASHBOARD = """\
title: Room Witness
views:
- title: Rooms
  path: rooms
  type: sections
  max_columns: 2
  sections:
"""


def write(place: Place) -> None:
    """Write what is ours in the folder, at each start; what people made in the page stays.

    The integration is linked, so that a changed source is seen.
    """
    config = place.config
    write_server(place, _CONFIGURATION.format(url=place.url, zone=_zone()))
    automations = config / "automations.yaml"
    if not automations.exists():
        automations.write_text("[]\n")
    (config / "dashboard.yaml").write_text(
        _DASHBOARD
        + _ROOM.format(
            title="Room 12",
            icon="mdi:calendar-account",
            room="room_12",
            text="Bound to its calendar: Room Witness itself starts and ends the recording.",
            lamp="light.lamp_room_12",
            lamp_name="Lamp at the door",
            threat="button.room_12_report_threat",
            threat_name="Report threat",
            threat_action="button.press",
            next="sensor.room_12_next_booking",
            next_name="Next booking",
        )
        + _ROOM.format(
            title="Room 14",
            icon="mdi:robot",
            room="room_14",
            text="Driven by two automations made from the blueprints: calendar and wall switch.",
            lamp="binary_sensor.room_14_recording",
            lamp_name="Recording",
            threat="input_button.wall_switch_14",
            threat_name="Wall switch",
            threat_action="input_button.press",
            next="calendar.room_14",
            next_name="Its calendar",
        )
    )
    link = config / "custom_components" / "room_witness"
    link.parent.mkdir(exist_ok=True)
    link.unlink(missing_ok=True)
    link.symlink_to(TOP / "custom_components" / "room_witness")


def _zone() -> str:
    """This machine's time zone, so that the page shows the times that we print."""
    _, found, name = Path("/etc/localtime").resolve().as_posix().partition("/zoneinfo/")
    return name if found else "UTC"


def write_server(place: Place, configuration: str) -> None:
    """A folder in which Home Assistant starts on the place's port and awaits only its user."""
    place.config.mkdir(parents=True, exist_ok=True)
    (place.config / "configuration.yaml").write_text(configuration)
    confirm_http(place.config, place.port)
    _skip_onboarding(place.config)


def confirm_http(config: Path, port: int) -> None:
    """Host and port as if they were confirmed in the page: from YAML they are only a trial."""
    stable = {
        "server_host": ["127.0.0.1"],
        "server_port": port,
        "cors_allowed_origins": [],
        "login_attempts_threshold": -1,
        "ip_ban_enabled": True,
        "ssl_profile": "modern",
        "use_x_frame_options": True,
        "created_at": datetime.now(UTC).isoformat(),
        "error": None,
        "error_message": None,
    }
    data = {"stable": stable, "pending": None, "yaml_migration_done": True}
    _store(config, "http", 2, 2, data)


def _skip_onboarding(config: Path) -> None:
    """All but the user: the others add integrations that fetch packages and look outside."""
    if (config / ".storage" / "onboarding").exists():
        return
    _store(config, "onboarding", 4, 1, {"done": ["core_config", "analytics", "integration"]})


def _store(config: Path, key: str, version: int, minor: int, data: object) -> None:
    store = {"version": version, "minor_version": minor, "key": key, "data": data}
    (config / ".storage").mkdir(exist_ok=True)
    (config / ".storage" / key).write_text(json.dumps(store))
