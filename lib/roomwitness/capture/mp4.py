"""Fragmented MP4 (ISO/IEC 14496-12, 14496-15 for AVC): an initialization, then moof and mdat."""

import struct
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction

from .aac import AacFormat
from .sps import picture_size

VIDEO, AUDIO = 1, 2
VIDEO_TIMESCALE = 90000
_MATRIX = struct.pack(">9I", 0x10000, 0, 0, 0, 0x10000, 0, 0, 0, 0x40000000)
_SYNC, _NOT_SYNC = 0x02000000, 0x01010000


@dataclass(frozen=True, slots=True)
class VideoFormat:
    """Parameter sets; ``in_band`` says that the stream repeats them (14496-15: avc3, not avc1)."""

    sps: bytes
    pps: bytes
    in_band: bool


@dataclass(slots=True)
class Sample:
    """One coded picture or sound frame; ``time`` is presentation time in ticks of its track."""

    time: int
    parts: Sequence[bytes]
    size: int
    key: bool = True


def _box(kind: bytes, *parts: bytes) -> bytes:
    return struct.pack(">I4s", 8 + sum(map(len, parts)), kind) + b"".join(parts)


def _full(kind: bytes, version: int, flags: int, *parts: bytes) -> bytes:
    return _box(kind, struct.pack(">I", version << 24 | flags), *parts)


def initialization(video: VideoFormat, audio: AacFormat | None) -> bytes:
    """The ftyp and moov boxes."""
    width, height = picture_size(video.sps)
    tracks = [
        _track(VIDEO, VIDEO_TIMESCALE, b"vide", _full(b"vmhd", 0, 1, bytes(8)), _avc(video),
               (width, height)),
    ]  # fmt: skip
    extends = [_trex(VIDEO)]
    if audio is not None:
        header = _full(b"smhd", 0, 0, bytes(4))
        tracks.append(_track(AUDIO, audio.clock_rate, b"soun", header, _mp4a(audio), None))
        extends.append(_trex(AUDIO))
    movie = _full(
        b"mvhd", 0, 0,
        struct.pack(">4I", 0, 0, 1000, 0), struct.pack(">IH10x", 0x10000, 0x100), _MATRIX,
        bytes(24), struct.pack(">I", AUDIO + 1),
    )  # fmt: skip
    brands = struct.pack(">4sI4s4s4s", b"iso6", 0, b"iso6", b"mp41", b"avc1")
    return _box(b"ftyp", brands) + _box(b"moov", movie, *tracks, _box(b"mvex", *extends))


def _trex(track: int) -> bytes:
    return _full(b"trex", 0, 0, struct.pack(">5I", track, 1, 0, 0, 0))


def _track(
    number: int,
    timescale: int,
    handler: bytes,
    media_header: bytes,
    entry: bytes,
    size: tuple[int, int] | None,
) -> bytes:
    width, height = size or (0, 0)
    volume = 0x100 if size is None else 0
    header = _full(
        b"tkhd", 0, 3, struct.pack(">5I8x", 0, 0, number, 0, 0),
        struct.pack(">4H", 0, 0, volume, 0), _MATRIX, struct.pack(">II", width << 16, height << 16),
    )  # fmt: skip
    empty = struct.pack(">I", 0)
    samples = _box(
        b"stbl",
        _full(b"stsd", 0, 0, struct.pack(">I", 1), entry),
        _full(b"stts", 0, 0, empty),
        _full(b"stsc", 0, 0, empty),
        _full(b"stsz", 0, 0, empty * 2),
        _full(b"stco", 0, 0, empty),
    )
    data = _box(b"dinf", _full(b"dref", 0, 0, struct.pack(">I", 1), _full(b"url ", 0, 1)))
    media = _box(
        b"mdia",
        _full(b"mdhd", 0, 0, struct.pack(">4I2H", 0, 0, timescale, 0, 0x55C4, 0)),
        _full(b"hdlr", 0, 0, struct.pack(">I4s12x", 0, handler), b"Room Witness\0"),
        _box(b"minf", media_header, data, samples),
    )
    return _box(b"trak", header, media)


