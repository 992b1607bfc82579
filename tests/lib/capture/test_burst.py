"""Packets taken many at once give what they give one by one, whatever the stream does."""

import asyncio
import struct
from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from roomwitness.capture.codecs import AccessUnit
from roomwitness.capture.codecs.h264 import H264Depacketizer
from roomwitness.capture.codecs.h265 import H265Depacketizer
from roomwitness.capture.rtp import Track
from roomwitness.capture.transport import RtspTransport

MTU = 60
SSRC = 0x1234
DEPACKETIZERS: dict[str, Callable[..., H264Depacketizer | H265Depacketizer]] = {
    "h264": H264Depacketizer,
    "h265": H265Depacketizer,
}
HEADER = {"h264": 1, "h265": 2}
# Of what can be changed in a packet, framing included.
PLACES = {
    "channel": 1, "length": 3, "flag": 4, "kind": 5, "number": 7, "time": 11, "ssrc": 15,
    "byte": 16, "fragment": 17,
}  # fmt: skip


def fragments(codec: str, nal: bytes) -> list[bytes]:
    """A NAL unit's payloads: itself, or its fragments."""
    size = HEADER[codec]
    if len(nal) <= MTU:
        return [nal]
    pieces = [nal[at : at + MTU] for at in range(size, len(nal), MTU)]
    found = []
    for number, piece in enumerate(pieces):
        ends = (0x80 if number == 0 else 0) | (0x40 if number == len(pieces) - 1 else 0)
        if codec == "h264":
            head = bytes((nal[0] & 0xE0 | 28, ends | nal[0] & 31))
        else:
            head = bytes((nal[0] & 0x81 | 49 << 1, nal[1], ends | nal[0] >> 1 & 63))
        found.append(head + piece)
    return found


def packet(
    payload: bytes, sequence: int, time: int, *, marker: bool = False, ssrc: int = SSRC,
    flags: int = 0x80, kind: int = 96, channel: int = 0,
) -> bytes:  # fmt: skip
    second = kind | (0x80 if marker else 0)
    data = struct.pack(">BBHII", flags, second, sequence & 0xFFFF, time & 0xFFFFFFFF, ssrc)
    return b"$" + bytes((channel,)) + struct.pack(">H", len(data + payload)) + data + payload


class Taken:
    """What came out."""

    def __init__(self, codec: str, *, bursts: bool) -> None:
        self.units: list[tuple[int, bytes, bool]] = []
        self.other: list[bytes] = []
        self.track = Track(96, 90000, DEPACKETIZERS[codec](self._unit))
        self.transport = RtspTransport(self._packet)
        self.one_by_one = 0
        if bursts:
            self.transport.run = self._run

    def _unit(self, unit: AccessUnit) -> None:
        self.units.append((unit.time, b"".join(unit.parts), unit.key))
        assert unit.size == len(self.units[-1][1])

    def _packet(self, channel: int, view: memoryview, start: int, end: int) -> None:
        self.one_by_one += 1
        if channel:
            self.other.append(bytes(view[start:end]))
        else:
            self.track.rtp(view, start, end)

    def _run(self, view: memoryview, at: int, end: int) -> int:
        return at if view[at + 1] else self.track.run(view, at, end)

    def feed(self, data: bytes, cuts: list[int]) -> None:
        at = 0
        for cut in [*cuts, len(data)]:
            while at < cut:
                room = self.transport.get_buffer(-1)
                size = min(len(room), cut - at)
                room[:size] = data[at : at + size]
                self.transport.buffer_updated(size)
                at += size

    @property
    def result(self) -> object:
        ended = self.transport.ended
        error = type(ended.result()).__name__ if ended.done() else None
        return self.units, self.track.lost, self.track.epoch, self.other, error


def stream(codec: str, pictures: list[list[int]], start: int) -> list[bytes]:
    """Pictures of slices of these sizes."""
    sequence, found = start, []
    for number, sizes in enumerate(pictures):
        for index, size in enumerate(sizes):
            first = (0x65 if number == 0 else 0x61) if codec == "h264" else 19 << 1
            nal = bytes((first, 1, 0x80)) + bytes((number * 7 + at) & 0xFF for at in range(size))
            payloads = fragments(codec, nal)
            for place, payload in enumerate(payloads):
                last = index == len(sizes) - 1 and place == len(payloads) - 1
                found.append(packet(payload, sequence, number * 3600, marker=last))
                sequence += 1
    return found


