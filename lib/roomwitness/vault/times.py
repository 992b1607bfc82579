"""Times in the index: seconds since 1970, UTC."""

from datetime import UTC, datetime


def put(time: datetime | None) -> float | None:
    """As a row has it."""
    return None if time is None else time.timestamp()


def time_of(value: float) -> datetime:
    """As everybody else has it."""
    return datetime.fromtimestamp(value, UTC)


def maybe(value: float | None) -> datetime | None:
    """The same, of what may be none."""
    return None if value is None else time_of(value)
