"""One HTTP POST out of the house: bounded in time and size, and following nowhere."""

from collections.abc import Mapping
from dataclasses import dataclass

import aiohttp

from .errors import Unreachable

_TIMEOUT = aiohttp.ClientTimeout(total=30)
_LIMIT = 64 << 10


@dataclass(frozen=True, slots=True)
class Reply:
    """What came back."""

    status: int
    body: bytes
    content_type: str


async def post(
    session: aiohttp.ClientSession, url: str, body: bytes, headers: Mapping[str, str]
) -> Reply:
    """Post it.

    Raises:
        Unreachable: no answer, or one that is too long; the message says which and no address.
    """
    try:
        async with session.post(
            url, data=body, headers=headers, timeout=_TIMEOUT, allow_redirects=False
        ) as response:
            content = await response.content.read(_LIMIT + 1)
            while len(content) <= _LIMIT and (more := await response.content.read(_LIMIT)):
                content += more
            if len(content) > _LIMIT:
                raise Unreachable("the answer is too long")
            return Reply(response.status, content, response.content_type)
    except (aiohttp.ClientError, TimeoutError, OSError, ValueError) as err:
        raise Unreachable(type(err).__name__) from None
