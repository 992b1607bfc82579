"""A film that can be played for ever, whose every picture can be known again in a recording."""

import hashlib
import io
import subprocess
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import av


def _key(nals: Iterable[bytes]) -> bytes:
    """What a picture is known by: its slices (ITU-T H.264, table 7-1), not what is sent around."""
    digest = hashlib.blake2b(digest_size=12)
    for nal in nals:
        if nal and 1 <= nal[0] & 31 <= 5:
            digest.update(nal)
    return digest.digest()


def _split(data: bytes) -> list[bytes]:
    """NAL units of an Annex B byte stream (ITU-T H.264, annex B)."""
    pieces = data.replace(b"\x00\x00\x00\x01", b"\x00\x00\x01").split(b"\x00\x00\x01")
    return [piece.rstrip(b"\x00") for piece in pieces if piece]


def _lengths(data: bytes) -> list[bytes]:
    """NAL units behind four-byte lengths (ISO/IEC 14496-15)."""
    found, at = [], 0
    while at + 4 <= len(data):
        size = int.from_bytes(data[at : at + 4])
        found.append(data[at + 4 : at + 4 + size])
        at += 4 + size
    return found


@dataclass(frozen=True)
class Film:
    """``folder`` holds an access unit a file; ``places`` says which picture a key belongs to."""

    folder: Path
    fps: int
    places: dict[bytes, int]
    bytes: int

    @property
    def mbit_s(self) -> float:
        return self.bytes * 8 / 1e6 / (len(self.places) / self.fps)


def make(
    folder: Path, *, size: str, mbit_s: float, fps: int = 25, seconds: int = 10, slices: int = 2
) -> Film:
    """Encode H.264 with a keyframe every two seconds; noise, so that it fills its bit rate.

    A picture has so many ``slices`` on every machine: by itself x264 makes as many as there are
    processors.
    """
    folder.mkdir(parents=True)
    rate = f"{round(mbit_s * 1000)}k"
    source = f"testsrc2=size={size}:rate={fps},noise=alls=8:allf=t"
    done = subprocess.run(
        [
            *("ffmpeg", "-v", "error", "-nostdin", "-f", "lavfi", "-i", source),
            *("-frames:v", str(fps * seconds), "-c:v", "libx264", "-preset", "veryfast"),
            *("-tune", "zerolatency", "-profile:v", "main", "-b:v", rate, "-maxrate", rate),
            *("-bufsize", rate, "-g", str(2 * fps), "-keyint_min", str(2 * fps)),
            *("-sc_threshold", "0", "-x264-params"),
            *(f"repeat-headers=1:sliced-threads=0:slices={slices}", "-f", "h264", "-"),
        ],
        check=True,
        capture_output=True,
    )
    places: dict[bytes, int] = {}
    with av.open(io.BytesIO(done.stdout), "r", format="h264") as container:
        units = [bytes(p) for p in container.demux(video=0) if p.size]
    for number, unit in enumerate(units):
        (folder / f"{number:05d}.h264").write_bytes(unit)
        places[_key(_split(unit))] = number
    if len(places) != len(units):
        raise SystemExit("two pictures of the film are the same")
    return Film(folder, fps, places, sum(map(len, units)))


def pictures(film: Film, segment: bytes) -> list[tuple[float, int | None]]:
    """Seconds from the segment's start, and which picture of the film it is; by an independent
    reader of MP4 (PyAV)."""
    found = []
    with av.open(io.BytesIO(segment), "r") as container:
        base = container.streams.video[0].time_base or 0
        for packet in container.demux(video=0):
            if packet.size and packet.pts is not None:
                place = film.places.get(_key(_lengths(bytes(packet))))
                found.append((float(packet.pts * base), place))
    return found
