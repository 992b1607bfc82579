"""How the packets of one connection come: interleaved in it (TCP), or beside it (UDP)."""

import asyncio
from contextlib import suppress
from ipaddress import ip_address

from . import sdp
from .errors import StreamUnsupported, TransportRefused, UdpSilent
from .rtsp import RtspClient
from .source import StreamSource, Transport
from .transport import Over, Packet
from .udp import Sender, UdpMedia, bind_pair

# Less than the watchdog on bytes allows: it could not say why.
_SILENT_S = 3.0


class Carrier:
    """Sets media up one by one; the first one's answer decides how all of them come.

    ``AUTOMATIC`` asks for TCP, where nothing is reordered and no firewall is between, and for
    UDP where the camera refuses TCP. Each connection asks anew.
    """

    def __init__(
        self, source: StreamSource, client: RtspClient, packet: Packet, over: Over
    ) -> None:
        # With TLS nothing falls back to UDP, where the media would be in the clear.
        self._may_change = source.transport is Transport.AUTOMATIC and not source.endpoint().tls
        self._tunnel = source.transport is Transport.HTTP
        self._udp = source.transport is Transport.UDP
        self._client = client
        self._packet = packet
        self._over = over
        self._media: list[UdpMedia] = []
        self._watch: asyncio.TimerHandle | None = None

    async def set_up(self, media: sdp.Media, channel: int) -> int:
        """Ask for one media on this channel; returns the channel that it comes on.

        Raises:
            TransportRefused: the camera does not send so.
            CaptureError: as it says.
        """
        if not self._udp:
            try:
                return await self._interleaved(media, channel)
            except TransportRefused:
                if not self._may_change or channel:
                    raise
                self._udp = True
        return await self._beside(media, channel)

    async def _interleaved(self, media: sdp.Media, channel: int) -> int:
        wanted = f"RTP/AVP/TCP;unicast;interleaved={channel}-{channel + 1}"
        answer = transport_of(await self._client.setup(media, wanted))
        if "interleaved" not in answer:
            if "client_port" in answer or "port" in answer:
                raise TransportRefused("it answered with another transport")
            return channel
        with suppress(ValueError):
            return int(answer["interleaved"].split("-")[0])
        return channel

    async def _beside(self, media: sdp.Media, channel: int) -> int:
        local, remote, family = self._client.addresses
        over = UdpMedia(
            bind_pair(local, family),
            channel,
            media.clock_rate,
            self._packet,
            self._over,
            self._client.fail,
        )
        self._media.append(over)
        wanted = f"RTP/AVP;unicast;client_port={over.ports}"
        answer = transport_of(await self._client.setup(media, wanted))
        if "interleaved" in answer or "multicast" in answer:
            raise TransportRefused("it answered with another transport")
        over.start(sender_of(answer, remote[0]))
        return channel

    @property
    def transport(self) -> Transport:
        """How the media comes now: never ``AUTOMATIC``."""
        if self._udp:
            return Transport.UDP
        return Transport.HTTP if self._tunnel else Transport.TCP

    def playing(self) -> None:
        """The packets were asked for: over UDP they may never come."""
        if self._udp:
            self._watch = asyncio.get_running_loop().call_later(_SILENT_S, self._look)

    def _look(self) -> None:
        if not any(media.received for media in self._media):
            self._client.fail(UdpSilent())

    def close(self) -> None:
        """Let go of every port."""
        if self._watch is not None:
            self._watch.cancel()
        for media in self._media:
            media.close()


def transport_of(header: str) -> dict[str, str]:
    """The parameters of an answer's ``Transport`` (RFC 2326, 12.39), names in lower case.

    Raises:
        StreamUnsupported: the media would come in another form than RTP (SRTP, RAW).
    """
    protocol, *parts = header.split(",")[0].split(";")
    if protocol and protocol.strip().upper() not in ("RTP/AVP", "RTP/AVP/TCP", "RTP/AVP/UDP"):
        raise StreamUnsupported("not RTP")
    fields = (part.strip().partition("=") for part in parts)
    return {name.strip().lower(): value.strip() for name, _, value in fields}


def sender_of(answer: dict[str, str], peer: str) -> Sender:
    """Who will send, by the answer: the camera itself unless ``source`` is another address."""
    host, source = peer, answer.get("source", "").strip("[]")
    with suppress(ValueError):
        host = peer if ip_address(source).is_unspecified else source
    first, _, second = answer.get("server_port", "").partition("-")
    rtp = _port(first)
    return Sender(host, rtp, _port(second) or (rtp + 1 if rtp is not None else None))


def _port(text: str) -> int | None:
    text = text.strip()
    number = int(text) if text.isascii() and text.isdigit() and len(text) < 6 else 0
    return number if 0 < number < 1 << 16 else None
