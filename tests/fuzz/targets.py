"""One function a part that reads what a camera sent.

Each takes any bytes, may raise nothing (our own errors are taken), and measures what is held.
"""

import asyncio
import base64
import contextlib
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from types import FunctionType, ModuleType
from unittest import mock

from roomwitness.auth import Authorizer, choose
from roomwitness.capture import messages, sdp
from roomwitness.capture import transport as transports
from roomwitness.capture import tunnel as tunnels
from roomwitness.capture.codecs import (
    AccessUnit,
    aac,
    base,
    g711,
    gather,
    h264,
    h265,
    latm,
    metadata,
    nal,
    opus,
    registry,
    sound_codec,
    video_codec,
)
from roomwitness.capture.coverage import Coverage
from roomwitness.capture.errors import CaptureError, StreamUnsupported
from roomwitness.capture.redirect import moved
from roomwitness.capture.rtp import Depacketizer, Track
from roomwitness.capture.segmenter import Segmenter
from roomwitness.capture.source import StreamSource
from roomwitness.capture.stream import Stream, choose_media
from roomwitness.capture.transport import RtspTransport
from roomwitness.policy.words import GapCause
from tests.fuzz.ways import Way, new_tunnel, ways_of_tunnel
from tests.lib.capture.memory import MemorySink

NOW = datetime(2026, 11, 2, 9, 0, tzinfo=UTC)
# With the bounds below nothing needs more; without a bound a few repetitions go over it.
HELD = 64 << 10
_UNSENT = 1024
_AGAIN = 40
_BOUNDS = {
    "MAX_UNIT_BYTES": 8192, "MAX_UNIT_PIECES": 512, "MAX_SOUND_BYTES": 4096, "_MAX_PIECES": 256,
    "MAX_DOCUMENT_BYTES": 4096, "MAX_SET_BYTES": 256, "MAX_SETS": 8,
}  # fmt: skip

CORPUS = Path(__file__).parents[1] / "lib" / "corpus"

type Target = Callable[[bytes], None]


def corpus(name: str) -> list[bytes]:
    """Inputs that once reached something new, or broke something: one in hexadecimal a line."""
    path = CORPUS / f"{name}.hex"
    return [bytes.fromhex(line) for line in path.read_text().split()] if path.exists() else []


@contextlib.contextmanager
def tight() -> Iterator[None]:
    """All bounds so low that small inputs reach them."""
    with contextlib.ExitStack() as stack:
        for module in (aac, base, g711, gather, h264, h265, latm, metadata, nal, opus):
            for name, value in _BOUNDS.items():
                if hasattr(module, name):
                    stack.enter_context(mock.patch.object(module, name, value))
        yield


def held(thing: object, seen: set[int] | None = None) -> int:
    """Bytes that an object keeps, itself or through others."""
    seen = set() if seen is None else seen
    if id(thing) in seen or isinstance(thing, type | ModuleType | FunctionType):
        return 0
    seen.add(id(thing))
    if isinstance(thing, bytes | bytearray | str):
        return len(thing)
    if isinstance(thing, dict):
        return sum(held(k, seen) + held(v, seen) for k, v in thing.items())
    if isinstance(thing, list | tuple | set | frozenset):
        return 8 * len(thing) + sum(held(one, seen) for one in thing)
    names = {n for kind in type(thing).__mro__ for n in getattr(kind, "__slots__", ())}
    values = [*getattr(thing, "__dict__", {}).values()]
    values += [getattr(thing, n) for n in names if hasattr(thing, n)]
    return sum(held(value, seen) for value in values)


class _Reader:
    def __init__(self, data: bytes) -> None:
        self.data, self.at = data, 0

    def byte(self) -> int:
        self.at += 1
        return self.data[self.at - 1] if self.at <= len(self.data) else 0

    def take(self, size: int) -> bytes:
        self.at += size
        return self.data[self.at - size : self.at]

    def pieces(self) -> Iterator[tuple[int, bytes]]:
        """Flags and a piece of the length that follows them, until nothing is left."""
        while self.at < len(self.data):
            flags, size = self.byte(), self.byte()
            yield flags, self.take(size)


_loop = asyncio.new_event_loop()


