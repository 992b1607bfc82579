"""RTSP 1.0 (RFC 2326) over TCP, interleaved; Basic and Digest authentication."""

import asyncio
import base64
import hashlib
import re
import secrets
from collections.abc import Callable

from .config import CameraConfig, Faults
from .media import SOUND_RATE, Media, Unit
from .rtp import Sender
from .udp import UdpOut

_REPORT_EVERY_S = 2.0
KINDS = {"track2": "audio", "track3": "metadata"}


class RtspServer:
    """Serves one stream to many clients."""

    def __init__(self, config: CameraConfig, faults: Faults, media: Media) -> None:
        self.config, self.faults, self.media = config, faults, media
        self.port = config.rtsp_port
        self.plays = self.requests = 0
        self.over: UdpOut | None = None
        self.sessions: set[Session] = set()
        self._server: asyncio.Server | None = None

    async def start(self) -> None:
        self._server = await asyncio.start_server(
            self._accept, self.config.host, self.port, ssl=self.config.tls
        )
        self.port = self._server.sockets[0].getsockname()[1]

    async def stop(self) -> None:
        if self._server is not None:
            self._server.close()
            self._server = None
        self.drop()
        await asyncio.sleep(0)

    def drop(self) -> None:
        """Cut every connection, as a pulled cable or a restart does."""
        for session in tuple(self.sessions):
            session.cut()

    def sender(self, kind: str) -> Sender:
        """A fresh count of packets."""
        return Sender(kind)

    def put(self, session: Session, channel: int, packet: bytes) -> None:
        """Send a packet."""
        self.deliver(session, b"$" + bytes((channel,)) + len(packet).to_bytes(2) + packet)

    def deliver(self, session: Session, framed: bytes) -> None:
        """Send packets that are framed for the connection in it, or without frames beside it."""
        if not session.over:
            self.write(session, framed)
            return
        while framed:
            channel, stop = framed[1], 4 + int.from_bytes(framed[2:4])
            if channel & ~1 in session.over:
                session.over[channel & ~1].send(framed[4:stop], control=bool(channel & 1))
            framed = framed[stop:]

    def write(self, session: Session, data: bytes) -> None:
        """Send bytes."""
        session.writer.write(data)

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        session = Session(self, reader, writer)
        self.sessions.add(session)
        try:
            await session.run()
        except ConnectionError, asyncio.IncompleteReadError, asyncio.LimitOverrunError:
            pass
        finally:
            session.cut()
            self.sessions.discard(session)


