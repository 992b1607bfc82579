"""A camera's metadata of one segment's time, as lines of JSON (docs/media.md)."""

import base64
import json
from datetime import UTC, datetime

from .sink import SegmentOut
from .timeline import SegmentClock

FORMAT = "roomwitness metadata 1"


class MetadataFile:
    """One file beside a segment, over the same time; raises what its sink raises."""

    def __init__(self, out: SegmentOut, start: datetime, encoding: str) -> None:
        self._out = out
        self._documents = 0
        self._line({"format": FORMAT, "encoding": encoding, "start": _text(start)})

    def add(self, wall: datetime, document: bytes) -> None:
        """Take one document, which belongs to ``wall`` by our clock."""
        self._documents += 1
        try:
            content = {"document": document.decode("utf-8")}
        except UnicodeDecodeError:  # Kept all the same, as it came.
            content = {"base64": base64.b64encode(document).decode()}
        self._line({"time": _text(wall), **content})

    def flush(self, start: datetime) -> None:
        """Make what was taken survive a kill; the segment began at ``start``."""
        self._out.flush(start)

    def close(self, start: datetime, end: datetime, media_seconds: float, lost: int) -> None:
        """Seal the file; ``lost`` packets were missing."""
        self._out.close(
            start=start,
            end=end,
            media_seconds=media_seconds,
            frames=self._documents,
            lost_packets=lost,
            clock_offset_s=None,
            clock=SegmentClock(),  # The segment's own row has what is known of the clocks.
            gaps=(),
        )

    def abort(self) -> None:
        """Let go of it after a failure."""
        self._out.abort()

    def _line(self, content: dict[str, str]) -> None:
        self._out.write(json.dumps(content, ensure_ascii=False).encode() + b"\n")


def _text(time: datetime) -> str:
    return time.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