def tunnel(data: bytes) -> None:
    """What a web server says on both connections of a tunnel, again and again."""
    pieces = list(_Reader(data).pieces())

    async def run(ways: list[Way]) -> None:
        found, transport = new_tunnel()
        opening = asyncio.ensure_future(found.open())
        for _ in range(_AGAIN):
            for flags, piece in pieces:
                await asyncio.sleep(0)
                if transport.ended.done() or (opening.done() and opening.exception()):
                    break
                way = ways[0] if flags & 1 else ways[-1]
                way.feed(piece)
                if flags & 2:
                    way.end()
        await asyncio.sleep(0)
        kept = [way.protocol for way in ways if isinstance(way.protocol, tunnels._Answer)]
        assert sum(len(answer._data) for answer in kept) <= messages.MAX_HEAD + len(data)
        assert len(found._later) <= tunnels._MOST_LATER
        assert all(way.unsent <= _UNSENT + 1024 for way in ways)  # Its own head, and one answer.
        found.abort()
        opening.cancel()
        await asyncio.gather(opening, return_exceptions=True)
        assert opening.cancelled() or isinstance(opening.exception(), CaptureError | None)

    with (
        ways_of_tunnel() as ways,
        mock.patch.object(tunnels, "_GRACE_S", 0.0),
        mock.patch.object(transports, "MAX_UNSENT", _UNSENT),
    ):
        _loop.run_until_complete(run(ways))


def rtsp(data: bytes) -> None:
    """What a server sends, in pieces of any size, before and after there are channels."""
    reader = _Reader(data)

    async def run() -> None:
        got = 0

        def packet(_channel: int, view: memoryview, start: int, end: int) -> None:
            nonlocal got
            got += end - start
            assert 0 <= start <= end <= len(view)

        transport = RtspTransport(packet)
        way = Way(transport)
        if reader.byte() & 1:
            transport.plausible = lambda channel, second: channel < 4 and second & 0x7F in (96, 72)
        step = reader.byte() or 256
        rest = reader.data[2:] * 3
        for start in range(0, len(rest), step):
            if transport.ended.done():
                break
            piece = rest[start : start + step]
            room = transport.get_buffer(len(piece))
            assert len(room) >= len(piece)
            room[: len(piece)] = piece
            transport.buffer_updated(len(piece))
            if start % 7 == 0:
                transport.hurry()
        assert got <= len(rest)
        assert held(transport._stray) + len(transport._rest) <= len(rest)
        assert way.unsent <= _UNSENT + 64  # One answer goes over it at most.
        transport.take_stray()
        if transport.ended.done():
            assert isinstance(transport.ended.result(), CaptureError)

    with mock.patch.object(transports, "MAX_UNSENT", _UNSENT):
        _loop.run_until_complete(run())


def describe(data: bytes) -> None:
    """A session description and all that is read out of it."""
    text = data.decode("utf-8", "replace")
    first, _, rest = text.partition("\n")
    with contextlib.suppress(CaptureError):
        found = sdp.parse("v=0\n" + rest, sdp.base("rtsp://cam/live", first))
        for media in found.media:
            assert all(c > " " for c in media.control)
        offer = choose_media(found, audio=True)
        offer.video_codec.depacketizer(lambda _unit: None)
        if offer.sound is not None:
            offer.sound.format.sample_entry()
    with contextlib.suppress(CaptureError):
        source = StreamSource("rtsp://user:secret@cam/live")
        there = moved(source, first, None).endpoint()
        assert there.host.lower() == "cam" or not there.password


def auth(data: bytes) -> None:
    """Challenges, and what comes with an answer that was accepted."""
    *headers, info = data.decode("utf-8", "replace").split("\n")
    challenge = choose(headers)
    if challenge is not None:
        ours = Authorizer(challenge, "user", "secret-word")
        ours.informed(info)
        answer = ours.header("DESCRIBE", "rtsp://cam/live")
        assert "secret-word" not in answer
        assert held(ours) <= 40 * len(data) + 4096


def rtp(data: bytes) -> None:
    """RTP and RTCP packets of one track, and what is declared of them."""
    reader = _Reader(data)
    units: list[AccessUnit] = []
    sink = MemorySink()
    segmenter = Segmenter(
        sink, Coverage(NOW, GapCause.CONNECTING, sink.gap), segment_seconds=2.0, sound=None
    )

    def settle() -> None:
        came = units[:]
        units.clear()
        segmenter.pictures(came, track, NOW)

    track = Track(96, 90000, h264.H264Depacketizer(units.append), settle)
    pieces = list(reader.pieces())
    with contextlib.suppress(CaptureError):
        for _ in range(3):
            for flags, piece in pieces:
                packet = memoryview(piece)
                if flags & 1:
                    track.rtcp(packet, 0, len(piece), NOW)
                else:
                    head = bytes((0x80, 96 | flags & 0x80)) if flags & 2 else b""
                    whole = head + piece[len(head) :]
                    track.rtp(memoryview(whole), 0, len(whole))
                settle()
                segmenter.flush()
        segmenter.finish(track, GapCause.RESTART)
    assert track.lost >= 0
    for start, end, _, lost in sink.gaps:
        assert start <= end
        assert lost >= 0
    assert held(track) <= HELD + 3 * len(data)


