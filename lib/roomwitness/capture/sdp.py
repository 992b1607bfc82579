"""The parts of a session description (RFC 8866) that a recorder needs."""

import re
from dataclasses import dataclass, field
from urllib.parse import quote, urlsplit

from .errors import StreamProtocolError


@dataclass(frozen=True, slots=True)
class Media:
    """One ``m=`` section. ``control`` is absolute; ``parameters`` are those of ``a=fmtp``.

    ``to_camera`` says that it may go the other way: sound for the camera's loudspeaker (ONVIF
    Streaming Specification, 5.3, writes so; other servers mean the opposite by the same word).
    """

    kind: str
    payload_type: int
    encoding: str
    clock_rate: int
    channels: int
    control: str
    parameters: dict[str, str] = field(default_factory=dict)
    to_camera: bool = False


@dataclass(frozen=True, slots=True)
class Description:
    """A presentation: its own control address and its media."""

    control: str
    media: tuple[Media, ...]

    def of(self, kind: str) -> tuple[Media, ...]:
        """The media of this kind; what is for the camera's loudspeaker comes last."""
        return tuple(sorted((m for m in self.media if m.kind == kind), key=lambda m: m.to_camera))


# RFC 3551, table 4 and 5: what a description may leave out.
_STATIC = {
    0: ("PCMU", 8000), 2: ("G726-32", 8000), 3: ("GSM", 8000), 4: ("G723", 8000),
    8: ("PCMA", 8000), 9: ("G722", 8000), 10: ("L16", 44100), 11: ("L16", 44100),
    14: ("MPA", 90000), 18: ("G729", 8000), 26: ("JPEG", 90000), 32: ("MPV", 90000),
}  # fmt: skip


# What would end an address in a request line.
_UNFIT = re.compile(r"[\x00-\x20\x7f]+")


def parse(text: str, base: str) -> Description:
    """Read a description; ``base`` is Content-Base, Content-Location or the request's address.

    A media section that makes no sense is left out if there is another.

    Raises:
        StreamProtocolError: it is none.
    """
    sections: list[list[str]] = [[]]
    for line in text.lstrip("\ufeff\x00 \r\n").splitlines():
        if line.startswith("m="):
            sections.append([])
        sections[-1].append(line.strip())
    if not sections[0] or not sections[0][0].startswith("v="):
        raise StreamProtocolError("not a session description")
    try:
        media = _all_media(sections[1:], base)
        control = _control(_attribute(sections[0], "control"), base)
    except ValueError, IndexError:
        raise StreamProtocolError("a malformed session description") from None
    return Description(control, media)


def _all_media(sections: list[list[str]], base: str) -> tuple[Media, ...]:
    found, error = [], None
    for lines in sections:
        try:
            found.append(_media(lines, base))
        except (ValueError, IndexError) as err:
            error = err
    if error is not None and not found:
        raise error
    return tuple(found)


def _media(lines: list[str], base: str) -> Media:
    words = lines[0][2:].split()
    payload_type = int(words[3])
    encoding, rate = _STATIC.get(payload_type, ("", 90000))
    channels = 1
    for value in _attributes(lines, "rtpmap"):
        number, _, mapping = value.partition(" ")
        if int(number) == payload_type:
            parts = mapping.strip().split("/")
            encoding, rate = parts[0].upper(), int(parts[1])
            channels = int(parts[2]) if len(parts) > 2 else 1
    parameters: dict[str, str] = {}
    for value in _attributes(lines, "fmtp"):
        number, _, rest = value.partition(" ")
        if int(number) == payload_type:
            for item in rest.split(";"):
                name, _, content = item.strip().partition("=")
                parameters[name.lower()] = content.strip()
    if rate <= 0:
        raise ValueError("a clock that stands still")
    control = _control(_attribute(lines, "control"), base)
    to_camera = "a=sendonly" in lines
    return Media(words[0], payload_type, encoding, rate, channels, control, parameters, to_camera)


def _attributes(lines: list[str], name: str) -> list[str]:
    start = f"a={name}:"
    return [line[len(start) :].strip() for line in lines if line[: len(start)].lower() == start]


def _attribute(lines: list[str], name: str) -> str | None:
    return next(iter(_attributes(lines, name)), None)


def _control(value: str | None, base: str) -> str:
    return resolve(base, value) if value and value != "*" else base


def base(uri: str, given: str) -> str:
    """What control addresses are relative to, by Content-Base or Content-Location; ``uri`` is the
    request's. One without a scheme (``192.168.1.10:554/stream0/``) is an address if it names the
    request's host, and nothing if it does not.

    Raises:
        StreamProtocolError: it is malformed.
    """
    if "://" in given or given.startswith("/"):
        return resolve(uri, given)
    parts = urlsplit(uri)
    try:
        host = urlsplit(f"//{given}").hostname
    except ValueError:
        return uri
    return resolve(uri, f"{parts.scheme}://{given}") if host == parts.hostname else uri


def resolve(base: str, value: str) -> str:
    """RFC 2326, C.1.1, as servers mean it: a relative address is below the base, query and all.

    Raises:
        StreamProtocolError: it is malformed.
    """
    value = _UNFIT.sub(lambda found: quote(found[0]), value)
    try:
        parts = urlsplit(value if "://" in value else base)
    except ValueError:
        raise StreamProtocolError("a malformed address") from None
    if "://" in value:
        return value
    if value.startswith("/"):
        return f"{parts.scheme}://{parts.netloc}{value}"
    return f"{base.rstrip('/')}/{value}"
