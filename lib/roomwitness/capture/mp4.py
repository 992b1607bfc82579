"""Fragmented MP4 (ISO/IEC 14496-12): an initialization, then moof and mdat. It knows no codec."""

import struct
from collections.abc import Sequence
from dataclasses import dataclass
from operator import sub
from typing import Protocol

from .boxes import box, full
from .codecs.base import SoundFormat, VideoFormat

VIDEO, AUDIO = 1, 2
VIDEO_TIMESCALE = 90000
_MATRIX = struct.pack(">9I", 0x10000, 0, 0, 0, 0x10000, 0, 0, 0, 0x40000000)
_SYNC, _NOT_SYNC = 0x02000000, 0x01010000
_TRAF = 8 + 16 + 20 + 20  # Bytes, without its samples' rows.


class Sample(Protocol):
    """One coded picture or sound frame; ``time`` is presentation time in ticks of its track."""

    time: int
    parts: list[bytes]
    size: int
    key: bool


@dataclass(slots=True)
class SoundFrame:
    """One of sound; each can be played by itself."""

    time: int
    parts: list[bytes]
    size: int
    key: bool = True


def initialization(video: VideoFormat, sound: SoundFormat | None, sound_lead: int = 0) -> bytes:
    """The ftyp and moov boxes.

    ``sound_lead`` is how many ticks of the sound are shown before the first picture: by an edit
    list (8.6.6), for decoding times are never negative.

    Raises:
        StreamUnsupported: the picture's parameter sets make no sense.
    """
    tracks = [
        _track(VIDEO, VIDEO_TIMESCALE, b"vide", full(b"vmhd", 0, 1, bytes(8)),
               video.sample_entry(), video.size, 0),
    ]  # fmt: skip
    extends = [_trex(VIDEO)]
    if sound is not None:
        header = full(b"smhd", 0, 0, bytes(4))
        entry = sound.sample_entry()
        tracks.append(_track(AUDIO, sound.clock_rate, b"soun", header, entry, None, sound_lead))
        extends.append(_trex(AUDIO))
    movie = full(
        b"mvhd", 0, 0,
        struct.pack(">4I", 0, 0, 1000, 0), struct.pack(">IH10x", 0x10000, 0x100), _MATRIX,
        bytes(24), struct.pack(">I", AUDIO + 1),
    )  # fmt: skip
    brands = struct.pack(">4sI4s4s", b"iso6", 0, b"iso6", b"mp41")
    return box(b"ftyp", brands) + box(b"moov", movie, *tracks, box(b"mvex", *extends))


def _trex(track: int) -> bytes:
    return full(b"trex", 0, 0, struct.pack(">5I", track, 1, 0, 0, 0))


def _track(
    number: int,
    timescale: int,
    handler: bytes,
    media_header: bytes,
    entry: bytes,
    size: tuple[int, int] | None,
    lead: int,
) -> bytes:
    width, height = size or (0, 0)
    volume = 0x100 if size is None else 0
    header = full(
        b"tkhd", 0, 3, struct.pack(">5I8x", 0, 0, number, 0, 0),
        struct.pack(">4H", 0, 0, volume, 0), _MATRIX, struct.pack(">II", width << 16, height << 16),
    )  # fmt: skip
    empty = struct.pack(">I", 0)
    samples = box(
        b"stbl",
        full(b"stsd", 0, 0, struct.pack(">I", 1), entry),
        full(b"stts", 0, 0, empty),
        full(b"stsc", 0, 0, empty),
        full(b"stsz", 0, 0, empty * 2),
        full(b"stco", 0, 0, empty),
    )
    data = box(b"dinf", full(b"dref", 0, 0, struct.pack(">I", 1), full(b"url ", 0, 1)))
    media = box(
        b"mdia",
        full(b"mdhd", 0, 0, struct.pack(">4I2H", 0, 0, timescale, 0, 0x55C4, 0)),
        full(b"hdlr", 0, 0, struct.pack(">I4s12x", 0, handler), b"Room Witness\0"),
        box(b"minf", media_header, data, samples),
    )
    if not lead:
        return box(b"trak", header, media)
    # Of no length: as long as the fragments that follow.
    edit = full(b"elst", 0, 0, struct.pack(">IIi2H", 1, 0, lead, 1, 0))
    return box(b"trak", header, box(b"edts", edit), media)


def fragment(
    sequence: int,
    video: Sequence[Sample],
    video_end: int,
    audio: Sequence[Sample],
    audio_end: int,
    lead: int = 0,
    first: int = 0,
) -> bytes:
    """One moof and mdat.

    Samples are in decoding order; sound's times count from the segment's start, the pictures' (and
    ``video_end``) from wherever ``first`` is that start. ``*_end`` is when the next sample of the
    track is shown. Pictures that are shown in another order than they are decoded in (B-frames)
    get decoding times by sorting, and signed composition offsets (8.8.8).
    ``lead`` moves the segment's decoding times on, by as much as its earliest picture is shown
    before its first one (leading pictures of H.265): decoding times are never negative.
    """
    runs = [(VIDEO, video, video_end, lead, first)] if video else []
    if audio:
        runs.append((AUDIO, audio, audio_end, 0, 0))
    size = 8 + 16 + sum(_TRAF + 16 * len(samples) for _, samples, _, _, _ in runs)
    pieces, trafs, offset = [b"", b""], [], size + 8
    for track, samples, end, ahead, origin in runs:
        trafs.append(_traf(track, samples, end, offset, ahead, origin))
        for sample in samples:
            pieces += sample.parts
            offset += sample.size
    head = struct.pack(">I4s", size, b"moof") + full(b"mfhd", 0, 0, struct.pack(">I", sequence))
    pieces[0] = b"".join((head, *trafs))
    pieces[1] = struct.pack(">I4s", offset - size, b"mdat")
    return b"".join(pieces)


def _traf(
    track: int, samples: Sequence[Sample], end: int, offset: int, lead: int, first: int
) -> bytes:
    shown = [s.time for s in samples]
    times = sorted(shown)
    last = max(end, times[-1])
    if times != shown and len(times) > 1:
        # The next picture to be shown may come after the next to be decoded: it follows as the
        # others did.
        last = min(last, times[-1] + times[-1] - times[-2])
    rows = [0] * (4 * len(samples))
    rows[0::4] = map(sub, [*times[1:], last], times, strict=True)
    rows[1::4] = [sample.size for sample in samples]
    rows[2::4] = [_SYNC if sample.key else _NOT_SYNC for sample in samples]
    if lead or times != shown:
        rows[3::4] = [a - b - lead & 0xFFFFFFFF for a, b in zip(shown, times, strict=True)]
    header = full(b"tfhd", 0, 0x020000, struct.pack(">I", track))
    start = full(b"tfdt", 1, 0, struct.pack(">Q", max(0, times[0] - first + lead)))
    run = full(
        b"trun", 1, 0x000F01, struct.pack(">Ii", len(samples), offset),
        struct.pack(f">{len(rows)}I", *rows),
    )  # fmt: skip
    return box(b"traf", header, start, run)


def seconds(ticks: int, timescale: int) -> float:
    """Ticks as seconds."""
    return ticks / timescale