def _media(kind: str, encoding: str, rate: int, channels: int = 1, **more: str) -> sdp.Media:
    return sdp.Media(kind, 96, encoding, rate, channels, "", more)


MEDIA: dict[str, sdp.Media] = {
    "H264": _media("video", "H264", 90000),
    "H265": _media("video", "H265", 90000),
    "MPEG4-GENERIC": _media("audio", "MPEG4-GENERIC", 16000, mode="AAC-hbr", config="1408"),
    "MP4A-LATM": _media("audio", "MP4A-LATM", 16000, cpresent="0", config="40002810"),
    "PCMA": _media("audio", "PCMA", 8000),
    "PCMU": _media("audio", "PCMU", 8000),
    "OPUS": _media("audio", "OPUS", 48000, 2),
}


def _use(unit: AccessUnit) -> None:
    if unit.format is not None:
        with contextlib.suppress(StreamUnsupported):
            assert unit.format.sample_entry()


def _depacketizer(encoding: str) -> Depacketizer:
    if encoding == metadata.ENCODING:
        return metadata.MetadataDepacketizer(lambda _time, _document: None)
    if encoding in registry.VIDEO:
        return video_codec(MEDIA[encoding]).depacketizer(_use)
    return sound_codec(MEDIA[encoding]).depacketizer(lambda _time, _frame: None)


def _codec(encoding: str) -> Target:
    def target(data: bytes) -> None:
        pieces = list(_Reader(data).pieces())
        with tight():
            depacketizer = _depacketizer(encoding)
            with contextlib.suppress(CaptureError):
                for turn in range(_AGAIN):
                    for flags, piece in pieces:
                        if flags & 2:
                            depacketizer.lose()
                        if flags & 4:
                            depacketizer.end()
                        time = turn * 100 + (flags >> 4) if flags & 8 else flags >> 4
                        view = memoryview(piece)
                        depacketizer.push(view, 0, len(piece), time, bool(flags & 1))
            assert held(depacketizer) <= HELD

    target.__doc__ = f"Payloads of {encoding}."
    return target


def parameters(data: bytes) -> None:
    """Parameter sets and sound configurations, as the session description holds them."""
    words = {"config": data.hex(), "mode": "AAC-hbr", "cpresent": "0"}
    for name in ("sprop-parameter-sets", "sprop-vps", "sprop-sps", "sprop-pps"):
        words[name] = base64.b64encode(data).decode()
    for encoding, plain in MEDIA.items():
        media = _media(plain.kind, encoding, plain.clock_rate, plain.channels, **words)
        with contextlib.suppress(CaptureError):
            if encoding in registry.VIDEO:
                depacketizer = video_codec(media).depacketizer(_use)
                depacketizer.push(memoryview(b"\x65\x80x"), 0, 3, 0, True)
            else:
                sound_codec(media).format.sample_entry()
    for read in (h264.picture_size, h265.picture_size):
        with contextlib.suppress(StreamUnsupported):
            width, height = read(data)
            assert width > 0
            assert height > 0


def stream(data: bytes) -> None:
    """A playing connection from its bytes to its pictures."""
    reader = _Reader(data)

    async def run() -> None:
        found = Stream(StreamSource("rtsp://cam/live"), lambda: NOW, 1.0)
        units = 0

        def picture(unit: AccessUnit) -> None:
            nonlocal units
            units += 1
            _use(unit)

        video = Track(96, 90000, h264.H264Depacketizer(picture))
        sound = Track(97, 8000, _depacketizer("PCMA"))
        found._routes = {0: video, 2: sound}
        transport = RtspTransport(found._packet)
        transport.plausible, transport.garbled = found._plausible, found._garbled
        transport.run = found._run
        for flags, piece in reader.pieces():
            framed = b"$" + bytes((flags & 3,)) + len(piece).to_bytes(2) + piece
            whole = framed if flags & 4 else piece
            if transport.ended.done():
                break
            room = transport.get_buffer(len(whole))
            room[: len(whole)] = whole
            transport.buffer_updated(len(whole))
        assert video.lost >= 0
        assert held(video) + held(sound) <= HELD + len(data)

    _loop.run_until_complete(run())


TARGETS: dict[str, Target] = {
    "rtsp": rtsp,
    "tunnel": tunnel,
    "sdp": describe,
    "auth": auth,
    "rtp": rtp,
    "stream": stream,
    "parameters": parameters,
    **{name.lower(): _codec(name) for name in (*MEDIA, metadata.ENCODING)},
}
