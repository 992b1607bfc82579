"""ONVIF metadata over RTP (ONVIF Streaming Specification, 5.1.2.1.1): XML up to the marker."""

from ..sdp import Media
from .base import EmitSound
from .gather import Gatherer

ENCODING = "VND.ONVIF.METADATA"
# A scene description has a few KiB; more than this is dropped, so that it cannot fill memory.
MAX_DOCUMENT_BYTES = 1 << 20


def offered(media: Media) -> bool:
    """Whether this is a metadata stream in plain XML; compressed kinds are left out."""
    return media.kind == "application" and media.encoding == ENCODING


class MetadataDepacketizer(Gatherer):
    """Gives whole documents to ``emit(time, data)``; ``time`` is in RTP ticks."""

    def __init__(self, emit: EmitSound) -> None:
        super().__init__(MAX_DOCUMENT_BYTES)
        self._emit = emit

    def push(self, view: memoryview, start: int, end: int, time: int, marker: bool) -> None:
        """Take one payload."""
        document = self._join(view[start:end], time, marker)
        if document:
            self._emit(time, document)
