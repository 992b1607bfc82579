"""A web server in front of an RTSP server: a tunnel's other half, with its own password."""

import asyncio
import base64
import hashlib
import re
import secrets
from contextlib import suppress
from typing import Self


class Gateway:
    """``auth`` is None, ``basic``, ``digest``, or ``once`` (a nonce for each request).

    ``patience`` is after how many requests a POST is ended; a ``status`` other than 200 refuses.
    """

    def __init__(
        self, target: int, *, auth: str | None = None, patience: int = 1000, status: int = 200
    ) -> None:
        self.target, self.auth, self.patience, self.status = target, auth, patience, status
        self.user, self.password = "web", 'w"e\\b'
        self.gets = self.posts = self.refused = 0
        self.port = 0
        self.only_post = False
        self.swallow = 0
        self._nonces: set[str] = set()
        self._ways: dict[str, asyncio.StreamWriter] = {}
        self._server: asyncio.Server | None = None

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    def stop_listening(self) -> None:
        assert self._server is not None
        self._server.close()

    async def __aexit__(self, *_: object) -> None:
        self.stop_listening()
        for way in self._ways.values():
            way.close()

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(ConnectionError, asyncio.IncompleteReadError):
            head = (await reader.readuntil(b"\r\n\r\n")).decode()
            method, target, version = head.split("\r\n")[0].split(" ")
            headers = {
                name.lower(): value.strip()
                for name, _, value in (line.partition(":") for line in head.split("\r\n")[1:])
            }
            assert version == "HTTP/1.0"
            assert headers["host"] == f"127.0.0.1:{self.port}"
            if self.status != 200:
                writer.write(f"HTTP/1.0 {self.status} No\r\n\r\n".encode())
            elif not self._allowed(method, target, headers.get("authorization", "")):
                self.refused += 1
                said = f"HTTP/1.0 401 Unauthorized\r\nWWW-Authenticate: {self._challenge()}\r\n\r\n"
                writer.write(said.encode())
            elif method == "GET":
                await self._get(headers["x-sessioncookie"], writer)
            else:
                assert headers["content-type"] == "application/x-rtsp-tunnelled"
                await self._post(headers["x-sessioncookie"], reader, writer)
        writer.close()

    async def _get(self, cookie: str, writer: asyncio.StreamWriter) -> None:
        self.gets += 1
        down, up = await asyncio.open_connection("127.0.0.1", self.target)
        self._ways[cookie] = up
        writer.write(b"HTTP/1.0 200 OK\r\nContent-Type: application/x-rtsp-tunnelled\r\n\r\n")
        while data := await down.read(1 << 14):
            writer.write(data)
            await writer.drain()

    async def _post(
        self, cookie: str, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        self.posts += 1
        if self.only_post:
            self.stop_listening()
        for _ in range(self.patience):
            data = await reader.read(1 << 12)  # A request comes in one piece here.
            if not data:
                return
            if self.swallow:  # It ends just as the request arrives.
                self.swallow -= 1
                return
            self._ways[cookie].write(base64.b64decode(data, validate=True))
        writer.write(b"HTTP/1.0 200 OK\r\n\r\n")

    def _challenge(self) -> str:
        if self.auth == "basic":
            return 'Basic realm="web"'
        nonce = secrets.token_hex(8)
        self._nonces.add(nonce)
        return f'Digest realm="web", nonce="{nonce}", algorithm=SHA-256, qop="auth"'

    def _allowed(self, method: str, target: str, given: str) -> bool:
        if self.auth is None:
            return True
        if self.auth == "basic":
            token = base64.b64encode(f"{self.user}:{self.password}".encode()).decode()
            return given == f"Basic {token}"
        values = {
            name: (quoted or bare).replace('\\"', '"')
            for name, quoted, bare in re.findall(r'(\w+)=(?:"((?:[^"\\]|\\.)*)"|([^\s,]+))', given)
        }

        def digest(*parts: str) -> str:
            return hashlib.sha256(":".join(parts).encode()).hexdigest()

        nonce = values.get("nonce", "")
        if nonce not in self._nonces or values.get("uri") != target:
            return False
        if self.auth == "once":
            self._nonces.discard(nonce)
        ha1 = digest(self.user, "web", self.password)
        once = (nonce, values["nc"], values["cnonce"], "auth")
        return values["response"] == digest(ha1, *once, digest(method, target))
