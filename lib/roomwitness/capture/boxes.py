"""Boxes of ISO/IEC 14496-12, and the heads of its sample entries."""

import struct


def box(kind: bytes, *parts: bytes) -> bytes:
    """A box (4.2)."""
    return struct.pack(">I4s", 8 + sum(map(len, parts)), kind) + b"".join(parts)


def full(kind: bytes, version: int, flags: int, *parts: bytes) -> bytes:
    """A full box."""
    return box(kind, struct.pack(">I", version << 24 | flags), *parts)


def visual_entry(kind: bytes, size: tuple[int, int], *parts: bytes) -> bytes:
    """A visual sample entry (12.1.3): 72 dpi, 24 bits, one frame a sample."""
    head = struct.pack(">6xH16xHHIIIH32xHh", 1, *size, 0x480000, 0x480000, 0, 1, 0x18, -1)
    return box(kind, head, *parts)


def sound_entry(kind: bytes, channels: int, rate: int, *parts: bytes) -> bytes:
    """An audio sample entry (12.2.3); ``rate`` is in Hz, 0 where it does not fit in 16 bits."""
    head = struct.pack(">6xH8xHH4xI", 1, channels, 16, (rate if rate < 1 << 16 else 0) << 16)
    return box(kind, head, *parts)
