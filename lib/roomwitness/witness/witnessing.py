"""This site as a witness for other sites, asked over HTTP by anybody who can reach it."""

import asyncio
from collections.abc import Callable, Sequence
from datetime import datetime
from pathlib import Path

from roomwitness.custody import SiteSigner
from roomwitness.custody.cosignature import cosigner_of, cosigner_vkey
from roomwitness.custody.cosigner import Answer, Cosigner

_WAITING = 8


class Witnessing:
    """Answers one request at a time, beside everything that records, and lets few wait."""

    def __init__(self, folder: Path, site: SiteSigner, clock: Callable[[], datetime]) -> None:
        self._folder = folder
        self._signer = cosigner_of(site)
        self._clock = clock
        self._cosigner: Cosigner | None = None
        self._waiting = 0
        self._one = asyncio.Lock()

    @property
    def vkey(self) -> str:
        """The verifier key that other sites need to check this one's cosignatures."""
        return cosigner_vkey(self._signer)

    def configure(self, vkeys: Sequence[str]) -> None:
        """Cosign logs of these verifier keys and no others; none: answer nobody.

        Raises:
            LogTampered: a key is malformed.
        """
        self._cosigner = Cosigner(self._folder, self._signer, vkeys) if vkeys else None

    async def add_checkpoint(self, body: bytes) -> Answer:
        """Answer a request (c2sp.org/tlog-witness)."""
        if self._cosigner is None:
            return Answer(404)
        if self._waiting >= _WAITING:
            return Answer(503)
        self._waiting += 1
        try:
            async with self._one:
                return await asyncio.to_thread(self._cosigner.add_checkpoint, body, self._clock())
        except OSError:
            return Answer(503)
        finally:
            self._waiting -= 1
