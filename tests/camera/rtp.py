"""RTP (RFC 3550) out: H.264 (RFC 6184), H.265 (RFC 7798), AAC-hbr (RFC 3640), sender reports."""

import random
from collections.abc import Callable, Iterator
from typing import Literal

from .media import SOUND_RATE, VIDEO_CLOCK, Unit

_MTU = 1400
_NTP = 2208988800

type Form = Literal["h264", "h265"]


def piece_of(form: Form, payload: bytes) -> int | None:
    """Flags of a fragment (0x80: the first of its unit, 0x40: its last); None if it is none."""
    if form == "h264":
        return payload[1] if payload[0] & 31 == 28 else None
    return payload[2] if payload[0] >> 1 & 63 == 49 else None


class Sender:
    """One track's packets; what is lost takes a sequence number and is not sent.

    ``spoil`` changes a picture's payloads before they are numbered.
    """

    def __init__(
        self,
        kind: str,
        mtu: int = _MTU,
        drift_ppm: float = 0.0,
        form: Form = "h264",
        spoil: Callable[[list[bytes]], list[bytes]] | None = None,
    ) -> None:
        self.kind, self.mtu, self.form, self.spoil = kind, mtu, form, spoil
        self.rate = 1 + drift_ppm / 1e6
        self.payload_type = {"video": 96, "audio": 97, "metadata": 98}[kind]
        self.clock = SOUND_RATE if kind == "audio" else VIDEO_CLOCK
        self.sequence = random.randrange(1 << 16)
        # Near the wrap, so that every longer test goes over it.
        self.offset = (1 << 32) - self.clock * 5
        self.ssrc = random.randrange(1 << 32)
        self.epoch: float | None = None
        self.packets = self.octets = 0

    def timestamp(self, time: float) -> int:
        if self.epoch is None:
            self.epoch = time
        ticks = round((time - self.epoch) * self.rate * self.clock)
        return ticks + self.offset & 0xFFFFFFFF

    def restart(self) -> None:
        """Count anew, as after a restart of the encoder."""
        self.ssrc, self.sequence = random.randrange(1 << 32), random.randrange(1 << 16)
        self.offset = random.randrange(1 << 32)

    def pack(self, unit: Unit) -> Iterator[bytes]:
        """The unit's RTP packets."""
        video = self._h264 if self.form == "h264" else self._h265
        pack = {"video": video, "audio": self._aac, "metadata": self._metadata}[self.kind]
        payloads = list(pack(unit))
        if self.spoil is not None and self.kind == "video":
            payloads = self.spoil(payloads)
        for number, payload in enumerate(payloads, 1):
            marker = 0x80 if number == len(payloads) else 0
            head = bytes((0x80, marker | self.payload_type))
            head += self.sequence.to_bytes(2) + self.timestamp(unit.time).to_bytes(4)
            self.sequence = self.sequence + 1 & 0xFFFF
            self.packets += 1
            self.octets += len(payload)
            yield head + self.ssrc.to_bytes(4) + payload

    def _h264(self, unit: Unit) -> Iterator[bytes]:
        small = [nal for nal in unit.nals if nal[0] & 31 in (6, 7, 8)]
        if small:  # Parameter sets together: STAP-A.
            yield b"\x78" + b"".join(len(nal).to_bytes(2) + nal for nal in small)
        for nal in unit.nals:
            if nal[0] & 31 in (6, 7, 8, 9):
                continue
            if len(nal) <= self.mtu:
                yield nal
                continue
            pieces = [nal[i : i + self.mtu] for i in range(1, len(nal), self.mtu)]
            for number, piece in enumerate(pieces):
                flags = (0x80 if number == 0 else 0) | (0x40 if number == len(pieces) - 1 else 0)
                yield bytes((nal[0] & 0xE0 | 28, flags | nal[0] & 31)) + piece

    def _h265(self, unit: Unit) -> Iterator[bytes]:
        small = [nal for nal in unit.nals if nal[0] >> 1 & 63 >= 32]
        if small:  # AP.
            yield b"\x60\x01" + b"".join(len(nal).to_bytes(2) + nal for nal in small)
        for nal in unit.nals:
            kind = nal[0] >> 1 & 63
            if kind >= 32:
                continue
            if len(nal) <= self.mtu:
                yield nal
                continue
            pieces = [nal[i : i + self.mtu] for i in range(2, len(nal), self.mtu)]
            for number, piece in enumerate(pieces):
                flags = (0x80 if number == 0 else 0) | (0x40 if number == len(pieces) - 1 else 0)
                yield bytes((nal[0] & 0x81 | 49 << 1, nal[1], flags | kind)) + piece

    @staticmethod
    def _aac(unit: Unit) -> Iterator[bytes]:
        (frame,) = unit.nals
        yield b"\x00\x10" + (len(frame) << 3).to_bytes(2) + frame

    @staticmethod
    def _metadata(unit: Unit) -> Iterator[bytes]:
        (document,) = unit.nals
        for start in range(0, len(document), _MTU):
            yield document[start : start + _MTU]

    def report(self, now: float, clock_offset_s: float) -> bytes:
        """A sender report (RFC 3550, 6.4.1)."""
        wall = now + clock_offset_s + _NTP
        body = self.ssrc.to_bytes(4) + int(wall).to_bytes(4)
        body += int(wall % 1 * (1 << 32)).to_bytes(4) + self.timestamp(now).to_bytes(4)
        body += self.packets.to_bytes(4) + (self.octets & 0xFFFFFFFF).to_bytes(4)
        return b"\x80\xc8" + (len(body) // 4).to_bytes(2) + body

    def goodbye(self) -> bytes:
        """RFC 3550, 6.6."""
        return b"\x81\xcb\x00\x01" + self.ssrc.to_bytes(4)
