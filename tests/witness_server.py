"""A C2SP witness over HTTP, written from c2sp.org/tlog-witness alone: nothing of ours is in it.

Signatures by `cryptography`, proofs by the recursive definition of RFC 6962, section 2.1.2.
"""

import base64
from collections.abc import Iterator
from hashlib import sha256
from types import TracebackType
from typing import Self

from aiohttp import web
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

DASH = "\u2014"


def _identifier(name: str, kind: int, public: bytes) -> bytes:
    return sha256(name.encode() + b"\n" + bytes([kind]) + public).digest()[:4]


def _subproof(m: int, n: int, b: bool, proof: Iterator[bytes], old: bytes) -> tuple[bytes, bytes]:
    """Old and new head of D[n], by reading SUBPROOF(m, D[n], b) backwards."""
    if m == n:
        if b:
            return old, old
        node = next(proof)
        return node, node
    k = 1 << ((n - 1).bit_length() - 1)
    if m <= k:
        was, left = _subproof(m, k, b, proof, old)
        return was, sha256(b"\x01" + left + next(proof)).digest()
    was, right = _subproof(m - k, n - k, False, proof, old)
    left = next(proof)
    return sha256(b"\x01" + left + was).digest(), sha256(b"\x01" + left + right).digest()


def consistent(m: int, n: int, old: bytes, new: bytes, proof: list[bytes]) -> bool:
    if m == 0:
        return not proof
    nodes = iter(proof)
    try:
        was, now = _subproof(m, n, True, nodes, old)
    except StopIteration:
        return False
    return next(nodes, None) is None and (was, now) == (old, new)


class WitnessServer:
    """One witness of logs by verifier key; ``broken`` is a status that it answers instead."""

    def __init__(self, *logs: str, name: str = "witness.example/w1") -> None:
        self.logs = list(logs)
        self.key = Ed25519PrivateKey.generate()
        self.name = name
        self.seen: dict[str, tuple[int, bytes]] = {}
        self.requests: list[bytes] = []
        self.answers: list[int] = []
        self.broken: int | None = None
        self.extra = ""
        self.url = ""
        self.time = 1_800_000_000

    @property
    def vkey(self) -> str:
        public = self.key.public_key().public_bytes_raw()
        identifier = _identifier(self.name, 4, public).hex()
        return f"{self.name}+{identifier}+{base64.b64encode(b'\x04' + public).decode()}"

    async def __aenter__(self) -> Self:
        app = web.Application()
        app.router.add_post("/w/add-checkpoint", self._post)
        self._runner = web.AppRunner(app)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", 0)
        await site.start()
        port = self._runner.addresses[0][1]
        self.url = f"http://127.0.0.1:{port}/w"
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, err: BaseException | None, tb: TracebackType | None
    ) -> None:
        await self._runner.cleanup()

    async def _post(self, request: web.Request) -> web.Response:
        body = await request.read()
        self.requests.append(body)
        answer = web.Response(status=self.broken) if self.broken else self._answer(body.decode())
        self.answers.append(answer.status)
        return answer

    def _answer(self, body: str) -> web.Response:
        head, _, note = body.partition("\n\n")
        first, *lines = head.split("\n")
        old = int(first.removeprefix("old "))
        proof = [base64.b64decode(line) for line in lines]
        text, _, signatures = note.partition("\n\n")
        text += "\n"
        origin, size_line, root_line, *_ = text.split("\n")
        size, root = int(size_line), base64.b64decode(root_line)
        keys = [vkey for vkey in self.logs if vkey.split("+")[0] == origin]
        if not keys:
            return web.Response(status=404)
        if not any(self._signed(text, signatures, vkey) for vkey in keys):
            return web.Response(status=403)
        if old > size:
            return web.Response(status=400)
        known, known_root = self.seen.get(origin, (0, b""))
        if old != known or (known == size and root != known_root):
            return web.Response(
                status=409, body=f"{known}\n".encode(), headers={"Content-Type": "text/x.tlog.size"}
            )
        if not consistent(old, size, known_root, root, proof):
            return web.Response(status=422)
        self.seen[origin] = (size, root)
        self.time += 1
        message = f"cosignature/v1\ntime {self.time}\n{text}".encode()
        blob = _identifier(self.name, 4, self.key.public_key().public_bytes_raw())
        blob += self.time.to_bytes(8) + self.key.sign(message)
        line = f"{DASH} {self.name} {base64.b64encode(blob).decode()}\n"
        return web.Response(text=self.extra + line)

    @staticmethod
    def _signed(text: str, signatures: str, vkey: str) -> bool:
        name, _, encoded = vkey.split("+", 2)
        public = base64.b64decode(encoded)[1:]
        for line in signatures.splitlines():
            _, signer, signature = line.split(" ")
            blob = base64.b64decode(signature)
            if signer == name and blob[:4] == _identifier(name, 1, public):
                try:
                    Ed25519PublicKey.from_public_bytes(public).verify(blob[4:], text.encode())
                except InvalidSignature:
                    continue
                return True
        return False
