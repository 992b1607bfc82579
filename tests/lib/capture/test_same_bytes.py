"""A recording of ours and one by ``ffmpeg -c copy`` of one stream hold the same bytes."""

import hashlib
import io
import subprocess
from pathlib import Path

import av

from roomwitness.capture import StreamSource
from tests.peers import gstreamer

from .test_recorder import Run, until


def pictures(data: bytes) -> list[tuple[str, int]]:
    """A digest of every access unit's NAL units, all of them, and how many they are.

    ffmpeg cuts what RTP delivers into other packets than access units, so units are put together
    again: a new one begins with parameter sets, SEI or a first slice after a slice (ITU-T H.264,
    7.4.1.2.3).
    """
    units: list[list[bytes]] = [[]]
    shown = False
    with av.open(io.BytesIO(data)) as container:
        stream = container.streams.video[0]
        for packet in container.demux(stream):
            raw, at = bytes(packet), 0
            while at + 4 <= len(raw):
                size = int.from_bytes(raw[at : at + 4])
                nal = raw[at + 4 : at + 4 + size]
                at += 4 + size
                kind = nal[0] & 31
                first = kind in (1, 5) and bool(nal[1] & 0x80)
                if shown and (first or kind in (6, 7, 8, 9)):
                    units.append([])
                    shown = False
                shown = shown or kind in (1, 5)
                units[-1].append(nal)
    return [
        (hashlib.sha256(b"".join(len(n).to_bytes(4) + n for n in unit)).hexdigest(), len(unit))
        for unit in units
        if unit
    ]


async def test_the_same_access_units_as_ffmpeg_copy(tmp_path: Path) -> None:
    other = tmp_path / "ffmpeg.mp4"
    with gstreamer(fps=10, gop=10) as (url, _):
        silent = url.replace("/cam", "/silent")
        run = Run(StreamSource(silent), segment_seconds=1.0)
        await run.segments(1)
        command = ["ffmpeg", "-nostdin", "-v", "error", "-rtsp_transport", "tcp", "-i", silent]
        peer = subprocess.Popen([*command, "-t", "4", "-c", "copy", other])
        await until(lambda: peer.poll() is not None)
        await run.segments(1)
        sink = await run.stop()
    assert peer.returncode == 0
    ours = [unit for segment in sink.closed for unit in pictures(bytes(segment.data))]
    theirs = pictures(other.read_bytes())
    # ffmpeg starts and ends where it likes: compare from its second whole GOP to before its last.
    keys = [place for place, (_, nals) in enumerate(theirs) if nals >= 3]
    common = theirs[keys[1] : keys[-1]]
    assert len(common) >= 20
    assert len(set(common)) > len(common) // 2  # A ball that goes round may come by again.
    assert any(ours[at : at + len(common)] == common for at in range(len(ours)))
