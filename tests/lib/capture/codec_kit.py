"""What tests of codecs share: descriptions, packets, encoded pictures, a segmenter run."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from fractions import Fraction

import av

from roomwitness.capture import sdp
from roomwitness.capture.codecs import AccessUnit
from roomwitness.capture.coverage import Coverage
from roomwitness.capture.rtp import Depacketizer, Track
from roomwitness.capture.segmenter import Segmenter
from roomwitness.policy.words import GapCause
from tests.camera.media import split_nals

from .memory import MemorySink

T = datetime(2026, 11, 2, 9, 0, tzinfo=UTC)


def media(kind: str, encoding: str, rate: int, channels: int = 1, **parameters: str) -> sdp.Media:
    return sdp.Media(kind, 96, encoding, rate, channels, "", parameters)


def push(target: Depacketizer, payload: bytes, time: int = 0, marker: bool = True) -> None:
    target.push(memoryview(payload), 0, len(payload), time, marker)


def encode(
    codec: str, params: str, count: int, size: tuple[int, int] = (320, 192)
) -> list[tuple[int, tuple[bytes, ...]]]:
    """Pictures in decoding order: presentation time in ticks of 90 kHz, NAL units."""
    encoder = av.CodecContext.create(f"lib{codec}", "w")
    encoder.width, encoder.height = size
    encoder.pix_fmt, encoder.time_base = "yuv420p", Fraction(1, 10)
    encoder.framerate = Fraction(10)
    encoder.options = {"preset": "ultrafast", f"{codec}-params": params}
    found = []
    for number in range(count + 1):
        frame = None
        if number < count:
            frame = av.VideoFrame(*size, "yuv420p")
            for plane in frame.planes:
                plane.update(bytes([(number * 7) % 255]) * plane.buffer_size)
            frame.pts = number
        found += [(int(p.pts) * 9000, split_nals(bytes(p))) for p in encoder.encode(frame)]
    return found


def run(
    depacketizer: Callable[[Callable[[AccessUnit], None]], Depacketizer],
    pictures: list[tuple[int, tuple[bytes, ...]]],
    segment_seconds: float = 1.0,
) -> MemorySink:
    sink = MemorySink()
    coverage = Coverage(T, GapCause.CONNECTING, sink.gap)
    segmenter = Segmenter(sink, coverage, segment_seconds=segment_seconds, sound=None)
    units: list[AccessUnit] = []
    packets = depacketizer(units.append)
    track = Track(96, 90000, packets)
    for time, nals in pictures:
        for number, one in enumerate(nals, 1):
            push(packets, one, time + 900_000, number == len(nals))
    for unit in units:
        now = T + timedelta(seconds=unit.time / 90000)
        segmenter.picture(unit, track, now)
    segmenter.finish(track, GapCause.RESTART)
    return sink
