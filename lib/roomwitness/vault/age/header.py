"""The textual header (c2sp.org/age, "Header"): read strictly, so that one header has one form."""

import base64
import binascii
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from roomwitness.vault.errors import AgeFormatError

VERSION = b"age-encryption.org/v1"
_COLUMNS = 64
_MAX_LINE = 4096
_MAX_STANZAS = 1024


def b64(data: bytes) -> str:
    """Base64 without padding."""
    return base64.b64encode(data).decode().rstrip("=")


def unb64(text: str) -> bytes:
    """Canonical base64 without padding.

    Raises:
        AgeFormatError: padding, white space, or bits that encode nothing.
    """
    try:
        data = base64.b64decode(text + "=" * (-len(text) % 4), validate=True)
    except ValueError, binascii.Error:
        raise AgeFormatError("bad base64") from None
    if b64(data) != text:
        raise AgeFormatError("base64 is not canonical")
    return data


@dataclass(frozen=True, slots=True)
class Stanza:
    """One recipient's wrapped file key."""

    args: tuple[str, ...]
    body: bytes

    def encode(self) -> bytes:
        """Its lines."""
        text = b64(self.body)
        lines = [text[i : i + _COLUMNS] for i in range(0, len(text), _COLUMNS)]
        if len(text) % _COLUMNS == 0:
            lines.append("")
        return "".join(f"{line}\n" for line in ("-> " + " ".join(self.args), *lines)).encode()


def encode(stanzas: Sequence[Stanza]) -> bytes:
    """The header up to and including the three dashes: what its MAC covers."""
    return VERSION + b"\n" + b"".join(stanza.encode() for stanza in stanzas) + b"---"


def read(readline: Callable[[], bytes]) -> tuple[tuple[Stanza, ...], bytes, bytes]:
    """Give stanzas, the bytes under the MAC, and the MAC.

    Raises:
        AgeFormatError: it is not a header, or not in canonical form.
    """
    if readline() != VERSION + b"\n":
        raise AgeFormatError("not an age v1 file")
    stanzas: list[Stanza] = []
    line = _line(readline)
    while line.startswith("-> "):
        stanzas.append(_stanza(line, readline))
        if len(stanzas) > _MAX_STANZAS:
            raise AgeFormatError("too many stanzas")
        line = _line(readline)
    if not stanzas or not line.startswith("--- "):
        raise AgeFormatError("malformed header")
    if len(stanzas) > 1 and any(stanza.args[0] == "scrypt" for stanza in stanzas):
        raise AgeFormatError("a passphrase stanza stands alone")
    mac = unb64(line[4:])
    if len(mac) != 32:
        raise AgeFormatError("malformed MAC")
    return tuple(stanzas), encode(stanzas), mac


def read_stanza(readline: Callable[[], bytes]) -> Stanza:
    """The next stanza, where nothing else may come.

    Raises:
        AgeFormatError: something else comes, or it is not in canonical form.
    """
    line = _line(readline)
    if not line.startswith("-> "):
        raise AgeFormatError("not a stanza")
    return _stanza(line, readline)


def _stanza(first: str, readline: Callable[[], bytes]) -> Stanza:
    args = tuple(first[3:].split(" "))
    if not all(args) or any(not "!" <= c <= "~" for arg in args for c in arg):
        raise AgeFormatError("bad stanza arguments")
    body = ""
    while True:
        line = _line(readline)
        if len(line) > _COLUMNS:
            raise AgeFormatError("stanza line too long")
        body += line
        if len(line) < _COLUMNS:
            return Stanza(args, unb64(body))


def _line(readline: Callable[[], bytes]) -> str:
    line = readline()
    if not line.endswith(b"\n") or len(line) > _MAX_LINE:
        raise AgeFormatError("malformed header line")
    try:
        return line[:-1].decode("ascii")
    except UnicodeDecodeError:
        raise AgeFormatError("malformed header line") from None
