"""What the rules refuse."""

from roomwitness.errors import WitnessError


class TransitionNotAllowed(WitnessError):
    """The event does not fit the meeting's state."""

    key = "transition_not_allowed"


class HoldNotFound(WitnessError):
    """The meeting has no such open hold."""

    key = "hold_not_found"


class ReviewDateInvalid(WitnessError):
    """A review date must lie ahead."""

    key = "review_date_invalid"


class ReviewNotPutOff(WitnessError):
    """A review date is only put off: an earlier one could end a hold by itself."""

    key = "review_not_put_off"


class ReviewWindowOver(WitnessError):
    """The time in which the meeting could be held is over: it is being erased."""

    key = "review_window_over"


class PersonNeeded(WitnessError):
    """Where two people release, each must be somebody: an automation is not."""

    key = "person_needed"


class TwoPeopleNeeded(WitnessError):
    """The one who placed the hold, or who asked for its release, may not decide it."""

    key = "two_people_needed"


class ReleaseNotAsked(WitnessError):
    """Nobody has asked for this release."""

    key = "release_not_asked"
