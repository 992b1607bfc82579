"""Every codec from GStreamer's server, recorded and decoded, by FFmpeg too."""

import io
from itertools import pairwise
from pathlib import Path

import av
import pytest

from roomwitness.capture import CaptureError, StreamSource, probe
from tests.peers import gstreamer

from .memory import MemorySegment, decode
from .test_peers import ffmpeg_frames
from .test_recorder import Run


async def record(url: str, mount: str, segments: int = 2) -> list[MemorySegment]:
    run = Run(StreamSource(url.replace("/cam", mount), audio=True), segment_seconds=1.0)
    await run.segments(segments)
    sink = await run.stop()
    assert sink.closed[0].facts["lost_packets"] == 0
    return sink.closed


def codecs(data: bytes | bytearray) -> dict[str, str]:
    with av.open(io.BytesIO(data)) as container:
        return {s.type: s.codec_context.name for s in container.streams}


def sample_entries(data: bytes | bytearray) -> set[bytes]:
    names = (b"avc1", b"avc3", b"hvc1", b"hev1", b"mp4a", b"alaw", b"ulaw", b"Opus")
    head = bytes(data[: data.index(b"moof")])
    return {name for name in names if name in head[head.index(b"moov") :]}


@pytest.mark.parametrize(
    ("mount", "picture", "entries", "sound"),
    [
        ("/h264-out-of-band", "h264", {b"avc3"}, None),
        ("/h264-b", "h264", {b"avc3"}, None),
        ("/h265", "hevc", {b"hev1", b"mp4a"}, "aac"),
        ("/h265-out-of-band", "hevc", {b"hev1"}, None),
        ("/pcma", "h264", {b"avc3", b"alaw"}, "pcm_alaw"),
        ("/pcmu", "h264", {b"avc3", b"ulaw"}, "pcm_mulaw"),
        ("/opus", "h264", {b"avc3", b"Opus"}, "libopus"),
        ("/latm", "h264", {b"avc3", b"mp4a"}, "aac"),
    ],
)
async def test_what_is_recorded_decodes(
    mount: str, picture: str, entries: set[bytes], sound: str | None, tmp_path: Path
) -> None:
    with gstreamer(size="320x180", fps=15) as (url, _):
        segments = await record(url, mount)
    for number, segment in enumerate(segments[:2]):
        found = decode(segment.data)
        assert found.first_is_key
        assert found.size == (320, 180)
        assert found.frames == segment.facts["frames"]
        assert sample_entries(segment.data) == entries
        path = tmp_path / f"{number}.mp4"
        path.write_bytes(segment.data)
        assert ffmpeg_frames(path) == found.frames
    known = codecs(segments[0].data)
    assert known["video"] == picture
    assert known.get("audio", "").removeprefix("lib") == (sound or "").removeprefix("lib")
    if sound is not None:
        with av.open(io.BytesIO(segments[1].data)) as container:
            frames = list(container.decode(audio=0))
        heard = sum(f.samples for f in frames) / frames[0].sample_rate
        assert heard == pytest.approx(segments[1].facts["media_seconds"], abs=0.25)


@pytest.mark.parametrize("mount", ["/h264-b", "/h265-b"])
async def test_pictures_out_of_order_have_even_times_over_every_fragment(mount: str) -> None:
    with gstreamer(size="320x180", fps=15, gop=45) as (url, _):
        segments = await record(url, mount, 1)
    data = segments[0].data
    assert data.count(b"moof") >= 3
    with av.open(io.BytesIO(data)) as container:
        packets = [p for p in container.demux(video=0) if p.pts is not None]
    assert [p.pts for p in packets] != sorted(p.pts for p in packets)
    # Not the last few: it was stopped before what is shown ahead of its last picture.
    times = sorted(p.pts for p in packets)[:-3]
    steps = [b - a for a, b in pairwise(times)]
    assert max(steps) - min(steps) <= 2000
    decoding = [p.dts for p in packets]
    assert decoding == sorted(set(decoding))


async def test_a_sound_that_we_refuse_is_named_and_the_picture_goes_on() -> None:
    with gstreamer(size="320x180") as (url, _):
        source = StreamSource(url.replace("/cam", "/l16"), audio=True)
        info = await probe(source)
        assert (info.audio_codec, info.sound_refused, info.has_audio) == (None, "L16", False)
        run = Run(source)
        await run.segments(2)
        sink = await run.stop()
    assert sink.statuses[-1].sound_refused == "L16"
    assert sink.statuses[-1].error_key is None
    assert decode(sink.closed[1].data).frames == 10


async def test_a_probe_of_h265_gives_a_picture_that_decodes() -> None:
    with gstreamer(size="320x180") as (url, _):
        info = await probe(StreamSource(url.replace("/cam", "/h265")))
        with pytest.raises(CaptureError):
            await probe(StreamSource(url.replace("/cam", "/nothing")))
    decoder = av.CodecContext.create(info.decoder, "r")
    (picture,) = [*decoder.decode(av.Packet(info.keyframe)), *decoder.decode(None)]
    assert (info.codec, picture.width, picture.height) == ("H.265", 320, 180)
