"""A timestamp authority that the log's heads are sent to (RFC 3161 over HTTP, section 3.4)."""

import asyncio
from dataclasses import dataclass
from hashlib import sha256

import aiohttp
from yarl import URL

from roomwitness.custody import timestamp
from roomwitness.custody.checkpoints import Kept
from roomwitness.custody.errors import TimestampInvalid

from .destinations import Heads, Run
from .errors import TimestampUnreachable, Unreachable
from .posting import post


@dataclass(frozen=True, slots=True, kw_only=True)
class TimestampConfig:
    """An authority's address, and PEM of the root that its certificates must lead to.

    Without ``root`` what the response carries is taken.
    """

    url: str
    root: str = ""


class TimestampDestination:
    """One authority."""

    def __init__(
        self, config: TimestampConfig, heads: Heads, session: aiohttp.ClientSession, run: Run
    ) -> None:
        self._url = config.url
        self._roots = timestamp.read_roots(config.root) if config.root.strip() else ()
        self._heads = heads
        self._session = session
        self._run = run
        self.name = URL(config.url).host or ""
        self.key = f"timestamp {sha256(f'{config.url} {config.root}'.encode()).hexdigest()}"

    async def send(self, kept: Kept) -> None:
        """Have the head stamped, check the stamp, and keep it."""
        note = (await self._run(self._heads.kept.note, kept)).encode()
        query = timestamp.query(note)
        headers = {"Content-Type": timestamp.REQUEST_TYPE}
        try:
            reply = await post(self._session, self._url, query.body, headers)
        except Unreachable as err:
            raise TimestampUnreachable(str(err)) from None
        if reply.status >= 500 or reply.status == 429:
            raise TimestampUnreachable(f"HTTP {reply.status}")
        if reply.status != 200:
            raise TimestampInvalid(f"HTTP {reply.status}")
        await asyncio.to_thread(timestamp.verify, reply.body, note, self._roots, query.nonce)
        await self._run(self._heads.kept.add_timestamp, kept, reply.body)