def _avc(video: VideoFormat) -> bytes:
    width, height = picture_size(video.sps)
    sps, pps = video.sps, video.pps
    config = (
        bytes((1, sps[1], sps[2], sps[3], 0xFF, 0xE1))
        + struct.pack(">H", len(sps)) + sps + b"\x01" + struct.pack(">H", len(pps)) + pps
    )  # fmt: skip
    entry = struct.pack(
        ">6xH16xHHIIIH32xHh", 1, width, height, 0x480000, 0x480000, 0, 1, 0x18, -1
    )  # fmt: skip
    return _box(b"avc3" if video.in_band else b"avc1", entry, _box(b"avcC", config))


def _mp4a(audio: AacFormat) -> bytes:
    def descriptor(tag: int, *parts: bytes) -> bytes:
        body = b"".join(parts)
        return bytes((tag, 0x80, 0x80, 0x80, len(body))) + body

    # ISO/IEC 14496-1, 7.2.6: object type 0x40 is MPEG-4 audio, stream type 5 is sound.
    decoder = descriptor(
        4, struct.pack(">BB3xII", 0x40, 5 << 2 | 1, 0, 0), descriptor(5, audio.config)
    )
    es = descriptor(3, struct.pack(">HB", AUDIO, 0), decoder, descriptor(6, b"\x02"))
    rate = min(audio.clock_rate, 0xFFFF) << 16
    entry = struct.pack(">6xH8xHH4xI", 1, audio.channels, 16, rate)
    return _box(b"mp4a", entry, _full(b"esds", 0, 0, es))


def fragment(
    sequence: int, video: Sequence[Sample], video_end: int, audio: Sequence[Sample], audio_end: int
) -> list[bytes]:
    """One moof and mdat, as pieces to write in order.

    Samples are in decoding order with times relative to the segment's start. ``*_end`` is when the
    next sample of the track is shown. Pictures that are shown in another order than they are
    decoded in get decoding times by sorting, and signed composition offsets.
    """
    runs = [(VIDEO, video, video_end)] if video else []
    if audio:
        runs.append((AUDIO, audio, audio_end))
    size = 8 + 16 + sum(_traf_size(samples) for _, samples, _ in runs)
    trafs, offset = [], size + 8
    for track, samples, end in runs:
        trafs.append(_traf(track, samples, end, offset))
        offset += sum(s.size for s in samples)
    head = struct.pack(">I4s", size, b"moof") + _full(b"mfhd", 0, 0, struct.pack(">I", sequence))
    pieces = [head, *trafs, struct.pack(">I4s", offset - size, b"mdat")]
    for _, samples, _ in runs:
        for sample in samples:
            pieces += sample.parts
    return pieces


def _traf_size(samples: Sequence[Sample]) -> int:
    return 8 + 16 + 20 + 20 + 16 * len(samples)


def _traf(track: int, samples: Sequence[Sample], end: int, offset: int) -> bytes:
    times = sorted(s.time for s in samples)
    ends = [*times[1:], max(end, times[-1])]
    rows: list[int] = []
    for sample, time, following in zip(samples, times, ends, strict=True):
        flags = _SYNC if sample.key else _NOT_SYNC
        rows += (following - time, sample.size, flags, sample.time - time & 0xFFFFFFFF)
    header = _full(b"tfhd", 0, 0x020000, struct.pack(">I", track))
    start = _full(b"tfdt", 1, 0, struct.pack(">Q", max(0, times[0])))
    run = _full(
        b"trun", 1, 0x000F01, struct.pack(">Ii", len(samples), offset),
        struct.pack(f">{len(rows)}I", *rows),
    )  # fmt: skip
    return _box(b"traf", header, start, run)


def seconds(ticks: int, timescale: int) -> float:
    """Ticks as seconds."""
    return float(Fraction(ticks, timescale))
