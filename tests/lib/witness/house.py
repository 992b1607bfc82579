"""A site in a folder: its keys, rooms, and shorthand for what tests ask of it."""

import asyncio
import json
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from roomwitness.capture import StreamSource
from roomwitness.capture.length import length
from roomwitness.custody import verify_log
from roomwitness.policy.words import Booking, RoomPolicy
from roomwitness.recording.process import in_process, in_thread
from roomwitness.vault.store import Vault
from roomwitness.witness import (
    CameraConfig,
    LegalFile,
    RoomConfig,
    SiteConfig,
    SiteKeys,
    StoredKeys,
    Witness,
    generate_site_keys,
)

ORIGIN = "roomwitness/test"
LEGAL = LegalFile(
    assessment_id="IA-1",
    assessment_date="2026-11-01",
    dpia_reference="D-1",
    disposal_decision="G-7",
    union_reference="MBL-3",
    purpose="protection of staff",
    controller="The municipality",
    contact="dpo@example.org",
)
NOWHERE = StreamSource("rtsp://127.0.0.1:9/nothing")
POLICY = RoomPolicy(review_window=timedelta(seconds=2), preflight_lead=timedelta(seconds=30))


def now() -> datetime:
    return datetime.now(UTC)


def booking(start: float, end: float, uid: str = "b1") -> Booking:
    """A booking from so many seconds from now."""
    moment = now()
    return Booking(
        uid=uid, start=moment + timedelta(seconds=start), end=moment + timedelta(seconds=end)
    )


async def until(condition: Callable[[], object], seconds: float = 60.0) -> None:
    async with asyncio.timeout(seconds):
        while not condition():
            await asyncio.sleep(0.02)


@dataclass
class House:
    root: Path
    keys: SiteKeys = field(default_factory=lambda: generate_site_keys(ORIGIN))
    # Whether cameras are recorded as in Home Assistant: by another process, that takes its time.
    apart: bool = False

    @property
    def keys_file(self) -> Path:
        return self.root / "keys" / "site.json"

    @property
    def stored(self) -> StoredKeys:
        """The keys as the site last had them."""
        return StoredKeys.load(self.keys_file) or self.keys.stored(ORIGIN)

    @property
    def config(self) -> SiteConfig:
        return SiteConfig(
            root=self.root / "vault",
            ephemeral_dir=self.root / "cache",
            held_dir=self.root / "held",
            keys=self.stored,
            keys_file=self.keys_file,
        )

    def witness(self) -> Witness:
        return Witness(
            self.config, segment_seconds=1.0, recording=in_process if self.apart else in_thread
        )

    def room(
        self,
        *sources: StreamSource,
        room_id: str = "r1",
        bound: bool = True,
        policy: RoomPolicy = POLICY,
        legal: LegalFile = LEGAL,
    ) -> RoomConfig:
        """A room with these cameras; without any it has one that nobody answers for."""
        cameras = tuple(
            CameraConfig(id=f"c{i}", source=s) for i, s in enumerate(sources or (NOWHERE,), 1)
        )
        return RoomConfig(
            id=room_id, cameras=cameras, policy=policy, legal_file=legal, calendar_bound=bound
        )

    async def started(self, *rooms: RoomConfig) -> Witness:
        witness = self.witness()
        await witness.start()
        await witness.set_rooms(rooms)
        return witness

    def vault(self) -> Vault:
        """The same vault, looked into from beside; close it."""
        own = self.stored.ring
        folders = self.config.root, self.config.ephemeral_dir, self.config.held_dir
        vault = Vault(*folders, own.site, own.custodians, length=length)
        vault.keys.ring = own
        vault.open()
        return vault

    def log(self) -> list[str]:
        """Kinds of the entries, once the log is verified."""
        folder = self.root / "vault" / "custody"
        assert verify_log(folder).unsigned == 0
        return [json.loads(line)["kind"] for line in (folder / "log.jsonl").open()]

    def entries(self) -> list[dict[str, Any]]:
        """The log's entries as they are now, unverified."""
        path = self.root / "vault" / "custody" / "log.jsonl"
        return [json.loads(line) for line in path.read_text().splitlines()]

    def log_kinds(self) -> list[str]:
        """Kinds of the entries as they are now, unverified."""
        return [entry["kind"] for entry in self.entries()]
