"""A camera whose line and encoder fail on time, and that knows what it sent.

Everything runs by the event loop's clock, so that an hour of it takes no hour.
"""

import asyncio
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal, cast

from .config import CameraConfig, Faults
from .media import SOUND_RATE, SOUND_SAMPLES, Media, Unit
from .rtp import Form, Sender, piece_of
from .rtsp import RtspServer, Session

type Kind = Literal[
    "drop", "duplicate", "reorder", "runt", "truncate", "long", "short", "garbage",
    "delay", "drip", "stall", "withhold", "restart", "reset", "half-close",
    "cut", "headless", "unknown",
]  # fmt: skip

# Each changes so many packets of the picture, one after the other.
PACKETS: tuple[Kind, ...] = (
    *("drop", "duplicate", "reorder", "runt", "truncate", "long", "short", "garbage"),
)
# Each leaves something out of so many pictures, and numbers the packets as if there were nothing:
# the end of a unit, the beginning of one, a packet of a kind that nobody has defined.
CODING: tuple[Kind, ...] = ("cut", "headless", "unknown")
_SOUND_S = SOUND_SAMPLES / SOUND_RATE
_DRIP_EVERY_S = 0.01


@dataclass(frozen=True)
class Fault:
    """``at`` seconds after the camera's start; ``count`` packets, or for ``seconds``.

    ``channel`` is the interleaved one whose packets it changes: 0 the picture's, 2 the sound's,
    4 the metadata's.
    """

    kind: Kind
    at: float
    count: int = 1
    seconds: float = 1.0
    channel: int = 0


class FilmMedia:
    """In the place of an encoder: a film, a picture of it every 1/``fps`` seconds, for ever."""

    sound_config = bytes.fromhex("1408")  # AAC, 16 kHz, one channel.

    def __init__(
        self, film: Callable[[int], Unit], fps: int, epoch: float, form: Form = "h264",
        beside: bool = False,
    ) -> None:  # fmt: skip
        self.audio = self.metadata = beside
        self.fps, self._film, self._epoch, self.form = fps, film, epoch, form
        self._listeners: list[Callable[[Unit], None]] = []
        first = film(0)
        if form == "h264":
            sets = {nal[0] & 31: nal for nal in first.nals}
            self.parameter_sets: tuple[bytes, ...] = sets[7], sets[8]
        else:
            sets = {nal[0] >> 1 & 63: nal for nal in first.nals}
            self.parameter_sets = sets[32], sets[33], sets[34]
        self.paused: Callable[[Unit], bool] = lambda _unit: False
        self.sent: list[Unit] = []
        self.sent_beside: list[Unit] = []

    def listen(self, listener: Callable[[Unit], None]) -> Callable[[], None]:
        self._listeners.append(listener)
        return lambda: self._listeners.remove(listener)

    async def run(self) -> None:
        """Give a picture whenever it is time; ``sent`` has all, whoever listens."""
        loop, number, sounds = asyncio.get_running_loop(), 0, 0
        begin = loop.time()
        while True:
            due = begin + number / self.fps
            await asyncio.sleep(due - loop.time())
            plain = self._film(number)
            unit = Unit("video", self._epoch + due, plain.nals, plain.key)
            if not self.paused(unit):
                self.sent.append(unit)
                self._give(unit)
            while self.audio and sounds * _SOUND_S <= due - begin:
                mark = sounds.to_bytes(4) * 9
                self._give_beside(
                    Unit("audio", self._epoch + begin + sounds * _SOUND_S, (mark,), True)
                )
                sounds += 1
            if self.metadata:
                document = f'<a n="{number}">{"x" * 2000}</a>'.encode()
                self._give_beside(Unit("metadata", self._epoch + due, (document,), True))
            number += 1

    def _give_beside(self, unit: Unit) -> None:
        self.sent_beside.append(unit)
        self._give(unit)

    def _give(self, unit: Unit) -> None:
        for listener in tuple(self._listeners):
            listener(unit)


