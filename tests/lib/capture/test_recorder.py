"""The recorder against a camera that does everything wrong that cameras do."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import pairwise

import av
import pytest

from roomwitness.capture import CaptureError, Recorder, StreamSource, Timeouts, probe
from roomwitness.policy.words import GapCause
from tests.camera import Camera, CameraConfig

from .memory import MemorySink, decode

FAST = Timeouts(request=1.0, picture=1.0, first_keyframe=1.5, next_keyframe=2.0, retries=(0.0, 0.2))
SMALL = {"width": 160, "height": 96, "gop": 5}


def utcnow() -> datetime:
    return datetime.now(UTC)


async def until(condition: Callable[[], object], seconds: float = 60.0) -> None:
    async with asyncio.timeout(seconds):
        while not condition():
            await asyncio.sleep(0.02)


class Run:
    """One recorder and what it delivered."""

    def __init__(
        self, source: StreamSource, segment_seconds: float = 1.0, timeouts: Timeouts = FAST
    ) -> None:
        self.sink = MemorySink()
        self.start = utcnow()
        self.recorder = Recorder(
            source, self.sink, start=self.start, segment_seconds=segment_seconds, timeouts=timeouts
        )
        self.task = asyncio.create_task(self.recorder.run())

    async def stop(self) -> MemorySink:
        self.recorder.stop()
        await asyncio.wait_for(self.task, 60)
        uncovered = self.sink.uncovered(self.start, utcnow())
        assert uncovered <= timedelta(seconds=1.3), "gaps and segments must cover the meeting"
        return self.sink

    async def segments(self, count: int) -> None:
        wanted = len(self.sink.closed) + count
        await until(lambda: len(self.sink.closed) >= wanted)


@asynccontextmanager
async def recording(camera: Camera) -> AsyncIterator[Run]:
    run = Run(camera.source())
    yield run
    if not run.task.done():
        await run.stop()


@pytest.fixture
async def camera() -> AsyncIterator[Camera]:
    async with Camera(CameraConfig(**SMALL)) as found:  # type: ignore[arg-type]
        yield found


async def test_segments_decode_from_their_first_picture_to_their_last(camera: Camera) -> None:
    async with recording(camera) as run:
        await run.segments(3)
        sink = await run.stop()
    assert sink.causes == [GapCause.CONNECTING]
    for segment in sink.closed:
        found = decode(segment.data)
        assert found.first_is_key
        assert found.frames == segment.facts["frames"]
        assert found.size == (160, 96)
        assert segment.flushed == len(segment.data)
        assert segment.facts["lost_packets"] == 0
        length = (segment.end - segment.start).total_seconds()
        assert length == pytest.approx(segment.facts["media_seconds"], abs=0.1)
    middle = decode(sink.closed[1].data)
    assert middle.frames == 10
    assert middle.sounds >= 14
    for before, after in pairwise(sink.closed):
        assert abs(after.start - before.end) < timedelta(milliseconds=2)
    assert sink.statuses[-1].state == "recording"
    assert sink.statuses[-1].frames > 20


async def test_the_cameras_clock_is_kept_beside_ours(camera: Camera) -> None:
    await camera.fault("clock_offset_s", -37.5)
    async with recording(camera) as run:
        await run.segments(4)
    offset = run.sink.closed[-1].facts["clock_offset_s"]
    assert offset == pytest.approx(-37.5, abs=0.5)
    assert abs(run.sink.closed[-1].end - utcnow()) < timedelta(seconds=3)


async def test_without_sound_none_is_recorded(camera: Camera) -> None:
    run = Run(camera.source(audio=False))
    await run.segments(2)
    await run.stop()
    assert decode(run.sink.closed[1].data).sounds == 0


@pytest.mark.parametrize(
    ("break_it", "mend_it", "cause", "key"),
    [
        (("drop", True), None, GapCause.CONNECTION_LOST, "camera_unreachable"),
        (("stall", True), ("stall", False), GapCause.STALLED, "stream_stalled"),
        (("no_keyframes", True), ("no_keyframes", False), None, "stream_no_keyframe"),
        (("garbage", True), ("garbage", False), None, "stream_protocol_error"),
        (("say_goodbye", True), ("say_goodbye", False), None, "camera_unreachable"),
        (("refuse_rtsp", True), ("accept_rtsp", True), None, "camera_unreachable"),
    ],
    ids=lambda value: value[0] if isinstance(value, tuple) else "",
)
async def test_a_fault_in_mid_meeting_is_declared_and_recording_resumes(
    camera: Camera,
    break_it: tuple[str, object],
    mend_it: tuple[str, object] | None,
    cause: GapCause | None,
    key: str,
) -> None:
    async with recording(camera) as run:
        await run.segments(1)
        await camera.fault(*break_it)
        await until(lambda: key in run.sink.errors)
        if mend_it is not None:
            await camera.fault(*mend_it)
        await run.segments(2)
        sink = await run.stop()
    assert sink.errors[0] == key
    assert cause is None or cause in sink.causes
    assert sink.statuses[-1].error_key is None
    for segment in sink.closed:
        assert decode(segment.data).first_is_key


async def test_lost_packets_are_counted_and_declared_where_they_are(camera: Camera) -> None:
    async with recording(camera) as run:
        await run.segments(1)
        await camera.fault("lose", 2)
        await run.segments(3)
        sink = await run.stop()
    losses = [gap for gap in sink.gaps if gap[2] is GapCause.PACKET_LOSS]
    assert sum(lost for *_, lost in losses) == 2
    assert sum(s.facts["lost_packets"] for s in sink.closed) == 2
    for start, end, _, _ in losses:
        assert timedelta(0) < end - start < timedelta(seconds=1)


async def test_another_picture_size_begins_another_segment(camera: Camera) -> None:
    async with recording(camera) as run:
        await run.segments(1)
        await camera.fault("size", (320, 192))
        await until(
            lambda: len(run.sink.closed) > 2 and decode(run.sink.closed[-1].data).size[0] == 320
        )
        sink = await run.stop()
    sizes = [decode(s.data).size for s in sink.closed]
    assert sizes[0] == (160, 96)
    assert sizes[-1] == (320, 192)


@pytest.mark.parametrize("auth", ["digest", "digest-sha256", "basic"])
async def test_the_password_opens_and_a_wrong_one_is_named(auth: str) -> None:
    config = CameraConfig(user="us er", password='p:w"\\ö', auth=auth, **SMALL)  # type: ignore[arg-type]
    async with Camera(config) as camera:
        info = await probe(camera.source())
        assert (info.width, info.height, info.audio_codec) == (160, 96, "AAC")
        with pytest.raises(CaptureError) as caught:
            await probe(camera.source(password="wrong"))
        assert caught.value.key == "camera_auth_failed"
        run = Run(camera.source(password="wrong"))
        await until(lambda: run.sink.errors)
        sink = await run.stop()
    assert sink.errors == ["camera_auth_failed"]
    assert set(sink.causes) <= {GapCause.CONNECTING, GapCause.CAMERA_AUTH}
    assert GapCause.CAMERA_AUTH in sink.causes


async def test_a_camera_that_is_not_there_and_comes_later(camera: Camera) -> None:
    await camera.fault("refuse_rtsp")
    async with recording(camera) as run:
        await until(lambda: run.sink.errors)
        await camera.fault("accept_rtsp")
        await run.segments(1)
        sink = await run.stop()
    assert sink.errors == ["camera_unreachable"]
    assert GapCause.CAMERA_UNREACHABLE in sink.causes


async def test_a_full_disk_is_a_gap_and_what_was_flushed_stays(camera: Camera) -> None:
    async with recording(camera) as run:
        await run.segments(1)
        await until(lambda: not run.sink.opened[-1].facts and run.sink.opened[-1].flushed)
        broken = run.sink.opened[-1]
        run.sink.full = True
        await until(lambda: "vault_full" in run.sink.errors)
        assert broken.aborted
        run.sink.full = False
        await run.segments(1)
        broken.facts = {"end": run.sink.gaps[-1][0]}
        run.sink.closed.append(broken)  # As the vault's recovery lists it again.
        sink = await run.stop()
    assert GapCause.DISK_FULL in sink.causes


@pytest.mark.parametrize(
    ("fault", "key"),
    [("stall", "stream_stalled"), ("no_keyframes", "stream_no_keyframe")],
)
async def test_a_probe_says_what_is_wrong(camera: Camera, fault: str, key: str) -> None:
    await camera.fault(fault)
    with pytest.raises(CaptureError) as caught:
        await probe(camera.source(), timeout_s=1.0)
    assert caught.value.key == key


@pytest.mark.parametrize(
    ("url", "key"),
    [
        ("rtsp://127.0.0.1:{port}/elsewhere", "stream_not_found"),
        ("rtsp://127.0.0.1:1/stream", "camera_unreachable"),
        ("http://127.0.0.1:{port}/stream", "stream_unsupported"),
        ("rtsp://", "stream_unsupported"),
        ("rtsp://[::1/stream", "stream_unsupported"),
        ("rtsp://127.0.0.1:{onvif}/stream", "stream_protocol_error"),
    ],
)
async def test_an_address_that_leads_nowhere(camera: Camera, url: str, key: str) -> None:
    address = url.format(port=camera.rtsp.port, onvif=camera.onvif.port)
    with pytest.raises(CaptureError) as caught:
        await probe(StreamSource(address, "secret-user", "secret-word"), timeout_s=2.0)
    assert caught.value.key == key
    assert "127.0.0.1" not in f"{caught.value} {caught.value.placeholders}"


async def test_a_probe_gives_a_picture_that_decodes(camera: Camera) -> None:

    info = await probe(camera.source())
    decoder = av.CodecContext.create("h264", "r")
    (picture,) = [*decoder.decode(av.Packet(info.keyframe)), *decoder.decode(None)]
    assert (picture.width, picture.height) == (160, 96)
    assert info.has_audio
    assert "keyframe" not in repr(info)


async def test_stopping_before_and_while_connecting(camera: Camera) -> None:
    run = Run(camera.source())
    run.recorder.stop()
    await asyncio.wait_for(run.task, 2)
    assert run.sink.opened == []

    async def silent(reader: asyncio.StreamReader, _: asyncio.StreamWriter) -> None:
        await reader.read()

    server = await asyncio.start_server(silent, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    run = Run(StreamSource(f"rtsp://127.0.0.1:{port}/stream"))
    await until(lambda: run.sink.errors)
    await run.stop()
    assert run.sink.errors == ["camera_unreachable"]
    server.close()


async def test_whoever_ends_does_not_wait_for_a_camera_that_does_not_answer() -> None:
    asked = asyncio.Event()

    async def silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        asked.set()
        await reader.read()
        writer.close()

    server = await asyncio.start_server(silent, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    run = Run(StreamSource(f"rtsp://127.0.0.1:{port}/stream"))
    await asked.wait()
    run.recorder.stop()
    await asyncio.wait_for(run.task, 4)  # An answer is waited for five seconds.
    assert run.sink.errors == []
    assert run.sink.causes == [GapCause.CONNECTING]
    server.close()


async def test_nothing_secret_is_logged_or_shown(
    camera: Camera, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("DEBUG")
    source = StreamSource(camera.url, "secret-user", "secret-word")
    assert "secret" not in repr(source) + repr(source.endpoint())
    assert camera.url not in repr(source)
    await camera.fault("refuse_rtsp")
    run = Run(source)
    await until(lambda: run.sink.errors)
    await run.stop()
    assert "secret" not in caplog.text
    assert str(camera.rtsp.port) not in caplog.text


async def test_a_camera_that_sends_nothing_is_told_from_one_that_sends_no_picture(
    camera: Camera,
) -> None:
    run = Run(camera.source(), timeouts=replace(FAST, bytes=0.8, picture=8.0))
    await run.segments(1)
    await camera.fault("stall")
    await until(lambda: run.sink.errors)
    await run.stop()
    assert run.sink.errors[0] == "stream_silent"
    assert GapCause.STALLED in run.sink.causes


async def test_the_first_comparison_of_clocks_is_noted(camera: Camera) -> None:
    await camera.fault("clock_offset_s", 3600.0)
    async with recording(camera) as run:
        await run.segments(4)
        sink = await run.stop()
    (event,) = sink.clocks
    assert event.kind == "camera_offset"
    assert event.seconds == pytest.approx(3600, abs=0.3)
    assert sink.closed[-1].facts["clock"].source == "rtcp"


async def test_a_fault_of_ours_is_a_gap_and_recording_resumes(
    camera: Camera, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    real, faults = Recorder._record, [ValueError("rtsp://secret@camera")]

    async def faulty(self: Recorder) -> None:
        if faults:
            raise faults.pop()
        await real(self)

    monkeypatch.setattr(Recorder, "_record", faulty)
    async with recording(camera) as run:
        await run.segments(1)
        sink = await run.stop()
    assert GapCause.PROTOCOL_ERROR in {cause for _, _, cause, _ in sink.gaps}
    assert "ValueError" in caplog.text
    assert "secret" not in caplog.text
