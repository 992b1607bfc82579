"""What can go wrong when a camera is asked over ONVIF. No message holds an address."""

from roomwitness.errors import WitnessError


class OnvifError(WitnessError):
    """The device's answer is none that ONVIF knows."""

    key = "onvif_error"


class OnvifUnreachable(OnvifError):
    """No ONVIF service answers at this address."""

    key = "onvif_unreachable"


class OnvifAuthFailed(OnvifError):
    """The device refuses the user name or password."""

    key = "onvif_auth_failed"


class OnvifNoProfile(OnvifError):
    """The device offers no media profile with an H.264 picture."""

    key = "onvif_no_profile"
