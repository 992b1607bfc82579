"""What the rules refuse."""

from roomwitness.errors import WitnessError


class TransitionNotAllowed(WitnessError):
    """The event does not fit the meeting's state."""

    key = "transition_not_allowed"
