"""What can be wrong with the custody log."""

from roomwitness.errors import WitnessError


class LogTampered(WitnessError):
    """The log does not match its signed checkpoint, or its signature is wrong."""

    key = "log_tampered"


class LogUnwritable(WitnessError):
    """The log's folder cannot be written."""

    key = "log_unwritable"
