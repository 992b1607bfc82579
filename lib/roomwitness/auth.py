"""Authentication of HTTP and RTSP: Basic (RFC 7617), Digest (RFC 7616, before it 2069 and 2617)."""

import base64
import hashlib
import re
import secrets
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from unicodedata import normalize
from urllib.parse import quote

# A word by itself, or a word with a value, in quotes or without.
_PART = re.compile(r'([a-zA-Z0-9_*-]+)(?:\s*=\s*(?:"((?:[^"\\]|\\.)*)"|([^\s,]+)))?')


def _md5(data: bytes) -> str:
    return hashlib.md5(data, usedforsecurity=False).hexdigest()


def _sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def _sha512_256(data: bytes) -> str:
    return hashlib.new("sha512_256", data).hexdigest()


# Strongest first: which of several challenges is answered.
_HASHES = {"SHA-512-256": _sha512_256, "SHA-256": _sha256, "MD5": _md5}
_SESSION = "-SESS"


@dataclass(frozen=True, slots=True, repr=False)
class Challenge:
    """A ``WWW-Authenticate`` that we can answer; ``qop`` is None before RFC 2617."""

    scheme: str
    realm: str
    nonce: str = ""
    algorithm: str = "basic"
    session: bool = False
    qop: str | None = None
    opaque: str | None = None
    stale: bool = False
    userhash: bool = False
    utf8: bool = False


def choose(headers: Sequence[str]) -> Challenge | None:
    """The strongest challenge among the headers, or None if we can answer none of them."""
    found = [
        challenge
        for header in headers
        for scheme, values in _split(header)
        if (challenge := _read(scheme, values)) is not None
    ]
    order = [*_HASHES, "basic"]
    return min(found, key=lambda c: order.index(c.algorithm), default=None)


def _split(header: str) -> Iterator[tuple[str, dict[str, str]]]:
    """The challenges of one header, which may hold several (RFC 7235, 4.1)."""
    scheme: str = ""
    values: dict[str, str] = {}
    for word, quoted, bare in _PART.findall(header):
        if not quoted and not bare and word.lower() in ("basic", "digest"):
            yield scheme, values
            scheme, values = word.lower(), {}
        else:
            values.setdefault(word.lower(), re.sub(r"\\(.)", r"\1", quoted) or bare)
    yield scheme, values


def _read(scheme: str, values: dict[str, str]) -> Challenge | None:
    realm, utf8 = values.get("realm", ""), values.get("charset", "").upper() == "UTF-8"
    if scheme == "basic":
        return Challenge(scheme, realm, utf8=utf8)
    algorithm = (values.get("algorithm") or "MD5").upper()
    name = algorithm.removesuffix(_SESSION)
    if scheme != "digest" or name not in _HASHES or not values.get("nonce"):
        return None
    offered = [word.strip().lower() for word in values.get("qop", "").split(",") if word.strip()]
    if offered and not {"auth", "auth-int"} & set(offered):
        return None
    return Challenge(
        scheme,
        realm,
        values["nonce"],
        name,
        session=algorithm.endswith(_SESSION),
        qop=("auth" if "auth" in offered else "auth-int") if offered else None,
        opaque=values.get("opaque"),
        stale=values.get("stale", "").lower() == "true",
        userhash=values.get("userhash", "").lower() == "true",
        utf8=utf8,
    )


class Authorizer:
    """Answers one challenge, request after request.

    Names and passwords may hold any character; they are sent, or hashed, as UTF-8.
    """

    def __init__(self, challenge: Challenge, username: str, password: str) -> None:
        if challenge.utf8:  # RFC 7616, 4; without the promise, as they were typed.
            username, password = normalize("NFC", username), normalize("NFC", password)
        self._challenge = c = challenge
        self._username = username
        self._password = password
        self._nonce = c.nonce
        self._cnonce = secrets.token_hex(16)
        self._count = 0
        if c.scheme == "digest":
            self._secret = self._hash(username, c.realm, password)
            if c.session:  # Once, by the nonces of the first request (RFC 7616, 3.4.2).
                self._secret = self._hash(self._secret, self._nonce, self._cnonce)

    @property
    def nonce(self) -> str:
        """The nonce that the next request is signed with; empty with Basic."""
        return self._nonce

    def informed(self, header: str) -> None:
        """Take an ``Authentication-Info`` (RFC 7616, 3.5): it may name the next nonce."""
        for word, quoted, bare in _PART.findall(header):
            if word.lower() == "nextnonce" and (quoted or bare):
                self._nonce, self._count = re.sub(r"\\(.)", r"\1", quoted) or bare, 0

    def header(self, method: str, uri: str) -> str:
        """Value of ``Authorization`` for this request, which has no body."""
        c = self._challenge
        if c.scheme == "basic":
            token = base64.b64encode(f"{self._username}:{self._password}".encode()).decode()
            return f"Basic {token}"
        entity = [self._hash("")] if c.qop == "auth-int" else []
        target = self._hash(method, uri, *entity)
        self._count += 1
        count = f"{self._count:08x}"
        proof = [count, self._cnonce, c.qop] if c.qop else []
        response = self._hash(self._secret, self._nonce, *proof, target)
        text = [self._name(), _quoted("realm", c.realm), _quoted("nonce", self._nonce)]
        text += [_quoted("uri", uri), _quoted("response", response)]
        if c.qop:
            text += [f"qop={c.qop}", f"nc={count}"]
        if c.qop or c.session:
            text.append(_quoted("cnonce", self._cnonce))
        if c.opaque is not None:
            text.append(_quoted("opaque", c.opaque))
        if c.algorithm != "MD5" or c.session:
            text.append(f"algorithm={c.algorithm}{_SESSION.lower() if c.session else ''}")
        if c.userhash:
            text.append("userhash=true")
        return f"Digest {', '.join(text)}"

    def _name(self) -> str:
        c, name = self._challenge, self._username
        if c.userhash:
            return _quoted("username", self._hash(name, c.realm))
        if (c.utf8 and not name.isascii()) or not name.isprintable():
            return f"username*=UTF-8''{quote(name, safe='')}"
        return _quoted("username", name)

    def _hash(self, *words: str) -> str:
        return _HASHES[self._challenge.algorithm](":".join(words).encode())


def _quoted(name: str, value: str) -> str:
    escaped = value.replace("\\", "\\\\").replace('"', '\\"')
    return f'{name}="{escaped}"'
