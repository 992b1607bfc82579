"""What can be wrong with the custody log."""

from roomwitness.errors import WitnessError


class LogTampered(WitnessError):
    """The log does not match its signed checkpoint, or its signature is wrong."""

    key = "log_tampered"


class LogUnwritable(WitnessError):
    """The log's folder cannot be written."""

    key = "log_unwritable"


class ProofInvalid(WitnessError):
    """A proof or receipt is malformed, or does not hold with the key given."""

    key = "proof_invalid"


class TimestampInvalid(WitnessError):
    """A timestamp is malformed, of something else, or not by whom it should be."""

    key = "timestamp_invalid"
