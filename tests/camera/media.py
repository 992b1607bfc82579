"""The picture and the sound: live, with a burnt-in clock, encoded by PyAV in a thread."""

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from fractions import Fraction
from typing import Literal

import av
import numpy as np
from PIL import Image, ImageDraw, ImageFont

VIDEO_CLOCK = 90000
SOUND_RATE = 16000
SOUND_SAMPLES = 1024


@dataclass(frozen=True)
class Unit:
    """One access unit: NAL units without start codes, or one AAC frame. ``time`` in seconds."""

    kind: str
    time: float
    nals: tuple[bytes, ...]
    key: bool


def split_nals(data: bytes) -> tuple[bytes, ...]:
    """NAL units of an Annex B byte stream (ITU-T H.264, annex B)."""
    return tuple(
        piece.rstrip(b"\x00")
        for piece in data.replace(b"\x00\x00\x00\x01", b"\x00\x00\x01").split(b"\x00\x00\x01")
        if piece
    )


def scene(now: float) -> bytes:
    """A scene description (ONVIF Streaming Specification, 5.1.2.1.1), larger than a packet."""
    time = datetime.fromtimestamp(now, UTC).isoformat()
    return (
        '<?xml version="1.0" encoding="UTF-8"?><tt:MetadataStream'
        ' xmlns:tt="http://www.onvif.org/ver10/schema"><tt:VideoAnalytics>'
        f'<tt:Frame UtcTime="{time}"><!-- å {"x" * 2000} --></tt:Frame>'
        "</tt:VideoAnalytics></tt:MetadataStream>"
    ).encode()


class Media:
    """Encodes in real time while anybody listens; every listener gets the same units."""

    form: Literal["h264", "h265"] = "h264"

    def __init__(
        self,
        name: str,
        width: int,
        height: int,
        fps: int,
        gop: int,
        audio: bool,
        metadata: bool = False,
    ) -> None:
        self.metadata = metadata
        self.name, self.fps, self.gop, self.audio = name, fps, gop, audio
        self.size = (width, height)
        self.parameter_sets: tuple[bytes, ...] = (b"", b"")
        self.sound_config = b""
        self._listeners: list[Callable[[Unit], None]] = []
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None
        self._stop = threading.Event()
        self._open_encoder()
        self._sound = self._sound_encoder() if audio else None

    def _open_encoder(self) -> None:
        encoder = av.CodecContext.create("libx264", "w")
        encoder.width, encoder.height = self.size
        encoder.pix_fmt = "yuv420p"
        encoder.time_base = Fraction(1, self.fps)
        encoder.framerate = Fraction(self.fps)
        encoder.thread_count = 1
        encoder.options = {
            "preset": "ultrafast",
            "tune": "zerolatency",
            "x264-params": f"keyint={self.gop}:min-keyint={self.gop}:scenecut=0:repeat-headers=1",
        }
        encoder.open()
        self._encoder, self._encoded_size = encoder, self.size
        self._count = 0
        self.parameter_sets = (b"", b"")
        probe = av.CodecContext.create("libx264", "w")
        probe.width, probe.height = self.size
        probe.pix_fmt, probe.time_base = "yuv420p", Fraction(1, self.fps)
        probe.options = dict(encoder.options)
        probe.open()
        for packet in (*probe.encode(self._picture(0.0)), *probe.encode(None)):
            self._note_sets(split_nals(bytes(packet)))
            break

    def _note_sets(self, nals: tuple[bytes, ...]) -> None:
        found = {nal[0] & 31: nal for nal in nals}
        if 7 in found and 8 in found:
            self.parameter_sets = (found[7], found[8])

    def _sound_encoder(self) -> av.AudioCodecContext:
        encoder = av.CodecContext.create("aac", "w")
        assert isinstance(encoder, av.AudioCodecContext)
        encoder.sample_rate, encoder.layout, encoder.format = SOUND_RATE, "mono", "fltp"
        encoder.bit_rate = 32000
        encoder.open()
        self.sound_config = bytes(encoder.extradata or b"")
        return encoder

    def _picture(self, now: float) -> av.VideoFrame:
        width, height = self.size
        image = Image.new("RGB", self.size, (28, 40, 60))
        draw = ImageDraw.Draw(image)
        x = int(now * 80) % max(1, width - 60)
        draw.rectangle((x, height * 2 // 3, x + 60, height * 2 // 3 + 60), fill=(240, 160, 40))
        text = datetime.fromtimestamp(now).astimezone().strftime("%H:%M:%S.%f")[:-5]
        draw.text((16, 12), self.name, font=_font(height // 12), fill="white")
        draw.text((16, height // 4), text, font=_font(height // 6), fill="white")
        return av.VideoFrame.from_image(image).reformat(format="yuv420p")

    def listen(self, listener: Callable[[Unit], None]) -> Callable[[], None]:
        """Get units, from any thread's point of view; returns the way out."""
        with self._lock:
            self._listeners.append(listener)
            if self._thread is None:
                self._stop.clear()
                self._thread = threading.Thread(target=self._run, name="camera", daemon=True)
                self._thread.start()

        def leave() -> None:
            with self._lock:
                if listener in self._listeners:
                    self._listeners.remove(listener)

        return leave

    def close(self) -> None:
        """End the thread."""
        self._stop.set()
        if self._thread is not None:
            self._thread.join(5)

    def _run(self) -> None:
        begin, number, sounds = time.time(), 0, 0
        while not self._stop.is_set():
            with self._lock:
                if not self._listeners:
                    self._thread = None
                    return
            due = begin + number / self.fps
            time.sleep(max(0.0, due - time.time()))
            if self.size != self._encoded_size:
                self._open_encoder()
            self._video(due)
            if self.metadata:
                self._give(Unit("metadata", due, (scene(due),), True))
            while self._sound is not None and begin + sounds * SOUND_SAMPLES / SOUND_RATE <= due:
                self._tick(begin + sounds * SOUND_SAMPLES / SOUND_RATE, sounds)
                sounds += 1
            number += 1

    def _video(self, due: float) -> None:
        frame = self._picture(due)
        frame.pts = self._count
        self._count += 1
        for packet in self._encoder.encode(frame):
            nals = split_nals(bytes(packet))
            self._note_sets(nals)
            self._give(Unit("video", due, nals, packet.is_keyframe))

    def _tick(self, at: float, number: int) -> None:
        assert self._sound is not None
        samples = np.zeros((1, SOUND_SAMPLES), dtype=np.float32)
        if at % 1.0 < SOUND_SAMPLES / SOUND_RATE:
            samples[0] = 0.4 * np.sin(np.arange(SOUND_SAMPLES) * 2 * np.pi * 880 / SOUND_RATE)
        frame = av.AudioFrame.from_ndarray(samples, format="fltp", layout="mono")
        frame.sample_rate, frame.pts = SOUND_RATE, number * SOUND_SAMPLES
        frame.time_base = Fraction(1, SOUND_RATE)
        for packet in self._sound.encode(frame):
            self._give(Unit("audio", at, (bytes(packet),), True))

    def _give(self, unit: Unit) -> None:
        with self._lock:
            listeners = tuple(self._listeners)
        for listener in listeners:
            listener(unit)


_fonts: dict[int, ImageFont.ImageFont | ImageFont.FreeTypeFont] = {}


def _font(size: int) -> ImageFont.ImageFont | ImageFont.FreeTypeFont:
    return _fonts.setdefault(size, ImageFont.load_default(size=size))