class FaultyCamera(RtspServer):
    """Serves a film; ``faults`` happen by themselves. ``chance`` decides what is left open."""

    def __init__(
        self,
        film: Callable[[int], Unit],
        faults: Sequence[Fault],
        *,
        epoch: float,
        fps: int = 25,
        mtu: int = 60,
        drift_ppm: float = 0.0,
        chance: random.Random | None = None,
        udp: bool = False,
        form: Form = "h264",
        beside: bool = False,
    ) -> None:
        self.film = FilmMedia(film, fps, epoch, form, beside)
        self.film.paused = self._paused
        super().__init__(CameraConfig(audio=False, udp=udp), Faults(), cast(Media, self.film))
        self._drift_ppm, self._mtu = drift_ppm, mtu
        self._chance = chance or random.Random(1)
        self._faults = sorted(faults, key=lambda fault: fault.at)
        self._armed: list[Fault] = []
        self._coding: list[Fault] = []
        self._spoiled = 0
        self._left = 0
        self._kept: bytes | None = None
        self._slow: Fault | None = None
        self._lines: dict[Session, bytearray] = {}
        self._frozen: dict[str, float] = {}
        self._tasks: list[asyncio.Task[None]] = []
        self._closed: set[Session] = set()
        self.happened: list[Fault] = []

    async def start(self) -> None:
        await super().start()
        loop = asyncio.get_running_loop()
        self._tasks = [loop.create_task(self.film.run()), loop.create_task(self._fail())]

    async def stop(self) -> None:
        for task in self._tasks:
            task.cancel()
        await super().stop()

    def sender(self, kind: str) -> Sender:
        return Sender(kind, self._mtu, self._drift_ppm, self.film.form, self._miscode)

    @property
    def url(self) -> str:
        return f"rtsp://127.0.0.1:{self.port}/stream"

    async def _fail(self) -> None:
        loop = asyncio.get_running_loop()
        begin = loop.time()
        for fault in self._faults:
            await asyncio.sleep(begin + fault.at - loop.time())
            self.happened.append(fault)
            if fault.kind in PACKETS or fault.kind == "reset":
                self._armed.append(fault)
            elif fault.kind in CODING:
                self._coding.append(fault)
            elif fault.kind in ("stall", "withhold"):
                self._frozen[fault.kind] = loop.time() + fault.seconds
            elif fault.kind == "restart":
                for session in self.sessions:
                    for sender in session.senders.values():
                        sender.restart()
            elif fault.kind == "half-close":
                for session in self.sessions:
                    if session.writer.can_write_eof():
                        session.writer.write_eof()
                        self._closed.add(session)
            elif self._slow is None:
                self._slow = fault
                self._tasks.append(loop.create_task(self._be_slow(fault)))

    def _paused(self, unit: Unit) -> bool:
        now, frozen = asyncio.get_running_loop().time(), self._frozen
        return now < frozen.get("stall", 0) or (unit.key and now < frozen.get("withhold", 0))

    async def _be_slow(self, fault: Fault) -> None:
        """What is sent meanwhile comes after ``seconds`` at once, or ``count`` bytes at a time."""
        loop = asyncio.get_running_loop()
        until = loop.time() + fault.seconds
        if fault.kind == "delay":
            await asyncio.sleep(fault.seconds)
        while loop.time() < until:
            await asyncio.sleep(_DRIP_EVERY_S)
            self._pour(fault.count)
        self._slow = None
        self._pour(None)
        self._lines.clear()

    def _pour(self, size: int | None) -> None:
        for session, line in self._lines.items():
            if self._open(session):
                session.writer.write(bytes(line[:size]))
            del line[:size]

    def _open(self, session: Session) -> bool:
        return session not in self._closed and not session.writer.transport.is_closing()

    def _miscode(self, payloads: list[bytes]) -> list[bytes]:
        """What an encoder makes of a picture that is sent in pieces."""
        pieces = [(n, piece_of(self.film.form, p)) for n, p in enumerate(payloads)]
        first = next((n for n, flags in pieces if flags is not None and flags & 0x80), None)
        if not self._coding or first is None:
            return payloads
        fault = self._coding[0]
        self._spoiled += 1
        if self._spoiled == fault.count:
            self._spoiled = 0
            self._coding.pop(0)
        if fault.kind == "cut":  # Before a piece that ends: behind it only a decoder could tell.
            last = next(
                n for n, flags in pieces if n > first and flags is not None and flags & 0x40
            )
            return payloads[: self._chance.randrange(first + 1, last + 1)]
        if fault.kind == "headless":
            return payloads[:first] + payloads[first + 1 :]
        strange = self._chance.randrange(len(payloads))
        head = payloads[strange][0]
        head = head & 0xE0 | 30 if self.film.form == "h264" else head & 0x81 | 60 << 1
        payloads[strange] = bytes((head,)) + payloads[strange][1:]
        return payloads

    def put(self, session: Session, channel: int, packet: bytes) -> None:
        """Send a packet, or what a fault makes of it."""
        data = b"$" + bytes((channel,)) + len(packet).to_bytes(2) + packet
        if self._armed and channel == self._armed[0].channel:
            data = self._spoil(data)
            if self._left < 0 and session.over:
                data = b""  # A datagram comes whole or not at all.
        self.deliver(session, data)
        if self._left < 0:
            self._left = 0
            session.cut()

    def write(self, session: Session, data: bytes) -> None:
        """Send bytes, or let them wait in the line."""
        if self._slow is not None and session.leave is not None:
            self._lines.setdefault(session, bytearray()).extend(data)
        elif self._open(session):
            session.writer.write(data)

    def _spoil(self, data: bytes) -> bytes:
        fault, chance = self._armed[0], self._chance
        self._left = self._left or fault.count
        self._left -= 1
        if not self._left:
            self._armed.pop(0)
        size = len(data) - 4
        match fault.kind:
            case "drop":
                return b""
            case "duplicate":
                return data * 2
            case "reorder":
                kept, self._kept = self._kept, None
                if kept is not None:
                    return data + kept
                self._kept = data
                if not self._left:
                    self._left = 1
                    self._armed.insert(0, fault)
                return b""
            case "runt":
                return data[:2] + (7).to_bytes(2) + data[4:11]
            case "truncate":
                return data[: 4 + chance.randrange(size)]
            case "long":
                return data[:2] + (size + chance.randrange(1, 3000)).to_bytes(2) + data[4:]
            case "short":
                return data[:2] + chance.randrange(size).to_bytes(2) + data[4:]
            case "garbage":
                return data + chance.randbytes(chance.randrange(1, 400))
            case _:  # A reset in the middle of a packet.
                self._armed, self._left = self._armed[bool(self._left) :], -1
                return data[: 4 + size // 2]
