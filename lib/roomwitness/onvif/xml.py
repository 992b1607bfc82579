"""XML as cameras send it: read by local names, and refused where it could grow or reach out.

Prefixes are cut off, not looked up: cameras use wrong namespaces and prefixes that they never
declare. A document type is refused, so there are no entities to expand (CWE-776) and nothing to
fetch (CWE-611), in whatever encoding it comes: expat sees it after decoding.
"""

import re
from collections.abc import Iterator
from typing import NoReturn
from xml.etree.ElementTree import Element, TreeBuilder
from xml.parsers import expat

_MAX_ELEMENTS = 20_000
_MAX_DEPTH = 100
_STRAY_AMPERSAND = re.compile(r"&(?!(?:#\d+|#x[0-9a-fA-F]+|amp|lt|gt|quot|apos);)")
_NOT_XML = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ufffe\uffff]")


class BadXml(ValueError):
    """No document that we read: broken, too big, too deep, or with a document type."""


class _Refused(BadXml):
    """On purpose: no second try."""


class _Reader:
    def __init__(self) -> None:
        self._builder = TreeBuilder()
        self._depth = self._elements = 0
        self._root: Element | None = None

    def read(self, data: bytes) -> Element:
        parser = expat.ParserCreate()
        parser.buffer_text = True
        parser.StartDoctypeDeclHandler = self._doctype
        parser.StartElementHandler = self._start
        parser.EndElementHandler = self._end
        parser.CharacterDataHandler = self._text
        try:
            parser.Parse(data, True)
        except BadXml:
            raise
        except (expat.ExpatError, LookupError, ValueError) as err:  # The latter: odd encodings.
            if self._root is None:
                raise BadXml(type(err).__name__) from None
        if self._root is None:
            raise BadXml("empty")
        return self._root

    def _start(self, name: str, attributes: dict[str, str]) -> None:
        self._depth += 1
        self._elements += 1
        if self._depth > _MAX_DEPTH or self._elements > _MAX_ELEMENTS:
            raise _Refused("too deep or too many elements")
        self._builder.start(_cut(name), {_cut(key): value for key, value in attributes.items()})

    def _end(self, name: str) -> None:
        element = self._builder.end(_cut(name))
        self._depth -= 1
        if self._depth == 0:
            self._root = element  # What comes behind is the camera's mistake.

    def _text(self, data: str) -> None:
        self._builder.data(data)

    @staticmethod
    def _doctype(*_: object) -> NoReturn:
        raise _Refused("document type")


def read(data: bytes, limit: int = 1 << 20) -> Element:
    """Parse a document of at most ``limit`` bytes; tags and attributes are local names.

    Raises:
        BadXml: it cannot be read, also not with stray ampersands and wrong bytes mended.
    """
    if len(data) > limit:
        raise _Refused("too long")
    data = data.lstrip(b" \t\r\n")
    try:
        return _Reader().read(data)
    except _Refused:
        raise
    except BadXml:
        if b"\x00" in data.rstrip(b"\x00"):
            raise  # UTF-16, or no text at all.
    text = _NOT_XML.sub("", data.decode("utf-8", "replace"))
    return _Reader().read(_STRAY_AMPERSAND.sub("&amp;", text).encode())


def find(element: Element | None, *path: str) -> Element | None:
    """The first element below at this path of local names, each step at any depth."""
    for name in path:
        if element is None:
            return None
        element = next((e for e in element.iter(name) if e is not element), None)
    return element


def text(element: Element | None, *path: str) -> str:
    """Text of the first element at the path, stripped; empty if there is none."""
    found = find(element, *path)
    return (found.text or "").strip() if found is not None else ""


def every(element: Element | None, name: str) -> Iterator[Element]:
    """All elements below with this local name."""
    if element is not None:
        yield from (e for e in element.iter(name) if e is not element)


def _cut(name: str) -> str:
    return name.rpartition(":")[2]
