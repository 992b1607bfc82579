"""A camera's keyframe is decoded where it can do no harm, and little of that."""

import asyncio
import sys
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import av
import pytest

from roomwitness.capture import StreamInfo, probe
from roomwitness.recording import decoding, keyframe_decoder
from roomwitness.recording.decoding import MAX_PIXELS, decodes
from roomwitness.recording.host import RecordingHost
from tests.camera import Camera, CameraConfig
from tests.lib.witness.house import House


@pytest.fixture
async def camera() -> AsyncIterator[Camera]:
    async with Camera(CameraConfig(width=160, height=96, gop=5)) as found:
        yield found


def film(width: int, height: int) -> StreamInfo:
    """A keyframe of that size."""
    encoder = av.CodecContext.create("libx264", "w")
    assert isinstance(encoder, av.VideoCodecContext)
    encoder.width, encoder.height, encoder.pix_fmt = width, height, "yuv420p"
    encoder.options = {"preset": "ultrafast"}
    frame = av.VideoFrame(width, height, "yuv420p")
    for plane in frame.planes:
        plane.update(bytes(plane.buffer_size))
    data = b"".join(bytes(p) for p in [*encoder.encode(frame), *encoder.encode(None)])
    return StreamInfo("H.264", width, height, None, None, None, "h264", data)


async def test_a_keyframe_gives_a_picture_or_not(camera: Camera) -> None:
    info = await probe(camera.source())
    assert info.decodes is None
    assert await decodes(info) is True
    for nonsense in (b"", info.keyframe[:40], b"\x00\x00\x00\x01\x65" + bytes(90)):
        assert await decodes(replace(info, keyframe=nonsense)) is False
    for decoder in ("nothing", "aac"):
        assert await decodes(replace(info, decoder=decoder)) is False


async def test_the_largest_pictures_that_cameras_send_are_no_trouble() -> None:
    assert await decodes(film(7680, 4320)) is True


async def test_larger_ones_than_the_standards_know_are_refused() -> None:
    """Before they take any memory."""
    info = film(640, 480)
    assert MAX_PIXELS > 640 * 480
    assert await decodes(info, 640 * 480 - 1) is False
    assert await decodes(info) is True


async def test_one_that_takes_too_much_memory_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever the parameter sets say, and whatever the decoder makes of them."""
    script = tmp_path / "small.py"
    text = Path(keyframe_decoder.__file__).read_text()
    script.write_text(text.replace("_MAX_BYTES = 1 << 30", "_MAX_BYTES = 200 << 20"))
    info = film(7680, 4320)
    monkeypatch.setattr(keyframe_decoder, "__file__", str(script))
    assert await decodes(info) is False


@pytest.mark.parametrize("end", ["os.abort()", "while True: pass", "bytearray(1 << 40)"])
async def test_one_that_brings_the_decoder_down_brings_nothing_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, camera: Camera, end: str
) -> None:
    script = tmp_path / "mad.py"
    text = Path(keyframe_decoder.__file__).read_text()
    text = text.replace("_MAX_CPU_S = 10", "_MAX_CPU_S = 1")
    script.write_text(text.replace("        decoder = av", f"        {end}\n        decoder = av"))
    assert end in script.read_text()
    info = await probe(camera.source())
    monkeypatch.setattr(keyframe_decoder, "__file__", str(script))
    assert await decodes(info) is False


async def test_where_nothing_can_be_decoded_nobody_is_to_blame(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, camera: Camera
) -> None:
    info = await probe(camera.source())
    script = tmp_path / "without.py"
    text = Path(keyframe_decoder.__file__).read_text()
    script.write_text(text.replace("import av", "import nothing_of_that_name"))
    with monkeypatch.context() as patch:
        patch.setattr(keyframe_decoder, "__file__", str(script))
        assert await decodes(info) is None
    with monkeypatch.context() as patch:
        patch.setattr(sys, "executable", "/nowhere/python")
        assert await decodes(info) is None
    script.write_text("import time; time.sleep(600)")
    with monkeypatch.context() as patch:
        patch.setattr(keyframe_decoder, "__file__", str(script))
        patch.setattr(decoding, "_WAIT_S", 0.2)
        async with asyncio.timeout(5):
            assert await decodes(info) is None


async def test_what_comes_over_is_what_was_read_and_not_what_was_sent(
    camera: Camera, tmp_path: Path
) -> None:
    """The real process: it finds the decoder, and keeps the picture."""
    house = House(tmp_path)
    (house.root / "vault").mkdir()
    host = RecordingHost(house.config.root)
    host.start()
    looked = await host.probe(camera.source(), decode=True)
    assert (looked.decodes, looked.keyframe) == (True, b"")
    assert (await host.probe(camera.source())).decodes is None
    await host.stop()
