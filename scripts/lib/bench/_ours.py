"""Our recording process alone: ``python -m bench._ours``, told by JSON on its input.

Its own worker (capture, vault, encryption, disk), without the one that gives it commands, and that
has begun the recordings (_place.py).
Prints ``ready`` when every camera delivers; at the next line it seals, and prints its recordings.
"""

import asyncio
import json
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from roomwitness.capture import StreamSource
from roomwitness.policy.words import GapCause
from roomwitness.recording.messages import Event, Record, Status, Stop
from roomwitness.recording.worker import Worker


async def _record(told: dict[str, Any]) -> list[tuple[str, float]]:
    delivering: set[int] = set()

    def heard(event: Event) -> None:
        if isinstance(event, Status) and event.status.frames:
            delivering.add(event.job)

    worker, recordings = Worker(Path(told["root"]), heard), told["recordings"]
    for number, (recording_id, started) in enumerate(recordings):
        worker.carry_out(
            Record(
                job=number,
                recording_id=recording_id,
                source=StreamSource(told["url"], **told.get("source", {})),
                start=datetime.fromtimestamp(started, UTC),
                cause=GapCause.CONNECTING,
                segment_seconds=told["segment_seconds"],
            )
        )
        await asyncio.sleep(0.05)
    while len(delivering) < len(recordings):  # noqa: ASYNC110 (a callback adds to it)
        await asyncio.sleep(0.1)
    print("ready", flush=True)
    await asyncio.to_thread(sys.stdin.readline)
    ended = []
    for number, (recording_id, _) in enumerate(recordings):
        ended.append((recording_id, datetime.now(UTC).timestamp()))
        worker.carry_out(Stop(job=number))
    await worker.end()
    return ended


def main() -> None:
    print(json.dumps(asyncio.run(_record(json.loads(sys.stdin.readline())))), flush=True)


if __name__ == "__main__":
    main()
