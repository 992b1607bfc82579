"""The services of ONVIF by their namespaces (as ``GetServices`` names them)."""

from typing import Final

DEVICE: Final = "http://www.onvif.org/ver10/device/wsdl"
MEDIA: Final = "http://www.onvif.org/ver10/media/wsdl"
MEDIA2: Final = "http://www.onvif.org/ver20/media/wsdl"
EVENTS: Final = "http://www.onvif.org/ver10/events/wsdl"
DEVICEIO: Final = "http://www.onvif.org/ver10/deviceIO/wsdl"
RECORDING: Final = "http://www.onvif.org/ver10/recording/wsdl"
SEARCH: Final = "http://www.onvif.org/ver10/search/wsdl"
REPLAY: Final = "http://www.onvif.org/ver10/replay/wsdl"

# Where ``GetCapabilities`` of older devices has the same.
CAPABILITIES: Final = {
    "Device": DEVICE,
    "Media": MEDIA,
    "Events": EVENTS,
    "DeviceIO": DEVICEIO,
    "Recording": RECORDING,
    "Search": SEARCH,
    "Replay": REPLAY,
}
DEVICE_PATH: Final = "/onvif/device_service"
