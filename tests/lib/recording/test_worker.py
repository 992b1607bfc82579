"""The worker's own end, in a thread and in this loop: what it is asked, and what of it is gone."""

import asyncio
import logging
import socket
import sqlite3
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

import pytest

from roomwitness.capture import CaptureError, StreamSource
from roomwitness.policy.words import GapCause
from roomwitness.recording.errors import RecorderLost
from roomwitness.recording.host import RecordingHost
from roomwitness.recording.messages import (
    Answer,
    Begin,
    Cancel,
    Change,
    End,
    Event,
    Freeze,
    News,
    Probe,
    Said,
    Sealed,
    Status,
    Stop,
    Take,
    Thaw,
    packed,
    read,
)
from roomwitness.recording.service import Service, forward_log
from roomwitness.recording.worker import Worker
from roomwitness.vault.store import Vault
from tests.camera import Camera, CameraConfig
from tests.lib.capture.scripted import Script
from tests.lib.witness.house import House, until

AWAY = StreamSource("rtsp://127.0.0.1:9/x")


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
    assert causes[0] in (GapCause.CONNECTING, GapCause.DISK_FAILED)
    vault.close()


async def test_who_hears_that_a_job_is_over_finds_its_rows(
    vault: Vault, host: RecordingHost, house: House
) -> None:
    """Another process writes into the index for a while: nobody waits, and nothing is missing."""
    recording = vault.begin_recording("m", "c", datetime.now(UTC))
    news: list[News] = []
    job = host.record(
        news.append,
        recording_id=recording.id,
        source=AWAY,
        start=recording.started,
        cause=GapCause.CONNECTING,
        segment_seconds=1.0,
    )
    await until(lambda: vault.gaps(recording.id))
    with closing(sqlite3.connect(house.config.root / "index.db", isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        job.stop()
        for _ in range(3):  # It answers all the same.
            with pytest.raises(CaptureError):
                await asyncio.wait_for(host.probe(AWAY), 3)
        assert not job.over.done()
        assert {gap.cause for gap in vault.gaps(recording.id)} == {GapCause.CONNECTING}
        other.execute("ROLLBACK")
    assert await asyncio.wait_for(job.over, 10) is True
    assert vault.gaps(recording.id)[-1].cause is GapCause.CAMERA_UNREACHABLE
    vault.close()


async def test_a_gap_is_synced_soon(
    vault: Vault, host: RecordingHost, monkeypatch: pytest.MonkeyPatch
) -> None:
    synced: list[int] = []
    monkeypatch.setattr("roomwitness.vault.intake.os.fdatasync", synced.append)
    recording = vault.begin_recording("m", "c", datetime.now(UTC))
    host.record(
        lambda _: None,
        recording_id=recording.id,
        source=AWAY,
        start=recording.started,
        cause=GapCause.CONNECTING,
        segment_seconds=1.0,
    )
    await until(lambda: vault.gaps(recording.id))
    await until(lambda: synced)
    vault.close()


async def test_looks_are_broken_off_at_the_end(host: RecordingHost) -> None:
    async with Camera(CameraConfig(width=160, height=96)) as camera:
        await camera.fault("stall")
        asked = asyncio.create_task(host.probe(camera.source()))
        await until(lambda: camera.rtsp.plays)
        await host.stop()
        assert (await asyncio.gather(asked, return_exceptions=True))[0].key == "recorder_lost"  # type: ignore[union-attr]


@pytest.mark.parametrize("nowhere", ["a..b", f"{'a' * 64}.b", "a\0b"])
async def test_a_camera_that_sends_us_where_no_resolver_finds_is_told(
    host: RecordingHost, nowhere: str
) -> None:
    moved = f"RTSP/1.0 302 Found\nCSeq: {{cseq}}\nLocation: rtsp://{nowhere}/x\n\n"
    async with Script(DESCRIBE=moved) as camera, asyncio.timeout(20):
        with pytest.raises(CaptureError) as refused:
            await host.probe(camera.source())
    assert refused.value.key in {"stream_unsupported", "stream_protocol_error"}


async def test_a_look_is_answered_whatever_happens(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    async def mad(_source: StreamSource, report_s: float) -> None:
        if report_s:
            await asyncio.Event().wait()
        raise ValueError("rtsp://10.0.0.7/secret")

    monkeypatch.setattr("roomwitness.recording.worker.probe", mad)
    monkeypatch.setattr("roomwitness.recording.worker._LOOK_S", 0.05)
    told: list[Event] = []
    worker = Worker(tmp_path, told.append)
    worker.carry_out(Probe(request=1, source=AWAY, report_s=0.0))
    worker.carry_out(Probe(request=2, source=AWAY, report_s=1.0))
    await until(lambda: len(told) == 2)
    keys = {t.request: t.error.key for t in told if isinstance(t, Answer) and t.error is not None}
    assert keys == {1: "stream_protocol_error", 2: "camera_unreachable"}
    assert "Unexpected ValueError" in caplog.text
    assert "10.0.0.7" not in caplog.text
    await worker.end()


async def test_a_question_that_nobody_answers_ends(
    host: RecordingHost, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def silent(_worker: Worker, _command: Probe) -> None:
        """An answer that was forgotten."""

    monkeypatch.setattr(Worker, "_look", silent)
    monkeypatch.setattr("roomwitness.recording.host._ANSWER_S", 0.05)
    async with asyncio.timeout(5):
        with pytest.raises(RecorderLost):
            await host.probe(AWAY)


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
