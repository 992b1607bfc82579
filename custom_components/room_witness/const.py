"""Names that several parts of the face share."""

from typing import Final

DOMAIN: Final = "room_witness"

SUBENTRY_CAMERA: Final = "camera"
SUBENTRY_ROOM: Final = "room"

# The site's entry.
CONF_VAULT: Final = "vault"
CONF_ORIGIN: Final = "origin"
CONF_CUSTODIANS: Final = "custodians"
CONF_MODE: Final = "mode"
# What was chosen when a site's kept keys were taken up, until they follow it.
CONF_CHOSEN_MODE: Final = "chosen_mode"
MODE_ASSISTED: Final = "assisted"
MODE_SEALED: Final = "sealed"

# The site's options.
CONF_TWO_PEOPLE: Final = "two_people"
CONF_ERASE_AT_REVIEW: Final = "erase_at_review"
CONF_DECIDERS: Final = "deciders"
CONF_WITNESSES: Final = "witnesses"
CONF_WITNESS_FOR: Final = "witness_for"
CONF_TSA_URL: Final = "tsa_url"
CONF_TSA_ROOT: Final = "tsa_root"

# A camera's subentry.
CONF_STREAM_URL: Final = "stream_url"
CONF_AUDIO: Final = "audio"
CONF_PROFILE: Final = "profile"
CONF_ENDPOINT: Final = "endpoint"
CONF_SERIAL: Final = "serial"
SECTION_CONNECTION: Final = "connection"
CONF_TRANSPORT: Final = "transport"
CONF_TUNNEL_PORT: Final = "tunnel_port"
CONF_FINGERPRINT: Final = "fingerprint"

CONF_INPUTS: Final = "inputs"
CONF_RELAYS: Final = "relays"
CONF_PANIC_INPUT: Final = "panic_input"
CONF_PANIC_WHEN: Final = "panic_when"

# A room's subentry.
CONF_AREA: Final = "area"
CONF_CAMERAS: Final = "cameras"
CONF_CALENDAR: Final = "calendar"
CONF_LAMP: Final = "lamp"
CONF_LAMP_RELAY: Final = "lamp_relay"
CONF_QUOTA: Final = "quota_gb"
CONF_PRE_ROLL: Final = "pre_roll"
SECTION_TIMES: Final = "times"
CONF_LEAD: Final = "lead"
CONF_LAG: Final = "lag"
CONF_REVIEW_WINDOW: Final = "review_window"
CONF_HOLD_PERIOD: Final = "hold_period"
CONF_MANUAL_LENGTH: Final = "manual_length"
CONF_PREFLIGHT_LEAD: Final = "preflight_lead"
SECTION_LEGAL_FILE: Final = "legal_file"
