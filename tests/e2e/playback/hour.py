"""An hour of a meeting, recorded in injected time: cuts, an outage, losses, a new size.

Every picture says which second it is of, for a person in digits and for a test in a row of bits.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from fractions import Fraction

import av
import numpy as np
from PIL import Image, ImageDraw, ImageFont

from roomwitness.capture.codecs.h264 import H264Depacketizer
from roomwitness.capture.coverage import Coverage
from roomwitness.capture.gaps import Gap
from roomwitness.capture.rtp import Track
from roomwitness.capture.segmenter import Segmenter
from roomwitness.capture.timeline import SegmentClock
from roomwitness.policy.words import GapCause
from roomwitness.vault import Gap as GapRow
from roomwitness.vault import SegmentSummary, SegmentWriter
from roomwitness.vault.store import Vault
from tests.camera.media import Unit, split_nals
from tests.camera.rtp import Sender

START = datetime(2026, 11, 2, 9, 0, tzinfo=UTC)
SECONDS = 3600
FPS = 4
BITS = 12
SMALL, LARGE = (320, 180), (480, 270)
LARGER_AT = 1200  # The camera is set to another size.
OUTAGE = (1800, 1823)
LOSS = (2401, 10)  # So many packets from that second on.


class _Out:
    def __init__(self, writer: SegmentWriter, row: Callable[[Gap], GapRow]) -> None:
        self._writer = writer
        self._row = row
        self.write, self.flush, self.abort = writer.write, writer.flush, writer.abort

    def close(
        self, *, start: datetime, end: datetime, media_seconds: float, frames: int,
        lost_packets: int, clock_offset_s: float | None, clock: SegmentClock,
        gaps: tuple[Gap, ...],
    ) -> None:  # fmt: skip
        del clock_offset_s, clock
        self._writer.close(
            SegmentSummary(
                start=start,
                end=end,
                media_seconds=media_seconds,
                frames=frames,
                lost_packets=lost_packets,
                gaps=tuple(map(self._row, gaps)),
            )
        )


@dataclass
class Sink:
    """Capture's sink over a vault."""

    vault: Vault
    recording: str

    def open(self, start: datetime) -> _Out:
        return _Out(self.vault.segment_writer(self.recording, start), self._row)

    def open_metadata(self, start: datetime) -> _Out:
        raise NotImplementedError

    def gap(self, gap: Gap) -> None:
        self.vault.add_gap(self._row(gap))

    def _row(self, gap: Gap) -> GapRow:
        return GapRow(
            recording_id=self.recording,
            start=gap.start,
            end=gap.end,
            cause=gap.cause,
            lost_packets=gap.lost_packets,
            id=gap.id,
        )

    def clock(self, event: object) -> None:
        """An hour without any."""

    def status(self, status: object) -> None:
        """Nobody looks."""


class _Encoder:
    def __init__(self, size: tuple[int, int]) -> None:
        self._size = size
        self._font = ImageFont.load_default(size[1] // 4)
        self._drawn: tuple[int, np.ndarray] | None = None
        encoder = av.CodecContext.create("libx264", "w")
        encoder.width, encoder.height = size
        encoder.pix_fmt, encoder.time_base = "yuv420p", Fraction(1, FPS)
        encoder.framerate, encoder.thread_count = Fraction(FPS), 1
        encoder.options = {
            "preset": "ultrafast",
            "tune": "zerolatency",
            "x264-params": f"keyint={4 * FPS}:scenecut=0:repeat-headers=1",
        }
        self._encoder = encoder

    def encode(self, number: int) -> Unit:
        second = number // FPS
        if self._drawn is None or self._drawn[0] != second:
            self._drawn = second, self._draw(second)
        frame = av.VideoFrame.from_ndarray(self._drawn[1], format="gray").reformat(format="yuv420p")
        frame.pts = number
        (packet,) = self._encoder.encode(frame)
        return Unit("video", number / FPS, split_nals(bytes(packet)), bool(packet.is_keyframe))

    def _draw(self, second: int) -> np.ndarray:
        width, height = self._size
        image = Image.new("L", self._size, 60)
        draw = ImageDraw.Draw(image)
        text = str(START + timedelta(seconds=second))[11:19]
        draw.text((width // 8, height // 3), text, font=self._font, fill=255)
        for bit in range(BITS):
            left = width * bit // BITS
            draw.rectangle((left, 0, left + width // BITS, height // 5), 255 * (second >> bit & 1))
        return np.asarray(image)


def record(vault: Vault, recording: str) -> None:
    """The hour, as capture records it."""
    sink = Sink(vault, recording)
    coverage = Coverage(START, GapCause.CONNECTING, sink.gap)
    sender = Sender("video")
    encoder = _Encoder(SMALL)
    now = START
    sent_lost = 0

    def connect() -> tuple[Track, Segmenter]:
        segmenter = Segmenter(sink, coverage, segment_seconds=60, sound=None)
        deliver: Callable[..., None] = lambda unit: segmenter.picture(unit, track, now)  # noqa: E731
        track = Track(96, 90000, H264Depacketizer(deliver))
        return track, segmenter

    track, segmenter = connect()
    for number in range(SECONDS * FPS):
        second = number / FPS
        now = START + timedelta(seconds=second)
        if second == LARGER_AT:
            encoder = _Encoder(LARGE)
        packets = list(sender.pack(encoder.encode(number)))
        if second == OUTAGE[0]:
            segmenter.finish(track, GapCause.CONNECTION_LOST)
            coverage.broken(GapCause.CONNECTION_LOST, now)
            track, segmenter = connect()
        if OUTAGE[0] <= second < OUTAGE[1]:
            continue
        for packet in packets:
            if second >= LOSS[0] and sent_lost < LOSS[1]:
                sent_lost += 1
                continue
            track.rtp(memoryview(packet), 0, len(packet))
    segmenter.finish(track, GapCause.RESTART)
    coverage.finish(now)
