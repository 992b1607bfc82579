"""RTSP messages (RFC 2326, 4 to 7) as servers really write them. Pure.

Taken beside what the standard says: bare LF as line end, ``rtsp/1.0`` in small letters, folded
headers, more than one space in the status line.
"""

import re
from dataclasses import dataclass

from .errors import StreamProtocolError

MAX_HEAD = 1 << 14
MAX_BODY = 1 << 17
_MAX_DIGITS = 18
_MAX_START = 2048
_HEAD_END = re.compile(rb"\r?\n\r?\n")
_LINE_END = re.compile(r"\r?\n")
_START = re.compile(
    rb"(?:(?:rtsp|http)/\d|[A-Z_]{3,20} \S+ +rtsp/\d)[^\x00-\x08\x0b-\x1f]*\r?$", re.IGNORECASE
)
# The beginning of a start line whose end has not come yet.
_STARTING = re.compile(
    rb"(?:(?:rtsp|http)/[ -~\x80-\xff]*|r(?:ts?)?|rtsp|h(?:tt?)?|http"
    rb"|[A-Z_]{1,20}(?: [ -~\x80-\xff]*)?)\r?$",
    re.IGNORECASE,
)


@dataclass(frozen=True, slots=True)
class Response:
    """Status, headers (lower-case name, value) in order, and body."""

    status: int
    headers: tuple[tuple[str, str], ...]
    body: bytes

    def all(self, name: str) -> list[str]:
        """Every value of a header."""
        return [value for key, value in self.headers if key == name]

    def get(self, name: str) -> str | None:
        """First value of a header."""
        return next(iter(self.all(name)), None)


@dataclass(frozen=True, slots=True)
class Head:
    """A message up to its body, which begins at ``stop``; ``method`` is None in a response."""

    stop: int
    method: str | None
    status: int
    headers: tuple[tuple[str, str], ...]
    size: int
    cseq: str | None


def begins(buffer: bytearray, at: int, end: int) -> bool | None:
    """Whether a message begins here; None if it may, and more is needed to tell."""
    stop = min(end, at + _MAX_START)
    line = buffer.find(b"\n", at, stop)
    if line >= 0:
        return _START.match(buffer, at, line) is not None
    if stop - at == _MAX_START or _STARTING.match(buffer, at, stop) is None:
        return False
    return None


def head(buffer: bytearray, at: int, end: int) -> Head | None:
    """Read the head that begins here; None if its end has not come yet.

    Raises:
        StreamProtocolError: it has no end, or its numbers are none; or a web server answers.
    """
    found = _HEAD_END.search(buffer, at, end)
    if found is None:
        if end - at > MAX_HEAD:
            raise StreamProtocolError("a header without end")
        return None
    first, headers = _lines(buffer, at, found.start())
    values = dict(headers)
    size = number(values.get("content-length", "0"))
    if size > MAX_BODY:
        raise StreamProtocolError("a body too large")
    words = first.split()
    protocol = words[0].upper()
    if protocol.startswith("HTTP/"):
        raise StreamProtocolError("a web server, not a camera's stream")
    method = None if protocol.startswith("RTSP/") else protocol
    status = number(words[1]) if method is None and len(words) > 1 else 0
    return Head(found.end(), method, status, tuple(headers), size, values.get("cseq"))


def web(buffer: bytearray) -> tuple[Response, int] | None:
    """Read the head of an HTTP answer, and where its body begins; None if it is not whole yet.

    Raises:
        StreamProtocolError: it is none, or it has no end.
    """
    found = _HEAD_END.search(buffer)
    if found is None:
        if len(buffer) > MAX_HEAD or not b"HTTP/".startswith(buffer[:5].upper()):
            raise StreamProtocolError("not an answer of a web server")
        return None
    first, headers = _lines(buffer, 0, found.start())
    words = first.split()
    if len(words) < 2 or not words[0].upper().startswith("HTTP/"):
        raise StreamProtocolError("not an answer of a web server")
    return Response(number(words[1]), tuple(headers), b""), found.end()


def _lines(buffer: bytearray, at: int, stop: int) -> tuple[str, list[tuple[str, str]]]:
    """The start line and the headers."""
    first, *lines = _LINE_END.split(bytes(buffer[at:stop]).decode("utf-8", "replace"))
    headers: list[tuple[str, str]] = []
    for line in lines:
        if line[:1] in (" ", "\t") and headers:  # Folded (RFC 822, 3.1.1).
            headers[-1] = headers[-1][0], f"{headers[-1][1]} {line.strip()}"
        else:
            name, _, value = line.partition(":")
            headers.append((name.strip().lower(), value.strip()))
    return first, headers


def number(text: str) -> int:
    """A decimal number.

    Raises:
        StreamProtocolError: it is none, or has too many digits.
    """
    if not (text.isascii() and text.isdigit() and len(text) <= _MAX_DIGITS):
        raise StreamProtocolError("a malformed message")
    return int(text)
