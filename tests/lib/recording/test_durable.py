"""What is synced while it is recorded: what was asked for, again and again, and nothing else."""

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from roomwitness import files
from roomwitness.policy.words import GapCause
from roomwitness.recording import durable
from roomwitness.recording.host import Job, RecordingHost
from roomwitness.recording.messages import Durable, News, Sealed, Status
from roomwitness.vault.store import Vault
from tests.camera import Camera, CameraConfig
from tests.lib.witness.house import House, until

from .conftest import recorder


class Synced:
    """What was synced since the last look."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.names: list[str] = []
        self._real = files.sync
        monkeypatch.setattr(files, "sync", self._sync)
        monkeypatch.setattr(durable, "SYNC_EVERY_S", 0.1)

    def _sync(self, path: Path) -> None:
        self._real(path)
        self.names.append(path.name)

    async def some(self) -> list[str]:
        self.names.clear()
        await until(lambda: len(self.names) >= 4)
        return self.names[:]

    async def none(self) -> bool:
        await asyncio.sleep(0.3)  # One that had begun.
        self.names.clear()
        await asyncio.sleep(0.5)
        return not self.names


@pytest.fixture
def synced(monkeypatch: pytest.MonkeyPatch) -> Synced:
    return Synced(monkeypatch)


@pytest.fixture
async def camera() -> AsyncIterator[Camera]:
    async with Camera(CameraConfig(width=160, height=96, gop=5, audio=False)) as found:
        yield found


def segments(vault: Vault) -> Path:
    return vault._segments


def record(
    vault: Vault, host: RecordingHost, camera: Camera, told: list[News], seconds: float
) -> tuple[Job, str]:
    """A job, and its recording's id."""
    recording = vault.begin_recording("m", "c", datetime.now(UTC))
    job = host.record(
        told.append,
        recording_id=recording.id,
        source=camera.source(),
        start=recording.started,
        cause=GapCause.CONNECTING,
        segment_seconds=seconds,
    )
    return job, recording.id


async def test_what_is_open_is_synced_for_as_long_as_it_is_asked_for(
    vault: Vault, host: RecordingHost, camera: Camera, synced: Synced
) -> None:
    news: list[list[News]] = [[], []]
    jobs = [record(vault, host, camera, told, 60.0) for told in news]
    await until(
        lambda: all(any(isinstance(n, Status) and n.status.frames > 5 for n in t) for t in news)
    )
    assert await synced.none()
    (job, mine), (other, _) = jobs
    job.make_durable(True)
    open_files = {p.name for p in (segments(vault) / mine).iterdir()}
    assert {Path(name).suffix for name in open_files} == {".part", ".tail"}
    found = await synced.some()
    assert set(found) == open_files
    assert found[0].endswith(".part"), "what a tail refers to is there before it"
    job.make_durable(False)
    assert await synced.none()
    job.make_durable(True)
    assert set(await synced.some()) == open_files
    job.stop()
    assert await job.over is True
    assert await synced.none()
    other.make_durable(True)
    await synced.some()
    await host.stop()
    assert await synced.none()
    assert vault.recover() == []
    vault.close()


async def test_a_segment_that_ends_meanwhile_is_nothing_to_sync(
    vault: Vault, host: RecordingHost, camera: Camera, synced: Synced
) -> None:
    news: list[News] = []
    job, _ = record(vault, host, camera, news, 0.5)
    job.make_durable(True)
    await until(lambda: sum(isinstance(n, Sealed) for n in news) >= 5)
    assert len(set(await synced.some())) >= 1
    (folder,) = segments(vault).iterdir()
    durable.sync([(folder, (folder / "gone.part", folder / "gone.tail"))])
    job.stop()
    assert await job.over is True
    vault.close()


async def test_what_is_watched_is_on_no_disk_until_it_is_taken(
    vault: Vault, host: RecordingHost, camera: Camera, synced: Synced
) -> None:
    news: list[News] = []
    job = host.watch(news.append, source=camera.source(), seconds=5, segment_seconds=60.0)
    job.make_durable(True)
    while await job.freeze() is None:
        job.thaw()
        await asyncio.sleep(0.1)
    assert await synced.none()
    recording = vault.begin_recording("m", "c", datetime.now(UTC))
    job.take(
        news.append,
        recording_id=recording.id,
        start=recording.started,
        cause=GapCause.CONNECTING,
        keep=True,
    )
    job.make_durable(True)
    assert await synced.some()
    vault.close()


async def test_another_recording_process_is_told_too(
    camera: Camera, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A threat that was reported before the recording process died."""
    told: list[bool] = []
    real = RecordingHost.send

    def send(host: RecordingHost, command: object) -> None:
        if isinstance(command, Durable):
            told.append(command.durable)
        real(host, command)  # type: ignore[arg-type]

    monkeypatch.setattr(RecordingHost, "send", send)
    house = House(tmp_path, apart=True)
    witness = await house.started(house.room(camera.source()))
    await witness.start_meeting("r1")
    await until(lambda: witness.status("r1").segments >= 1)
    assert told == []
    await witness.report_threat("r1")
    assert told == [True]
    (await recorder()).kill()
    await until(lambda: witness.recorder_losses == 1)
    await until(lambda: len(told) > 1)
    assert told == [True, True]
    await witness.stop()
