"""A server on a real socket that says what a test tells it to, byte for byte."""

import asyncio
import base64
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from typing import Self

from roomwitness.capture import StreamSource
from roomwitness.capture.codecs import AccessUnit
from roomwitness.capture.rtp import Track
from roomwitness.capture.stream import Stream
from tests.camera.media import Unit
from tests.camera.rtp import Sender

from .codec_kit import encode
from .test_recorder import utcnow


@dataclass(frozen=True)
class Ask:
    """A request; ``number`` counts those of its method, ``connection`` the connections, from 1."""

    method: str
    uri: str
    headers: dict[str, str]
    number: int
    connection: int
    port: int


type Say = str | bytes | None
type Answer = Say | Callable[[Ask], Say]

PICTURES = 12


def _film(codec: str) -> list[Unit]:
    params = "keyint=6:min-keyint=6:scenecut=0:bframes=0:repeat-headers=1"
    if codec == "x265":
        params += ":log-level=none"
    found = encode(codec, params, PICTURES)
    # H.264: a keyframe is an IDR; H.265: x265's are IDR_W_RADL, IDR_N_LP.
    keys = {5} if codec == "x264" else {19, 20}
    kinds = [{nal_kind(nal, codec) for nal in nals} for _, nals in found]
    return [
        Unit("video", time / 90000, nals, bool(keys & kind))
        for (time, nals), kind in zip(found, kinds, strict=True)
    ]


def nal_kind(nal: bytes, codec: str) -> int:
    return nal[0] & 31 if codec == "x264" else nal[0] >> 1 & 63


FILM = _film("x264")
FILM_H265 = _film("x265")


def joined(unit: Unit) -> bytes:
    """As it stands in a recording."""
    return b"".join(len(nal).to_bytes(4) + nal for nal in unit.nals)


def marked(unit: Unit, number: int, codec: str = "x264") -> Unit:
    """The same picture told from all others by a mark in an SEI."""
    mark = b"\x05" + number.to_bytes(4) + b"\x80"
    mark = (b"\x06" if codec == "x264" else b"\x4e\x01") + mark
    kinds = {1, 5} if codec == "x264" else set(range(32))
    slices = next(i for i, nal in enumerate(unit.nals) if nal_kind(nal, codec) in kinds)
    return Unit("video", number / 10, (*unit.nals[:slices], mark, *unit.nals[slices:]), unit.key)


def long_film(times: int) -> list[Unit]:
    """The film again and again."""
    return [marked(FILM[number % PICTURES], number) for number in range(times * PICTURES)]


SETS = {nal[0] & 31: nal for nal in FILM[0].nals}
SDP = f"""v=0
o=- 1 1 IN IP4 0.0.0.0
s=x
a=control:*
m=video 0 RTP/AVP 96
a=rtpmap:96 H264/90000
a=fmtp:96 packetization-mode=1; sprop-parameter-sets={base64.b64encode(SETS[7]).decode()}
a=control:track1
"""


def last_time(units: list[Unit]) -> int:
    """RTP time of the last picture, unwrapped, as a fresh sender and track count."""
    sender = Sender("video")
    first = sender.timestamp(units[0].time)
    return first + round((units[-1].time - units[0].time) * sender.clock)


def packets(units: list[Unit] | None = None, sender: Sender | None = None) -> list[bytes]:
    """The film's RTP packets."""
    sender = sender or Sender("video")
    return [packet for unit in units or FILM for packet in sender.pack(unit)]


def interleaved(found: list[bytes], channel: int = 0) -> bytes:
    return b"".join(b"$" + bytes((channel,)) + len(p).to_bytes(2) + p for p in found)


def with_body(body: str, length: int | None = None, headers: str = "") -> str:
    """A DESCRIBE answer; ``length`` is a lie."""
    size = len(body.replace("\n", "\r\n")) if length is None else length
    text = "RTSP/1.0 200 OK\nCSeq: {cseq}\nContent-Type: application/sdp\n"
    return f"{text}{headers}Content-Length: {size}\n\n{body}"


