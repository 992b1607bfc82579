"""A site in a process of its own, to be killed: ``python -m tests.lib.recording.site``.

Its keys are there already. It records a booking and prints how many segments are sealed.
"""

import asyncio
import sys
from pathlib import Path

from roomwitness.capture import StreamSource
from tests.lib.witness.house import House, booking


async def main(root: str, url: str, user: str, word: str) -> None:
    house = House(Path(root), apart=True)
    witness = await house.started(house.room(StreamSource(url, user, word)))
    await witness.reconcile("r1", [booking(-1, 600)])
    while True:
        await asyncio.sleep(0.1)
        print(witness.status("r1").segments, flush=True)


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
