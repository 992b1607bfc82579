"""RTSP authentication: Basic (RFC 7617) and Digest with MD5 or SHA-256 (RFC 2069, 2617, 7616)."""

import base64
import re
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import md5, sha256

_FIELD = re.compile(r'([a-zA-Z0-9_-]+)\s*=\s*(?:"((?:[^"\\]|\\.)*)"|([^\s,]+))')


def _md5(data: bytes) -> str:
    return md5(data, usedforsecurity=False).hexdigest()


def _sha256(data: bytes) -> str:
    return sha256(data).hexdigest()


# Strongest first: which of several challenges is answered.
_HASHES = {"SHA-256": _sha256, "MD5": _md5}


@dataclass(frozen=True, slots=True, repr=False)
class Challenge:
    """A ``WWW-Authenticate`` that we can answer."""

    scheme: str
    realm: str
    nonce: str
    algorithm: str
    qop: bool
    opaque: str | None
    stale: bool


def choose(headers: Sequence[str]) -> Challenge | None:
    """The strongest challenge among the headers, or None if we can answer none of them."""
    found = [challenge for header in headers if (challenge := _parse(header)) is not None]
    order = [*_HASHES, "basic"]
    return min(found, key=lambda c: order.index(c.algorithm), default=None)


def _parse(header: str) -> Challenge | None:
    scheme, _, rest = header.strip().partition(" ")
    values = {
        name.lower(): re.sub(r"\\(.)", r"\1", quoted) or bare
        for name, quoted, bare in _FIELD.findall(rest)
    }
    scheme = scheme.lower()
    if scheme == "basic":
        return Challenge("basic", values.get("realm", ""), "", "basic", False, None, False)
    algorithm = values.get("algorithm", "MD5").upper()
    if scheme != "digest" or algorithm not in _HASHES or "nonce" not in values:
        return None
    offered = [word.strip().lower() for word in values.get("qop", "").split(",") if word.strip()]
    if offered and "auth" not in offered:
        return None
    return Challenge(
        scheme,
        values.get("realm", ""),
        values["nonce"],
        algorithm,
        bool(offered),
        values.get("opaque"),
        values.get("stale", "").lower() == "true",
    )


class Authorizer:
    """Answers one challenge, request after request."""

    def __init__(self, challenge: Challenge, username: str, password: str) -> None:
        self._challenge = challenge
        self._username = username
        self._password = password
        self._count = 0

    def header(self, method: str, uri: str) -> str:
        """Value of ``Authorization`` for this request."""
        c = self._challenge
        if c.scheme == "basic":
            token = base64.b64encode(f"{self._username}:{self._password}".encode()).decode()
            return f"Basic {token}"
        digest = _HASHES[c.algorithm]
        ha1 = digest(f"{self._username}:{c.realm}:{self._password}".encode())
        ha2 = digest(f"{method}:{uri}".encode())
        fields = [
            ("username", self._username),
            ("realm", c.realm),
            ("nonce", c.nonce),
            ("uri", uri),
        ]
        if c.qop:
            self._count += 1
            count, cnonce = f"{self._count:08x}", secrets.token_hex(8)
            response = digest(f"{ha1}:{c.nonce}:{count}:{cnonce}:auth:{ha2}".encode())
            extra = f", qop=auth, nc={count}" + _quoted("cnonce", cnonce)
        else:
            response = digest(f"{ha1}:{c.nonce}:{ha2}".encode())
            extra = ""
        text = "".join(_quoted(*f) for f in [*fields, ("response", response)])[2:] + extra
        if c.opaque is not None:
            text += _quoted("opaque", c.opaque)
        if c.algorithm != "MD5":
            text += f", algorithm={c.algorithm}"
        return f"Digest {text}"


def _quoted(name: str, value: str) -> str:
    escaped = value.replace("\\", "\\\\").replace('"', '\\"')
    return f', {name}="{escaped}"'
