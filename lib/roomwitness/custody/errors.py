"""What can be wrong with the custody log."""

from collections.abc import Iterator
from contextlib import contextmanager

from roomwitness.errors import WitnessError


class LogTampered(WitnessError):
    """The log does not match its signed checkpoint, or its signature is wrong."""

    key = "log_tampered"


class LogUnwritable(WitnessError):
    """The log's folder cannot be written."""

    key = "log_unwritable"


class LogInUse(LogUnwritable):
    """Another process has the log open: two that append would cut each other's lines."""

    key = "vault_in_use"


class ProofInvalid(WitnessError):
    """A proof or receipt is malformed, or does not hold with the key given."""

    key = "proof_invalid"


class TimestampInvalid(WitnessError):
    """A timestamp is malformed, of something else, or not by whom it should be."""

    key = "timestamp_invalid"


@contextmanager
def own_errors() -> Iterator[None]:
    """Raise what the disk refuses as ``LogUnwritable``."""
    try:
        yield
    except OSError as err:
        raise LogUnwritable(f"errno {err.errno}") from None
