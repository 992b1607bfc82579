"""Independent servers: GStreamer's, aio-rtsp-toolkit's; and an independent decoder, ffmpeg."""

import io
import signal
import subprocess
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from aio_rtsp_toolkit.server import RtspServer

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
        await until(lambda: GapCause.CONNECTION_LOST in run.sink.causes)  # It is tried anew.
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


@asynccontextmanager
async def toolkit(folder: Path) -> AsyncIterator[str]:
    """aio-rtsp-toolkit's server of the files in a folder: the address of it."""
    port = free_port()
    server = RtspServer(str(folder), "127.0.0.1", port)
    await server.start()
    try:
        yield f"rtsp://127.0.0.1:{port}"
    finally:
        await server.close()


def write_film(path: Path, codec: str) -> None:
    """Two seconds of noise and of a chord, no picture or sound like another."""
    chance = np.random.default_rng(1)
    with av.open(path, "w") as container:
        video = container.add_stream(codec, rate=10)
        video.width, video.height, video.pix_fmt = 160, 96, "yuv420p"
        video.codec_context.options = {"preset": "ultrafast", "tune": "zerolatency", "g": "10"}
        video.codec_context.options |= {"x265-params": "log-level=none:bframes=0"}
        sound = container.add_stream("aac", rate=16000, layout="mono")
        for number in range(20):
            noise = chance.integers(0, 255, (96, 160, 3), dtype=np.uint8)
            frame = av.VideoFrame.from_ndarray(noise, format="rgb24")
            frame.pts, frame.time_base = number, Fraction(1, 10)
            container.mux(video.encode(frame))
        for number in range(31):
            samples = chance.normal(0, 0.2, (1, 1024)).astype(np.float32)
            heard = av.AudioFrame.from_ndarray(samples, format="fltp", layout="mono")
            heard.sample_rate, heard.pts = 16000, number * 1024
            container.mux(sound.encode(heard))
        container.mux([*video.encode(None), *sound.encode(None)])


def film_of(data: bytes | bytearray, form: str) -> tuple[list[bytes], list[bytes]]:
    """Its pictures' slices and its frames of sound, in order."""
    slices, sounds = [], []
    with av.open(io.BytesIO(data)) as container:
        for packet in container.demux():
            raw, at = bytes(packet), 0
            if packet.stream.type == "audio" and raw:
                sounds.append(raw)
                continue
            while at < len(raw):
                stop = at + 4 + int.from_bytes(raw[at : at + 4])
                kind = raw[at + 4] & 31 if form == "h264" else raw[at + 4] >> 1 & 63
                if (1 <= kind <= 5) if form == "h264" else kind < 32:
                    slices.append(raw[at + 4 : stop])
                at = stop
    return slices, sounds


@pytest.mark.parametrize(("codec", "form"), [("libx264", "h264"), ("libx265", "h265")])
async def test_a_file_that_aio_rtsp_toolkit_plays_again_and_again(
    codec: str, form: str, tmp_path: Path
) -> None:
    write_film(tmp_path / "film.mp4", codec)
    async with toolkit(tmp_path) as address:
        source = StreamSource(f"{address}/film.mp4?play_count=0", audio=True)
        info = await probe(source)
        assert (info.width, info.height, info.audio_codec) == (160, 96, "AAC")
        run = Run(source, segment_seconds=2.0)
        await run.segments(3)
        sink = await run.stop()
    assert sink.causes == [GapCause.CONNECTING]
    assert [segment.facts["lost_packets"] for segment in sink.closed[:3]] == [0, 0, 0]
    sent = film_of((tmp_path / "film.mp4").read_bytes(), form)
    found = [film_of(segment.data, form) for segment in sink.closed[:3]]
    for kind, least in ((0, 50), (1, 80)):
        ours = [piece for film in found for piece in film[kind]]
        assert len(ours) >= least
        begin = sent[kind].index(ours[0])
        again = (sent[kind] * 5)[begin : begin + len(ours)]
        assert ours == again, "every one, once, in order"
