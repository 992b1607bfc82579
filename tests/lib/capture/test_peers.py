"""Independent servers: GStreamer's, aio-rtsp-toolkit's; and an independent decoder, ffmpeg."""

import asyncio
import signal
import subprocess
from datetime import timedelta
from pathlib import Path

import pytest

from roomwitness.capture import CaptureError, StreamSource, probe
from roomwitness.policy.words import GapCause
from tests.peers import free_port, gstreamer

from .memory import decode
from .test_recorder import Run, until

WORD = 'p:w"\\ x'


def ffmpeg_frames(path: Path) -> int:
    """Decode everything; ffmpeg says nothing unless something is wrong."""
    done = subprocess.run(
        ["ffmpeg", "-v", "warning", "-i", path, "-f", "framemd5", "-map", "0:v", "-"],
        capture_output=True,
        text=True,
        check=True,
    )
    said = [line for line in done.stderr.splitlines() if "Guessed Channel Layout" not in line]
    assert said == []
    return sum(not line.startswith("#") for line in done.stdout.splitlines())


@pytest.mark.parametrize("auth", ["digest", "basic"])
async def test_gstreamer_with_a_password(auth: str, tmp_path: Path) -> None:
    with gstreamer(user="staff", password=WORD, auth=auth) as (url, _):
        source = StreamSource(url, "staff", WORD, audio=True)
        info = await probe(source)
        assert (info.width, info.height, info.audio_codec) == (640, 360, "AAC")
        with pytest.raises(CaptureError) as caught:
            await probe(StreamSource(url, "staff", "wrong"))
        assert caught.value.key == "camera_auth_failed"
        run = Run(source, segment_seconds=2.0)
        await run.segments(3)
        sink = await run.stop()
    for number, segment in enumerate(sink.closed):
        path = tmp_path / f"{number}.mp4"
        path.write_bytes(segment.data)
        assert ffmpeg_frames(path) == segment.facts["frames"]
    found = decode(sink.closed[1].data)
    assert (found.frames, found.size) == (20, (640, 360))
    assert found.sounds == pytest.approx(2 * 16000 / 1024, abs=3)
    offset = sink.closed[2].facts["clock_offset_s"]
    assert offset == pytest.approx(0, abs=1.0)


async def test_a_server_that_freezes_and_one_that_dies() -> None:
    port = free_port()
    with gstreamer(port=port) as (url, process):
        run = Run(StreamSource(url, audio=True))
        await run.segments(1)
        process.send_signal(signal.SIGSTOP)
        await until(lambda: "stream_stalled" in run.sink.errors)
        process.send_signal(signal.SIGCONT)
        await run.segments(2)
        process.send_signal(signal.SIGKILL)
        await until(lambda: run.sink.errors[-1] == "camera_unreachable")
        await asyncio.sleep(0.2)
    with gstreamer(port=port):
        await run.segments(1)
        sink = await run.stop()
    assert GapCause.STALLED in sink.causes
    assert GapCause.CAMERA_UNREACHABLE in sink.causes
    assert all(decode(s.data).first_is_key for s in sink.closed)
    assert all(end - start < timedelta(seconds=15) for start, end, _, _ in sink.gaps)


async def test_a_stream_without_sound_and_one_that_is_not_there() -> None:
    with gstreamer() as (url, _):
        silent = url.replace("/cam", "/silent")
        assert (await probe(StreamSource(silent, audio=True))).audio_codec is None
        with pytest.raises(CaptureError) as caught:
            await probe(StreamSource(url + "-other"))
    assert caught.value.key == "stream_not_found"
