"""The real process: it records apart, dies alone, and seals what a dead Home Assistant left."""

import asyncio
import logging
import os
import signal
import socket
import subprocess
import sys
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import psutil
import pytest

from roomwitness.capture import CaptureError, StreamSource
from roomwitness.policy.words import GapCause, Meeting
from roomwitness.recording.errors import RecorderLost
from roomwitness.recording.host import RecordingHost
from roomwitness.recording.messages import News, Sealed, Status
from roomwitness.recording.process import MEMORY, in_process
from roomwitness.vault.errors import VaultInUse
from roomwitness.vault.store import Vault
from tests.camera import Camera, CameraConfig
from tests.lib.witness.house import House, booking, until

from .conftest import recorder

ENV = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}


@pytest.fixture
async def camera() -> AsyncIterator[Camera]:
    config = CameraConfig(width=160, height=96, gop=5, user="cam", password="pa ss")
    async with Camera(config) as found:
        yield found


@pytest.fixture
def house(tmp_path: Path) -> House:
    return House(tmp_path, apart=True)


# Home Assistant's, what only its process does with the vault, and what of Python is large.
NOT_IN_IT = {
    *("av", "aiohttp", "voluptuous", "zeep", "onvif", "homeassistant"),
    *("roomwitness.witness", "roomwitness.custody", "roomwitness.onvif", "roomwitness.cli"),
    *("roomwitness.recording.host", "roomwitness.vault.store", "roomwitness.vault.keys"),
    *("roomwitness.vault.erasure", "roomwitness.vault.recovery", "roomwitness.vault.check"),
    *("shutil", "tempfile", "lzma", "bz2", "compression.zstd"),
    *("email", "http", "http.client", "xml", "argparse", "concurrent.futures.process"),
    *("multiprocessing", "ctypes", "unittest", "pydoc", "importlib.metadata"),
}


