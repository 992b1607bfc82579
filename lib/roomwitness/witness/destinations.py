"""A witness that the log's head is sent to (c2sp.org/tlog-witness)."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol

import aiohttp

from roomwitness.custody import CustodyLog, ProofInvalid
from roomwitness.custody.checkpoints import Checkpoints, Kept
from roomwitness.custody.errors import LogTampered
from roomwitness.custody.signing import COSIGNATURE, Checkpoint, parse_vkey, split_note
from roomwitness.custody.submission import PATH, Submission, parse_size, taken_cosignature

from .errors import Disagrees, Refused, Unreachable
from .posting import post

type Run = Callable[..., Awaitable[Any]]
"""Does disk work: a function and its arguments."""


class Heads(Protocol):
    """What of the ledger is sent: the log, and the checkpoints that are kept."""

    @property
    def log(self) -> CustodyLog:
        """The custody log."""
        ...

    @property
    def kept(self) -> Checkpoints:
        """Its checkpoints."""
        ...

    def note(self, kind: str, now: datetime, **fields: str | float | bool | None) -> None:
        """Log something."""
        ...


class Destination(Protocol):
    """Somebody outside who attests a head."""

    @property
    def key(self) -> str:
        """By which it is remembered."""
        ...

    @property
    def name(self) -> str:
        """By which a person knows it."""
        ...

    async def send(self, kept: Kept) -> None:
        """Have it attest this head, and keep what it says.

        Raises:
            Unreachable, Refused, Disagrees, OSError.
        """
        ...


def witness_name(vkey: str) -> str:
    """Name in a witness's verifier key.

    Raises:
        LogTampered: it is no Ed25519 cosigner's key.
    """
    name, _, kind, _ = parse_vkey(vkey)
    if kind != COSIGNATURE:
        raise LogTampered("not a witness's verifier key")
    return name


@dataclass(frozen=True, slots=True, kw_only=True)
class WitnessConfig:
    """Where a witness takes checkpoints (its submission prefix), and its verifier key."""

    url: str
    vkey: str

    @property
    def endpoint(self) -> str:
        """The URL that is posted to."""
        url = self.url.rstrip("/")
        return url if url.endswith(f"/{PATH}") else f"{url}/{PATH}"


class WitnessDestination:
    """One witness over HTTP."""

    def __init__(
        self, config: WitnessConfig, heads: Heads, session: aiohttp.ClientSession, run: Run
    ) -> None:
        self._config = config
        self._heads = heads
        self._session = session
        self._run = run
        self._old = 0
        self.name = witness_name(config.vkey)

    @property
    def key(self) -> str:
        """Its verifier key."""
        return self._config.vkey

    async def send(self, kept: Kept) -> None:
        """Post the head, again from where the witness says that it is, and keep its cosignature."""
        note = await self._run(self._heads.kept.note, kept)
        if self._old > kept.size:
            self._old = 0
        reply = await self._post(note, kept.size)
        if reply.status == 409:
            try:
                seen = parse_size(reply.body)
            except ProofInvalid as err:
                raise Refused(str(err)) from None
            if seen > kept.size or seen == self._old:
                # More than we sent, or the same number with another head.
                raise Disagrees(str(seen))
            self._old = seen
            reply = await self._post(note, kept.size)
        if reply.status == 422:
            raise Disagrees(str(self._old))
        if reply.status >= 500:
            raise Unreachable(f"HTTP {reply.status}")
        if reply.status != 200:
            raise Refused(f"HTTP {reply.status}")
        try:
            line = taken_cosignature(note, reply.body, self._config.vkey)
        except ProofInvalid as err:
            raise Refused(str(err)) from None
        await self._run(self._heads.kept.add_cosignature, kept, line)
        self._old = kept.size

    async def _post(self, note: str, size: int) -> Any:
        proof = await self._run(self._prove, note, min(self._old, size))
        body = Submission(min(self._old, size), tuple(proof), note).body()
        return await post(
            self._session, self._config.endpoint, body, {"Content-Type": "text/plain"}
        )

    def _prove(self, note: str, old: int) -> list[bytes]:
        try:
            return self._heads.log.consistency_to(old, Checkpoint.parse(split_note(note)[0]))
        except LogTampered:
            raise Disagrees(str(old)) from None
