"""The worker's own end, in a thread and in this loop: what it is asked, and what of it is gone."""

import asyncio
import logging
import socket
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from roomwitness.capture import StreamSource
from roomwitness.policy.words import GapCause, Meeting
from roomwitness.recording import News, RecordingHost, Sealed, Status
from roomwitness.recording.messages import (
    Answer,
    Begin,
    Cancel,
    Change,
    End,
    Event,
    Freeze,
    Probe,
    Said,
    Stop,
    Take,
    Thaw,
    packed,
    read,
)
from roomwitness.recording.process import in_thread
from roomwitness.recording.service import Service, forward_log
from roomwitness.recording.worker import Worker
from roomwitness.vault import Vault
from tests.camera import Camera, CameraConfig
from tests.lib.witness.house import House, until

AWAY = StreamSource("rtsp://127.0.0.1:9/x")


@pytest.fixture
def vault(house: House) -> Vault:
    found = house.vault()
    found.save_meeting(
        Meeting(id="m", room_id="r", origin="manual", planned_start=datetime.now(UTC))
    )
    return found


@pytest.fixture
def house(tmp_path: Path) -> House:
    found = House(tmp_path)
    found.config.root.mkdir()
    return found


@pytest.fixture
async def host(house: House) -> AsyncIterator[RecordingHost]:
    found = RecordingHost(house.config.root, start=in_thread)
    found.start()
    yield found
    await found.stop()


async def test_a_camera_with_metadata_is_recorded_with_it(
    vault: Vault, host: RecordingHost
) -> None:
    recording = vault.begin_recording("m", "c", datetime.now(UTC))
    news: list[News] = []
    async with Camera(CameraConfig(width=160, height=96, gop=5, metadata=True)) as camera:
        job = host.record(
            news.append,
            recording_id=recording.id,
            source=camera.source(),
            start=recording.started,
            cause=GapCause.CONNECTING,
            segment_seconds=1.0,
        )
        await until(lambda: sum(isinstance(n, Sealed) for n in news) >= 2)
        job.stop()
        assert await job.over is True
    assert vault.metadata(recording.id)
    assert len(vault.segments(recording.id)) >= 2
    vault.close()


async def test_what_comes_for_a_job_that_is_over_changes_nothing(tmp_path: Path) -> None:
    told: list[Event] = []
    worker = Worker(tmp_path, told.append)
    worker.carry_out(Freeze(job=1, request=5))
    assert told == [Answer(request=5)]
    worker.carry_out(Thaw(job=1))
    worker.carry_out(Stop(job=1))
    worker.carry_out(Change(job=1, source=AWAY))
    worker.carry_out(Cancel(request=9))
    now = datetime.now(UTC)
    worker.carry_out(Take(job=1, recording_id="r", start=now, cause=GapCause.CONNECTING, keep=True))
    worker.carry_out(End())
    assert worker.ending
    await worker.end()
    assert told == [Answer(request=5)]


async def test_one_that_records_has_nothing_in_memory(vault: Vault, host: RecordingHost) -> None:
    recording = vault.begin_recording("m", "c", datetime.now(UTC))
    job = host.record(
        lambda _: None,
        recording_id=recording.id,
        source=AWAY,
        start=recording.started,
        cause=GapCause.CONNECTING,
        segment_seconds=1.0,
    )
    assert await job.freeze() is None
    job.thaw()
    await host.stop()
    assert job.over.result() is True, "an end that was asked for"
    gaps = vault.gaps(recording.id)
    assert gaps[-1].cause is GapCause.CAMERA_UNREACHABLE
    vault.close()


async def test_a_vault_that_somebody_else_records_into_is_told(
    vault: Vault, host: RecordingHost
) -> None:
    """The recorder of a Home Assistant that was killed may need a moment."""
    recording = vault.begin_recording("m", "c", datetime.now(UTC))
    news: list[News] = []
    async with Camera(CameraConfig(width=160, height=96, gop=5)) as camera:
        with vault.alone.held(0):
            host.record(
                news.append,
                recording_id=recording.id,
                source=camera.source(),
                start=recording.started,
                cause=GapCause.CONNECTING,
                segment_seconds=1.0,
            )
            await until(
                lambda: any(
                    isinstance(n, Status) and n.status.error_key == "vault_in_use" for n in news
                )
            )
        await until(lambda: any(isinstance(n, Sealed) for n in news))
    await host.stop()
    causes = [gap.cause for gap in vault.gaps(recording.id)]
    assert causes[0] in (GapCause.CONNECTING, GapCause.DISK_FULL)
    vault.close()


async def test_looks_are_broken_off_at_the_end(host: RecordingHost) -> None:
    async with Camera(CameraConfig(width=160, height=96)) as camera:
        await camera.fault("stall")
        asked = asyncio.create_task(host.probe(camera.source()))
        await until(lambda: camera.rtsp.plays)
        await host.stop()
        assert (await asyncio.gather(asked, return_exceptions=True))[0].key == "recorder_lost"  # type: ignore[union-attr]


async def test_an_end_without_a_beginning() -> None:
    """Home Assistant was killed before it said anything."""
    ours, theirs = socket.socketpair()
    ours.close()
    async with asyncio.timeout(5):
        await Service(theirs).run()


async def test_lines_are_sent_and_a_level_stays() -> None:
    ours, theirs = socket.socketpair()
    service = Service(theirs)
    root = logging.getLogger()
    before, level = root.handlers[:], root.level
    forward_log(service)
    try:
        logging.getLogger("x.y").warning("said before anybody listens")
        serving = asyncio.create_task(service.run())
        reader, writer = await asyncio.open_unix_connection(sock=ours)
        writer.write(packed(Begin(root=Path("/nowhere"), alive_s=5)))
        await until(lambda: service._writer is not None)
        logging.getLogger("x.y").warning("%s of %s", 1, 2)
        while not isinstance(said := await read(reader), Said):
            pass
        assert said == Said(logger="x.y", level=logging.WARNING, text="1 of 2")
        writer.write(packed(Probe(request=3, source=AWAY, report_s=0)))
        while not isinstance(answer := await read(reader), Answer):
            pass
        assert answer.error is not None
        assert answer.error.key == "camera_unreachable"
        writer.write(packed(End()))
        await serving
        writer.close()
    finally:
        root.handlers[:], root.level = before, level