async def test_what_it_does_not_need_is_not_in_it(
    camera: Camera, house: House, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its memory is paid once more than Home Assistant's: what it imported, to record and to look
    at a stream."""
    start = asyncio.create_subprocess_exec
    (house.root / "vault").mkdir()
    vault = house.vault()
    vault.save_meeting(
        Meeting(id="m", room_id="r", origin="manual", planned_start=datetime.now(UTC))
    )
    recording = vault.begin_recording("m", "c", datetime.now(UTC))
    news: list[News] = []
    with (tmp_path / "imports").open("wb") as imports:

        async def listed(*words: str, **how: Any) -> asyncio.subprocess.Process:
            return await start(*words, **{**how, "stderr": imports})

        monkeypatch.setenv("PYTHONPROFILEIMPORTTIME", "1")
        monkeypatch.setattr(asyncio, "create_subprocess_exec", listed)
        host = RecordingHost(house.config.root)
        host.start()
        job = host.record(
            news.append,
            recording_id=recording.id,
            source=camera.source(),
            start=recording.started,
            cause=GapCause.CONNECTING,
            segment_seconds=1.0,
        )
        await until(lambda: any(isinstance(n, Sealed) for n in news))
        assert await host.probe(camera.source())
        job.stop()
        assert await job.over is True
        await host.stop()
    vault.close()
    lines = (tmp_path / "imports").read_text().splitlines()
    found = {line.rpartition("|")[2].strip() for line in lines if line.startswith("import time:")}
    assert {"roomwitness.recording.worker", "roomwitness.vault.live", "asyncio"} <= found
    assert found & NOT_IN_IT == set()


async def test_it_dies_and_the_meeting_goes_on(camera: Camera, house: House) -> None:
    witness = await house.started(house.room(camera.source()))
    await witness.reconcile("r1", [booking(-1, 600)])
    await until(lambda: witness.status("r1").segments >= 1)
    first = await recorder()
    open_segments = house.root / "vault" / "segments"
    await until(lambda: [*open_segments.glob("*/*.tail")])
    died = datetime.now(UTC)
    first.kill()
    await until(lambda: witness.status("r1").segments >= 2, 30)
    assert (await recorder()).pid != first.pid
    meeting = witness.status("r1").meeting_id or ""
    await witness.stop_meeting("r1")
    vault = house.vault()
    (recording,) = vault.recordings(meeting)
    segments, gaps = vault.segments(recording.id), vault.gaps(recording.id)
    assert [g.cause for g in gaps if g.cause is not GapCause.CONNECTING] == [GapCause.RESTART]
    gap = gaps[-1]
    assert abs((gap.start - died).total_seconds()) < 1.5
    assert (gap.end - gap.start).total_seconds() < 10
    assert sum(s.recovered for s in segments) == 1, "what was flushed is whole"
    assert vault.check() == []
    vault.close()
    await witness.stop()
    assert witness.recorder_losses == 1
    log = house.log()
    found = [log.index(kind) for kind in ("recorder_lost", "segment_recovered", "recording_ended")]
    assert found == sorted(found)
    assert (log.count("recorder_lost"), log.count("segment_recovered")) == (1, 1)


async def test_home_assistant_dies_and_what_is_open_is_sealed(camera: Camera, house: House) -> None:
    """SIGKILL of Home Assistant alone: nothing that had come is lost."""
    house.stored.save(house.keys_file)
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "tests.lib.recording.site"),
        *(str(house.root), camera.url, camera.config.user or "", camera.config.password),
        stdout=subprocess.PIPE,
        env=ENV,
    )
    assert process.stdout is not None
    async with asyncio.timeout(30):
        while int(await process.stdout.readline()) < 1:
            pass
    apart = await recorder(process.pid)
    open_segments = house.root / "vault" / "segments"
    await until(lambda: [*open_segments.glob("*/*.tail")])
    died = datetime.now(UTC)
    process.kill()
    await process.wait()
    vault = house.vault()
    assert vault.recover() == [], "nothing was left open"
    await until(lambda: not apart.is_running())
    (recording,) = vault.open_recordings()
    last = vault.segments(recording.id)[-1]
    assert not last.recovered
    assert (died - last.end).total_seconds() < 2.0
    assert vault.check() == []
    vault.close()


async def test_only_home_assistant_ends_it(camera: Camera, house: House) -> None:
    """Whoever stops a whole group of processes leaves it to seal what is open."""
    witness = await house.started(house.room(camera.source()))
    await witness.reconcile("r1", [booking(-1, 600)])
    await until(lambda: witness.status("r1").segments >= 1)
    apart = await recorder()
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        apart.send_signal(number)
    assert os.getsid(apart.pid) == apart.pid, "no terminal interrupts it"
    seen = witness.status("r1").segments
    await until(lambda: witness.status("r1").segments > seen)
    assert await recorder() == apart
    await witness.stop()
    assert not apart.is_running()
    vault = house.vault()
    (recording,) = vault.open_recordings()
    assert not any(s.recovered for s in vault.segments(recording.id))
    vault.close()


async def test_nobody_mends_what_is_being_recorded(
    camera: Camera, house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    witness = await house.started(house.room(camera.source()))
    await witness.reconcile("r1", [booking(-1, 600)])
    await until(lambda: witness.status("r1").segments >= 1)
    monkeypatch.setattr("roomwitness.vault.store._ENDING_S", 0.05)
    vault = house.vault()
    with pytest.raises(VaultInUse):
        vault.recover()
    await witness.stop()
    assert vault.recover() == []
    vault.close()


class Watched:
    """A host and what it told."""

    def __init__(self, vault: Vault, root: Path, alive_s: float) -> None:
        self.vault = vault
        self.news: list[News] = []
        self.lost = 0
        self.host = RecordingHost(root, self._lost, in_process, alive_s)

    def _lost(self) -> None:
        self.lost += 1

    @property
    def frames(self) -> int:
        return sum(n.status.frames for n in self.news[-1:] if isinstance(n, Status))


async def test_one_that_is_stuck_is_replaced(
    camera: Camera, house: House, caplog: pytest.LogCaptureFixture
) -> None:
    """SIGSTOP: it has its connections and does nothing."""
    (house.root / "vault").mkdir()
    vault = house.vault()
    watched = Watched(vault, house.config.root, 0.5)
    watched.host.start()
    job = watched.host.watch(
        watched.news.append, source=camera.source(), seconds=5, segment_seconds=5
    )
    await until(lambda: watched.news)
    stuck = await recorder()
    stuck.send_signal(signal.SIGSTOP)
    asked = asyncio.create_task(watched.host.probe(camera.source()))
    assert await asyncio.wait_for(job.over, 20) is False
    assert job.lost
    with pytest.raises(RecorderLost):
        await asked
    await until(lambda: watched.lost == 2)
    assert (await recorder()).pid != stuck.pid
    assert (await watched.host.probe(camera.source())).codec == "H.264"
    await watched.host.stop()
    await watched.host.stop()
    assert "does not answer" in caplog.text
    vault.close()


async def test_one_that_is_stuck_does_not_keep_home_assistant_from_ending(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    (house.root / "vault").mkdir()
    monkeypatch.setattr("roomwitness.recording.host.ENDING_S", 0.2)
    host = RecordingHost(house.config.root)
    host.start()
    stuck = await recorder()
    stuck.send_signal(signal.SIGSTOP)
    async with asyncio.timeout(5):
        await host.stop()
    assert not stuck.is_running()


async def test_one_that_lets_go_and_stays_is_ended(
    house: House, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    script = tmp_path / "python"
    script.write_text('#!/bin/bash\neval "exec $4>&-"\nexec sleep 600\n')
    script.chmod(0o700)
    monkeypatch.setattr(sys, "executable", str(script))
    monkeypatch.setattr("roomwitness.recording.process.ENDING_S", 0.2)
    others = psutil.Process().children()
    host = RecordingHost(house.config.root)
    host.start()
    with pytest.raises(RecorderLost):
        await host.probe(StreamSource("rtsp://127.0.0.1:9/x"))
    await host.stop()
    assert psutil.Process().children() == others


async def test_its_log_is_ours(house: House, caplog: pytest.LogCaptureFixture) -> None:
    """Its lines come out here, and say nothing of where the camera is."""
    (house.root / "vault").mkdir()
    caplog.set_level(logging.INFO)
    gone = CameraConfig(user="cam", password="pa ss")
    async with Camera(gone) as camera:
        source = camera.source()
    host = RecordingHost(house.config.root)
    host.start()
    news: list[News] = []
    job = host.watch(news.append, source=source, seconds=5, segment_seconds=5)
    await until(lambda: "interrupted: camera_unreachable" in caplog.text)
    (line,) = [r for r in caplog.records if "interrupted" in r.message]
    assert line.name == "roomwitness.capture.recorder"
    assert "rtsp://" not in caplog.text
    job.stop()
    assert await job.over is True
    assert not any(isinstance(n, Sealed) for n in news)
    await host.stop()


async def test_files_beside_home_assistants_configuration_are_not_pythons(
    house: House, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Home Assistant has its configuration folder on Python's path."""
    (house.root / "vault").mkdir()
    folder = tmp_path / "config"
    folder.mkdir()
    (folder / "secrets.py").write_text("raise SystemExit")
    monkeypatch.syspath_prepend(folder)
    monkeypatch.chdir(folder)
    host = RecordingHost(house.config.root)
    host.start()
    with pytest.raises(CaptureError) as refused:
        await host.probe(StreamSource("rtsp://127.0.0.1:9/x"))
    assert refused.value.key == "camera_unreachable"
    await host.stop()


async def test_one_that_cannot_be_started_is_tried_again(
    house: House, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, camera: Camera
) -> None:
    (house.root / "vault").mkdir()
    monkeypatch.setattr("roomwitness.recording.host._PAUSE_S", 0.05)
    real = sys.executable
    monkeypatch.setattr(sys, "executable", "/nowhere/python")
    lost: list[None] = []
    host = RecordingHost(house.config.root, lambda: lost.append(None))
    host.start()
    with pytest.raises(RecorderLost):
        await host.probe(camera.source())
    job = host.watch(lambda _: None, source=camera.source(), seconds=5, segment_seconds=5)
    assert job.lost
    assert await job.freeze() is None
    job.thaw()
    assert "cannot be started: errno 2" in caplog.text
    monkeypatch.setattr(sys, "executable", real)
    await until(lambda: lost)
    assert (await host.probe(camera.source())).codec == "H.264"
    await host.stop()


async def test_stopped_while_it_cannot_be_started(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "executable", "/nowhere/python")
    host = RecordingHost(house.config.root)
    host.start()
    async with asyncio.timeout(1):
        await host.stop()


async def test_what_it_is_given_before_it_is_there_it_gets(house: House) -> None:
    (house.root / "vault").mkdir()
    source = StreamSource("rtsp://127.0.0.1:9/x")
    host = RecordingHost(house.config.root)
    host.start()
    news: list[News] = []
    job = host.watch(news.append, source=source, seconds=5, segment_seconds=5)
    assert not news
    with pytest.raises(CaptureError) as refused:
        await host.probe(source)
    assert refused.value.key == "camera_unreachable"
    await until(lambda: news)
    await host.stop()
    assert job.over.result() is True
    again = RecordingHost(house.config.root)
    again.start()
    soon = again.watch(news.append, source=source, seconds=5, segment_seconds=5)
    await again.stop()
    assert soon.over.result() is True, "an end that was asked for, before there was anything"


async def test_a_question_nobody_waits_for_is_dropped(house: House) -> None:
    """A preflight that is broken off leaves no connection to the camera."""
    (house.root / "vault").mkdir()
    async with Camera(CameraConfig(width=160, height=96)) as camera:
        await camera.fault("stall")
        host = RecordingHost(house.config.root)
        host.start()
        asked = asyncio.create_task(host.probe(camera.source()))
        await until(lambda: camera.rtsp.plays)
        asked.cancel()
        await asyncio.gather(asked, return_exceptions=True)
        apart = await recorder()
        await until(lambda: not apart.net_connections("tcp"))
        await host.stop()


async def test_its_memory_goes_back_to_the_system() -> None:
    """Which the C library does only where it is told to, before it begins."""
    ours, theirs = socket.socketpair()
    life = await in_process(theirs)
    try:
        found = (await recorder()).environ()
        assert {name: found[name] for name in MEMORY} == MEMORY
    finally:
        ours.close()
        await life.over()
