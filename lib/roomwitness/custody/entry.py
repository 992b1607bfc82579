"""An entry of the log: one line of JSON, which is the leaf."""

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from .errors import LogTampered

type Field = str | int | float | bool | None


def encode_entry(kind: str, now: datetime, fields: Mapping[str, Field]) -> bytes:
    """The entry's leaf: its line without the newline."""
    entry = {"kind": kind, "time": now.astimezone(UTC).isoformat(), **fields}
    return json.dumps(entry, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()


def decode_entry(line: bytes) -> dict[str, Any]:
    """Read a leaf.

    Raises:
        LogTampered: it is not an entry.
    """
    try:
        entry = json.loads(line)
        str(entry["time"]), str(entry["kind"])
    except ValueError, KeyError, TypeError:
        raise LogTampered("a line is not an entry") from None
    return dict(entry)


def is_entry(line: bytes) -> bool:
    """Whether it is a leaf that can be read."""
    try:
        decode_entry(line)
    except LogTampered:
        return False
    return True
