"""The root of every error that the library raises on purpose."""

from typing import ClassVar


class WitnessError(Exception):
    """Base of all errors of this library.

    ``key`` is stable and names the translated message (``exceptions.<key>`` in the face).
    ``placeholders`` fill that message; they never hold names, credentials or stream addresses.
    """

    key: ClassVar[str] = "witness_error"

    def __init__(self, message: str = "", **placeholders: str) -> None:
        super().__init__(message or self.key)
        self.placeholders: dict[str, str] = placeholders
