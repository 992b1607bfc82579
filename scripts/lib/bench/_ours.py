"""Our recording process alone: ``python -m bench._ours``, told by JSON on its input.

Its own worker (capture, vault, encryption, disk), without the one that gives it commands.
Prints ``ready`` when every camera delivers; at the next line it seals, and prints its recordings.
"""

import asyncio
import json
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from roomwitness.capture import StreamSource
from roomwitness.policy.words import GapCause, Meeting
from roomwitness.recording.messages import Event, Record, Status, Stop
from roomwitness.recording.worker import Worker
from roomwitness.vault import Vault, age


def vault(root: Path, identity: str) -> Vault:
    site = age.Identity.from_string(identity)
    found = Vault(root, root / "ephemeral", root / "held", site, (site.recipient,))
    (root / "ephemeral").mkdir(parents=True, exist_ok=True)
    (root / "held").mkdir(exist_ok=True)
    found.open()
    return found


async def _record(told: dict[str, Any]) -> list[tuple[str, float]]:
    root = Path(told["root"])
    store = vault(root, told["identity"])
    meeting = Meeting(id="bench", room_id="bench", origin="manual", planned_start=datetime.now(UTC))
    store.save_meeting(meeting)
    delivering: set[int] = set()

    def heard(event: Event) -> None:
        if isinstance(event, Status) and event.status.frames:
            delivering.add(event.job)

    worker, recordings = Worker(root, heard), []
    for number in range(told["streams"]):
        now = datetime.now(UTC)
        recording = store.begin_recording(meeting.id, f"camera{number}", now)
        recordings.append(recording.id)
        worker.carry_out(
            Record(
                job=number,
                recording_id=recording.id,
                source=StreamSource(told["url"], **told.get("source", {})),
                start=now,
                cause=GapCause.CONNECTING,
                segment_seconds=told["segment_seconds"],
            )
        )
        await asyncio.sleep(0.05)
    while len(delivering) < told["streams"]:  # noqa: ASYNC110 (a callback adds to it)
        await asyncio.sleep(0.1)
    print("ready", flush=True)
    await asyncio.to_thread(sys.stdin.readline)
    ended = []
    for number, recording_id in enumerate(recordings):
        ended.append((recording_id, datetime.now(UTC).timestamp()))
        worker.carry_out(Stop(job=number))
    await worker.end()
    store.close()
    return ended


def main() -> None:
    print(json.dumps(asyncio.run(_record(json.loads(sys.stdin.readline())))), flush=True)


if __name__ == "__main__":
    main()