OK = "RTSP/1.0 200 OK\nCSeq: {cseq}\nSession: 1234\n\n"
SETUP = (
    "RTSP/1.0 200 OK\nCSeq: {cseq}\nSession: 1234;timeout=60\n"
    "Transport: RTP/AVP/TCP;unicast;interleaved=0-1\n\n"
)
USUAL: dict[str, Answer] = {"DESCRIBE": with_body(SDP), "SETUP": SETUP}


def lines(text: Say, ask: Ask) -> bytes:
    """Text gets CR LF and the request's number; bytes are sent as they are."""
    if isinstance(text, bytes):
        return text
    said = (text or "").replace("{cseq}", ask.headers.get("cseq", "")).replace("\n", "\r\n")
    return said.replace("{port}", str(ask.port)).encode()


class Script:
    """Answers each method as told, else as a usual camera does.

    After PLAY comes the film, unless its answer is a function or has packets in it.
    """

    def __init__(self, **answers: Answer) -> None:
        self.answers: dict[str, Answer] = {**USUAL, **answers}
        self.asked: list[Ask] = []
        self.connections = 0
        self.port = 0
        self.writers: list[asyncio.StreamWriter] = []

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *_: object) -> None:
        self._server.close()
        for writer in self.writers:
            writer.transport.abort()
        await self._server.wait_closed()

    def source(self, path: str = "/live", user: str = "", word: str = "") -> StreamSource:
        return StreamSource(f"rtsp://127.0.0.1:{self.port}{path}", user, word)

    def methods(self) -> list[str]:
        return [ask.method for ask in self.asked]

    def asks(self, method: str) -> list[Ask]:
        return [ask for ask in self.asked if ask.method == method]

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        self.writers.append(writer)
        count: Counter[str] = Counter()
        connection = self.connections
        try:
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).decode()
                first, *rest = head.strip().split("\r\n")
                headers = {n.lower(): v.strip() for n, _, v in (r.partition(":") for r in rest)}
                method, _, uri = first.rpartition(" ")[0].partition(" ")
                if method == "RTSP/1.0":  # An answer to what we asked.
                    method, uri = "ANSWER", first
                count[method] += 1
                ask = Ask(method, uri, headers, count[method], connection, self.port)
                self.asked.append(ask)
                answer = self.answers.get(method, "" if method == "ANSWER" else OK)
                said = lines(answer(ask) if callable(answer) else answer, ask)
                writer.write(said)
                if method == "PLAY" and not callable(answer) and b"$" not in said:
                    writer.write(interleaved(packets()))
        except ConnectionError, asyncio.IncompleteReadError:
            writer.transport.abort()


@dataclass
class Watched:
    """What came of a stream."""

    units: list[AccessUnit]
    stream: Stream

    @property
    def track(self) -> Track:
        assert self.stream.video_track is not None
        return self.stream.video_track

    @property
    def pictures(self) -> list[bytes]:
        return [b"".join(unit.parts) for unit in self.units]


async def watch(
    source: StreamSource, count: int = PICTURES, timeout_s: float = 2.0, last: int | None = None
) -> Watched:
    """Play until so many pictures have come, or the one of the RTP time ``last``."""
    stream = Stream(source, utcnow, timeout_s)
    units: list[AccessUnit] = []
    done = asyncio.Event()

    def pictures(came: list[AccessUnit]) -> None:
        for unit in came:
            units.append(unit)
            if unit.time == last or (last is None and len(units) >= count):
                done.set()

    stream.pictures = pictures
    try:
        async with asyncio.timeout(10):
            client = await stream.play(await stream.set_up(await stream.open()))
            waiting = asyncio.ensure_future(done.wait())
            await asyncio.wait((waiting, client.ended), return_when=asyncio.FIRST_COMPLETED)
            if not done.is_set():
                waiting.cancel()
                raise client.ended.result()
    finally:
        await stream.close()
    return Watched(units, stream)
