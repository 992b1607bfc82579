"""A vault to measure recordings in, and what is begun there before anything is recorded.

That is Home Assistant's process' work: what it takes is not counted with what records.
"""

from datetime import UTC, datetime
from pathlib import Path

from roomwitness.policy.words import Meeting
from roomwitness.vault import age
from roomwitness.vault.store import Vault


def vault(root: Path, identity: str) -> Vault:
    site = age.Identity.from_string(identity)
    found = Vault(root, root / "ephemeral", root / "held", site, (site.recipient,))
    (root / "ephemeral").mkdir(parents=True, exist_ok=True)
    (root / "held").mkdir(exist_ok=True)
    found.open()
    return found


def begin(root: Path, identity: str, streams: int) -> list[tuple[str, float]]:
    """So many recordings of one meeting: id, and when it begins."""
    now = datetime.now(UTC)
    store = vault(root, identity)
    meeting = Meeting(id="bench", room_id="bench", origin="manual", planned_start=now)
    store.save_meeting(meeting)
    found = [store.begin_recording(meeting.id, f"camera{n}", now) for n in range(streams)]
    store.close()
    return [(recording.id, recording.started.timestamp()) for recording in found]
