"""What can go wrong when a camera is asked over ONVIF. No message holds an address."""

from collections.abc import Set

from roomwitness.errors import WitnessError


class OnvifError(WitnessError):
    """The device's answer is none that ONVIF knows."""

    key = "onvif_error"


class OnvifFault(OnvifError):
    """The device refuses the request; ``codes`` are the fault's words, in lower case."""

    def __init__(self, codes: Set[str]) -> None:
        super().__init__()
        self.codes = codes


class OnvifUnreachable(OnvifError):
    """No ONVIF service answers at this address."""

    key = "onvif_unreachable"


class OnvifHungUp(OnvifUnreachable):
    """The device took the request and closed the connection without an answer."""


class OnvifAuthFailed(OnvifError):
    """The device refuses the user name or password, or this user may not do that."""

    key = "onvif_auth_failed"


class OnvifNoProfile(OnvifError):
    """The device offers no media profile with a picture that we can record."""

    key = "onvif_no_profile"


class OnvifNoEvents(OnvifError):
    """The device offers no event service."""

    key = "onvif_no_events"