def mangled(packets: list[bytes], draw: st.DataObject) -> list[bytes]:
    """What networks and servers do to it."""
    found = list(packets)
    for _ in range(draw.draw(st.integers(0, 4))):
        at = draw.draw(st.integers(0, len(found) - 1))
        match draw.draw(
            st.sampled_from(
                [
                    *("drop", "twice", "again", "swap", "other", "flag", "kind", "number"),
                    *("time", "ssrc", "byte", "fragment", "length", "channel", "cut"),
                ]
            )
        ):
            case "drop" if len(found) > 1:
                del found[at]
            case "twice":
                found.insert(at, found[at])
            case "again":
                found[at:at] = found[max(0, at - 4) : at]
            case "swap":
                found[at - 1], found[at] = found[at], found[at - 1]
            case "other":
                found.insert(at, packet(b"other", 1, 2, channel=2))
            case "cut":
                size = draw.draw(st.integers(0, 5)) + 12
                found[at] = found[at][:2] + struct.pack(">H", size) + found[at][4 : 4 + size]
            case what if what in PLACES:
                place = PLACES[what]
                changed = bytearray(found[at])
                if len(changed) > place:
                    changed[place] ^= draw.draw(st.sampled_from((1, 0x20, 0x10, 0x80, 0x40)))
                found[at] = bytes(changed)
    return found


SIZES = st.lists(st.lists(st.integers(1, 900), min_size=1, max_size=3), min_size=1, max_size=5)


@pytest.mark.parametrize("codec", DEPACKETIZERS)
@given(SIZES, st.integers(0, 0xFFFF) | st.integers(0xFFD0, 0xFFFF), st.data())
@settings(max_examples=150, deadline=None)
def test_many_at_once_is_as_one_by_one(
    codec: str, pictures: list[list[int]], start: int, data: st.DataObject
) -> None:
    wire = b"".join(mangled(stream(codec, pictures, start), data))
    cuts = sorted(data.draw(st.lists(st.integers(0, len(wire)), max_size=5)))
    one_by_one, at_once = as_one_by_one(codec, wire, cuts)
    assert one_by_one == at_once


@pytest.mark.parametrize("codec", DEPACKETIZERS)
def test_only_a_streams_first_packet_is_taken_by_itself(codec: str) -> None:
    pushed = 0

    async def play() -> Taken:
        taken = Taken(codec, bursts=True)
        push = taken.track._depacketizer.push

        def count(view: memoryview, start: int, end: int, time: int, marker: bool) -> None:
            nonlocal pushed
            pushed += 1
            push(view, start, end, time, marker)

        taken.track._depacketizer.push = count  # type: ignore[method-assign]
        taken.feed(b"".join(stream(codec, [[6000], [6000]], 65500)), [])
        return taken

    taken = asyncio.run(play())
    assert [len(data) for _, data, _ in taken.units] == [6007, 6007]
    assert (taken.track.lost, taken.one_by_one) == (0, 1)
    assert pushed == 1


def as_one_by_one(codec: str, wire: bytes, cuts: list[int]) -> tuple[object, object]:
    """What came out of it, taken both ways."""

    async def both() -> tuple[object, object]:
        found = []
        for bursts in (False, True):
            taken = Taken(codec, bursts=bursts)
            taken.feed(wire, cuts)
            found.append(taken.result)
        return found[0], found[1]

    return asyncio.run(both())


@pytest.mark.parametrize("codec", DEPACKETIZERS)
@pytest.mark.parametrize("ahead", range(12))
def test_where_the_sequence_wraps_round_another_payload_type_is_not_ours(
    codec: str, ahead: int
) -> None:
    """The carry of a sequence number that is counted up would land in the type."""
    packets = stream(codec, [[50], [500], [50]], 0x10000 - ahead)
    if ahead < len(packets):
        other = bytearray(packets[ahead])
        other[5] += 1
        packets[ahead] = bytes(other)
    alone, together = as_one_by_one(codec, b"".join(packets), [])
    assert alone == together


@pytest.mark.parametrize("codec", DEPACKETIZERS)
@pytest.mark.parametrize("left", range(5))
def test_a_last_piece_of_nothing(codec: str, left: int) -> None:
    packets = stream(codec, [[50], [500], [50]], 7)
    size = 12 + left
    packets[-2] = packets[-2][:2] + struct.pack(">H", size) + packets[-2][4 : 4 + size]
    alone, together = as_one_by_one(codec, b"".join(packets), [])
    assert alone == together


@given(st.lists(st.integers(1, 4000), min_size=1, max_size=30))
@settings(max_examples=50, deadline=None)
def test_connections_that_share_their_room_do_not_mix(cuts: list[int]) -> None:
    """Each in turn receives some, mostly ending in the middle of a packet."""

    async def play() -> list[object]:
        wires = [b"".join(stream("h264", [[6000], [size], [700]], 7)) for size in (900, 3000)]
        takers = [Taken("h264", bursts=True) for _ in wires]
        for cut in [*cuts, 1 << 20, 1 << 20]:
            for number, taken in enumerate(takers):
                taken.feed(wires[number][:cut], [])
                wires[number] = wires[number][cut:]
        return [[len(data) for _, data, _ in taken.units] for taken in takers]

    assert asyncio.run(play()) == [[6007, 907, 707], [6007, 3007, 707]]
