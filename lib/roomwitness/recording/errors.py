"""What can go wrong between the two processes."""

from roomwitness.capture import CaptureError
from roomwitness.policy.words import GapCause


class RecorderLost(CaptureError):
    """The recording process ended, and is being started again."""

    key = "recorder_lost"
    cause = GapCause.RESTART