class Session:
    """One connection."""

    def __init__(
        self, server: RtspServer, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        self.server, self.reader, self.writer = server, reader, writer
        self.id = secrets.token_hex(8)
        self.nonce = secrets.token_hex(16)
        self.senders: dict[int, Sender] = {}
        self.over: dict[int, UdpOut] = {}
        self.leave: Callable[[], None] | None = None
        self.reported = 0.0
        self.loop = asyncio.get_running_loop()

    def cut(self) -> None:
        if self.leave is not None:
            self.leave()
            self.leave = None
        self.writer.transport.abort()
        for out in self.over.values():
            out.close()

    async def run(self) -> None:
        while True:
            first = await self.reader.readexactly(1)
            if first == b"$":  # Receiver reports.
                head = await self.reader.readexactly(3)
                await self.reader.readexactly(int.from_bytes(head[1:]))
                continue
            head = (first + await self.reader.readuntil(b"\r\n\r\n")).decode()
            method, uri, _ = head.split("\r\n")[0].split(" ")
            headers = {
                name.lower(): value.strip()
                for name, _, value in (line.partition(":") for line in head.split("\r\n")[1:])
            }
            await self.answer(method, uri, headers)

    async def answer(self, method: str, uri: str, headers: dict[str, str]) -> None:
        self.server.requests += 1
        if method not in ("OPTIONS", "TEARDOWN") and not self.allowed(method, headers):
            self.say(headers, "401 Unauthorized", {"WWW-Authenticate": self.challenge()})
            return
        if method == "OPTIONS":
            public = "OPTIONS, DESCRIBE, SETUP, PLAY, TEARDOWN, GET_PARAMETER"
            self.say(headers, "200 OK", {"Public": public})
        elif method == "DESCRIBE":
            if not uri.rstrip("/").endswith("/stream"):
                self.say(headers, "404 Not Found")
                return
            base = {"Content-Base": uri.rstrip("/") + "/", "Content-Type": "application/sdp"}
            self.say(headers, "200 OK", base, self.sdp())
        elif method == "SETUP":
            if self.server.faults.refuse_sound and uri.endswith("track2"):
                self.say(headers, "403 Forbidden")
                return
            if self.server.config.udp:
                await self.beside(uri, headers)
                return
            found = re.search(r"interleaved=(\d+)-", headers.get("transport", ""))
            if found is None:
                self.say(headers, "461 Unsupported Transport")
                return
            if self.server.faults.refuse_metadata and uri.endswith("track3"):
                self.say(headers, "461 Unsupported Transport")
                return
            channel = int(found[1])
            self.senders[channel] = self.server.sender(KINDS.get(uri[-6:], "video"))
            transport = f"RTP/AVP/TCP;unicast;interleaved={channel}-{channel + 1}"
            session = f"{self.id};timeout=10"
            self.say(headers, "200 OK", {"Transport": transport, "Session": session})
        elif method == "PLAY":
            self.say(headers, "200 OK", {"Session": self.id, "Range": "npt=0-"})
            self.server.plays += 1
            self.leave = self.server.media.listen(
                lambda unit: self.loop.call_soon_threadsafe(self.send, unit)
            )
        elif method == "TEARDOWN":
            self.say(headers, "200 OK")
            raise ConnectionError
        else:
            self.say(headers, "200 OK", {"Session": self.id})

    async def beside(self, uri: str, headers: dict[str, str]) -> None:
        host, _ = self.writer.get_extra_info("peername")
        out = await UdpOut.open(self.server.faults, host, headers.get("transport", ""))
        if out is None:
            self.say(headers, "461 Unsupported Transport")
            return
        channel = 2 * len(self.over)
        self.over[channel] = self.server.over = out
        self.senders[channel] = self.server.sender(KINDS.get(uri[-6:], "video"))
        said = {"Transport": out.answer, "Session": f"{self.id};timeout=10"}
        self.say(headers, "200 OK", said)

    def say(
        self,
        request: dict[str, str],
        status: str,
        headers: dict[str, str] | None = None,
        body: str = "",
    ) -> None:
        lines = [f"RTSP/1.0 {status}", f"CSeq: {request.get('cseq', '0')}"]
        lines += [f"{name}: {value}" for name, value in (headers or {}).items()]
        if body:
            lines.append(f"Content-Length: {len(body)}")
        self.server.write(self, ("\r\n".join(lines) + "\r\n\r\n" + body).encode())

    def sdp(self) -> str:
        media = self.server.media
        sets = [base64.b64encode(s).decode() for s in media.parameter_sets]
        lines = ["v=0", "o=- 1 1 IN IP4 0.0.0.0", "s=camera", "c=IN IP4 0.0.0.0", "t=0 0"]
        lines += ["a=control:*", "m=video 0 RTP/AVP 96", f"a=rtpmap:96 {media.form.upper()}/90000"]
        if media.form == "h264":
            lines += [f"a=fmtp:96 packetization-mode=1;sprop-parameter-sets={','.join(sets)}"]
        else:
            vps, sps, pps = sets
            lines += [f"a=fmtp:96 sprop-vps={vps};sprop-sps={sps};sprop-pps={pps}"]
        lines += ["a=control:track1"]
        if media.audio:
            config = media.sound_config.hex()
            # G.726 is never played: what would be in it does not matter.
            g726 = self.server.config.sound == "g726"
            mapping = "G726-32/8000" if g726 else f"mpeg4-generic/{SOUND_RATE}/1"
            lines += ["m=audio 0 RTP/AVP 97", f"a=rtpmap:97 {mapping}"]
            lines += [
                "a=fmtp:97 streamtype=5;profile-level-id=1;mode=AAC-hbr;"
                f"sizelength=13;indexlength=3;indexdeltalength=3;config={config}"
            ]
            lines += ["a=control:track2"]
        if media.metadata:
            lines += ["m=application 0 RTP/AVP 98", "a=rtpmap:98 vnd.onvif.metadata/90000"]
            lines += ["a=recvonly", "a=control:track3"]
        return "\r\n".join(lines) + "\r\n"

    def send(self, unit: Unit) -> None:
        faults = self.server.faults
        if (
            faults.stall
            or self.leave is None
            or (faults.no_keyframes and unit.key is True and unit.kind == "video")
            or (faults.mute and unit.kind == "audio")
        ):
            return
        if faults.garbage:
            self.writer.write(b"\x00garbage\xff" * 4000)
            return
        if faults.say_goodbye:
            for channel, sender in self.senders.items():
                self.frame(channel + 1, sender.goodbye())
            return
        for channel, sender in self.senders.items():
            if sender.kind != unit.kind:
                continue
            for packet in sender.pack(unit):
                if faults.lose > 0 and unit.kind == "video" and not unit.key:
                    faults.lose -= 1
                    continue
                self.frame(channel, packet)
        if not faults.no_reports and unit.time - self.reported > _REPORT_EVERY_S:
            self.reported = unit.time
            for channel, sender in self.senders.items():
                if sender.epoch is not None:
                    self.frame(channel + 1, sender.report(unit.time, faults.clock_offset_s))

    def frame(self, channel: int, packet: bytes) -> None:
        self.server.put(self, channel, packet)

    def challenge(self) -> str:
        auth = self.server.config.auth
        if auth == "basic":
            return 'Basic realm="camera"'
        algorithm = "SHA-256" if auth == "digest-sha256" else "MD5"
        return f'Digest realm="camera", nonce="{self.nonce}", algorithm={algorithm}, qop="auth"'

    def allowed(self, method: str, headers: dict[str, str]) -> bool:
        config = self.server.config
        if config.user is None:
            return True
        given = headers.get("authorization", "")
        if self.server.faults.wrong_password:
            return False
        if config.auth == "basic":
            token = base64.b64encode(f"{config.user}:{config.password}".encode()).decode()
            return given == f"Basic {token}"
        values = {
            name: (quoted or bare).replace('\\"', '"')
            for name, quoted, bare in re.findall(r'(\w+)=(?:"((?:[^"\\]|\\.)*)"|([^\s,]+))', given)
        }
        hasher = hashlib.sha256 if config.auth == "digest-sha256" else hashlib.md5

        def digest(*parts: str) -> str:
            return hasher(":".join(parts).encode()).hexdigest()

        if values.get("username") != config.user or values.get("nonce") != self.nonce:
            return False
        ha1 = digest(config.user, "camera", config.password)
        ha2 = digest(method, values.get("uri", ""))
        expected = digest(
            ha1, self.nonce, values.get("nc", ""), values.get("cnonce", ""), "auth", ha2
        )
        return values.get("response") == expected
