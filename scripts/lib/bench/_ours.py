"""Our capture alone in a process: ``python -m bench._ours``, told by JSON on its input.

The conductor's own parts (vault, capture's thread, camera sessions), without Home Assistant.
Prints ``ready`` when every camera delivers; at the next line it seals, and prints its recordings.
"""

import json
import sys
import time
from datetime import UTC, datetime
from pathlib import Path

from roomwitness.capture import CaptureHost, StreamSource
from roomwitness.policy.words import GapCause, Meeting
from roomwitness.vault import Vault, age
from roomwitness.witness.session import CameraSession


def vault(root: Path, identity: str) -> Vault:
    site = age.Identity.from_string(identity)
    found = Vault(root, root / "ephemeral", root / "held", site, (site.recipient,))
    (root / "ephemeral").mkdir(parents=True, exist_ok=True)
    (root / "held").mkdir(exist_ok=True)
    found.open()
    return found


def main() -> None:
    told = json.loads(sys.stdin.readline())
    store, host = vault(Path(told["root"]), told["identity"]), CaptureHost()
    now = datetime.now(UTC)
    meeting = Meeting(id="bench", room_id="bench", origin="manual", planned_start=now)
    store.save_meeting(meeting)
    host.start()
    sessions = []
    for number in range(told["streams"]):
        now = datetime.now(UTC)
        recording = store.begin_recording(meeting.id, f"camera{number}", now)
        session = CameraSession(
            vault=store,
            host=host,
            recording_id=recording.id,
            camera_id=recording.camera_id,
            source=StreamSource(told["url"], **told.get("source", {})),
            start=now,
            cause=GapCause.CONNECTING,
            segment_seconds=told["segment_seconds"],
            changed=lambda: None,
            clock_noted=lambda _recording, _event: None,
        )
        session.run()
        sessions.append(session)
        time.sleep(0.05)
    while not all(s.status_now is not None and s.status_now.frames for s in sessions):
        time.sleep(0.1)
    print("ready", flush=True)
    sys.stdin.readline()
    ended = []
    for session in sessions:
        ended.append((session.recording_id, datetime.now(UTC).timestamp()))
        session.request_stop()
    for session in sessions:
        if session.task is not None:
            session.task.result(30)
    host.stop()
    store.close()
    print(json.dumps(ended), flush=True)


if __name__ == "__main__":
    main()
