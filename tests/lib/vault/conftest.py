"""A vault in a folder, and ways to hurt it."""

import multiprocessing
import os
import signal
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from roomwitness.policy.words import Meeting, MeetingState
from roomwitness.vault import Receipt, Recording, Segment, SegmentSummary, age
from roomwitness.vault.erasure import Erased
from roomwitness.vault.store import Vault

T = datetime(2026, 11, 2, 9, 0, tzinfo=UTC)
SITE, CUSTODIAN = age.generate_identity(), age.generate_identity()


@dataclass
class Place:
    """Folders of one vault, and shorthand for what the conductor does with it."""

    root: Path

    @property
    def ephemeral(self) -> Path:
        return self.root / "cache"

    @property
    def held(self) -> Path:
        return self.root / "held"

    @property
    def folder(self) -> Path:
        return self.root / "vault"

    def open(self, min_free: int = 0) -> Vault:
        folders = self.folder, self.ephemeral, self.held
        vault = Vault(*folders, SITE, (CUSTODIAN.recipient,), min_free_bytes=min_free)
        vault.open()
        return vault

    def bytes_everywhere(self) -> bytes:
        return b"".join(p.read_bytes() for p in sorted(self.root.rglob("*")) if p.is_file())


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(tmp_path)


@pytest.fixture
def vault(place: Place) -> Iterator[Vault]:
    opened = place.open()
    yield opened
    opened.close()


def meeting(meeting_id: str = "m1", state: MeetingState = MeetingState.REVIEW) -> Meeting:
    return Meeting(
        id=meeting_id, room_id="r1", state=state, origin="manual", planned_start=T, started=T
    )


def begin(vault: Vault, meeting_id: str = "m1") -> Recording:
    vault.save_meeting(meeting(meeting_id))
    return vault.begin_recording(meeting_id, "c1", T)


def write(vault: Vault, recording: Recording, data: bytes, second: int = 0) -> Segment:
    start = T + timedelta(seconds=second)
    writer = vault.segment_writer(recording.id, start)
    writer.write(data)
    writer.flush()
    return writer.close(summary(second))


def erase_meeting(vault: Vault, of: Meeting, now: datetime, decision: str) -> Receipt:
    """What an erasure is to the vault, without the custody log (witness/erasures.py has both)."""
    done = vault.receipt_of(of.id)
    if done is not None:
        return done
    erased = vault.destroy([of.id])[of.id]
    if not isinstance(erased, Erased):
        raise erased
    receipt = vault.receipt(of, erased, now, decision)
    vault.receive([(receipt, None)])
    return receipt


def summary(second: int = 0) -> SegmentSummary:
    start = T + timedelta(seconds=second)
    return SegmentSummary(
        start=start, end=start + timedelta(seconds=6), media_seconds=6.0, frames=60, lost_packets=0
    )


fork = multiprocessing.get_context("forkserver")
fork.set_forkserver_preload(["tests.lib.vault.conftest"])


def killed_at[*Ts](step: int, work: Callable[[*Ts], None], *args: *Ts) -> bool:
    """Run ``work`` in a child that dies by SIGKILL at its ``step``-th touch of a file, a write
    half done.

    Returns whether it died; False says that the work was done before.
    """
    child = fork.Process(target=_doomed, args=(step, work, args))
    child.start()
    child.join()
    assert child.exitcode in (0, -signal.SIGKILL), "the child failed by itself"
    return child.exitcode != 0


def _doomed(step: int, work: Callable[..., None], args: tuple[object, ...]) -> None:
    left = step
    write, pwrite = os.write, os.pwrite

    def dies() -> bool:
        nonlocal left
        left -= 1
        return left < 0

    def die() -> None:
        os.kill(os.getpid(), signal.SIGKILL)

    def hook(event: str, _args: tuple[object, ...]) -> None:
        if event in ("open", "os.rename", "os.remove", "os.rmdir", "os.mkdir") and dies():
            die()

    def half_write(fd: int, data: memoryview, *at: int) -> int:
        if dies():
            (pwrite if at else write)(fd, data[: len(data) // 2], *at)
            die()
        return (pwrite if at else write)(fd, data, *at)

    sys.addaudithook(hook)
    os.write = os.pwrite = half_write  # type: ignore[assignment]
    work(*args)
    os._exit(0)
