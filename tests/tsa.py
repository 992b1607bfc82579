"""A real timestamp authority: ``openssl ts -reply`` behind a small HTTP server (RFC 3161, 3.4)."""

import asyncio
import subprocess
from pathlib import Path
from types import TracebackType
from typing import Self

from aiohttp import web

_CONFIG = """
[req]
distinguished_name = dn
prompt = no
[dn]
CN = Test root
[ca]
basicConstraints = critical, CA:TRUE
keyUsage = critical, keyCertSign
subjectKeyIdentifier = hash
[tsa]
basicConstraints = critical, CA:FALSE
keyUsage = critical, digitalSignature
extendedKeyUsage = critical, timeStamping
subjectKeyIdentifier = hash
authorityKeyIdentifier = keyid
[ts]
default_tsa = ts_config
[ts_config]
dir = .
serial = serial
crypto_device = builtin
signer_cert = tsa.pem
signer_key = tsa.key
certs = chain.pem
signer_digest = sha256
default_policy = 1.2.3.4.1
digests = sha256, sha512
accuracy = secs:1
ess_cert_id_chain = yes
ess_cert_id_alg = sha256
"""


class Authority:
    """One in a folder of its own; ``broken`` is a status that it answers instead."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.requests: list[bytes] = []
        self.broken: int | None = None
        self.replay: bytes | None = None
        self.last = b""
        self.url = ""
        folder.mkdir()
        (folder / "ts.cnf").write_text(_CONFIG)
        (folder / "serial").write_text("01\n")
        new = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
        days = ["-days", "30", "-config", "ts.cnf"]
        self.openssl(
            *("req", "-x509", *new, *days, "-keyout", "root.key", "-out", "root.pem"),
            *("-subj", "/CN=Test root", "-extensions", "ca"),
        )
        self.openssl(
            *("req", "-new", *new, "-config", "ts.cnf", "-keyout", "tsa.key", "-out", "tsa.csr"),
            *("-subj", "/CN=Test authority"),
        )
        self.openssl(
            *("x509", "-req", "-in", "tsa.csr", "-CA", "root.pem", "-CAkey", "root.key"),
            *("-set_serial", "2", "-days", "30", "-out", "tsa.pem"),
            *("-extfile", "ts.cnf", "-extensions", "tsa"),
        )
        (folder / "chain.pem").write_text(self.root)

    def openssl(self, *words: str) -> str:
        done = subprocess.run(
            ["openssl", *words], cwd=self.folder, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    @property
    def root(self) -> str:
        return (self.folder / "root.pem").read_text()

    def verified(self, data: Path, response: Path) -> str:
        """What ``openssl ts -verify`` says of a timestamp."""
        files = ["-data", str(data), "-in", str(response), "-CAfile", "root.pem"]
        return self.openssl("ts", "-verify", *files)

    def reply(self, query: bytes) -> bytes:
        (self.folder / "query").write_bytes(query)
        self.openssl(
            "ts", "-reply", "-config", "ts.cnf", "-section", "ts_config",
            "-queryfile", "query", "-out", "reply",
        )  # fmt: skip
        return (self.folder / "reply").read_bytes()

    async def __aenter__(self) -> Self:
        app = web.Application()
        app.router.add_post("/tsa", self._post)
        self._runner = web.AppRunner(app)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", 0).start()
        self.url = f"http://127.0.0.1:{self._runner.addresses[0][1]}/tsa"
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, err: BaseException | None, tb: TracebackType | None
    ) -> None:
        await self._runner.cleanup()

    async def _post(self, request: web.Request) -> web.Response:
        assert request.content_type == "application/timestamp-query"
        query = await request.read()
        self.requests.append(query)
        if self.broken is not None:
            return web.Response(status=self.broken)
        self.last = self.replay or await asyncio.to_thread(self.reply, query)
        return web.Response(body=self.last, content_type="application/timestamp-reply")
