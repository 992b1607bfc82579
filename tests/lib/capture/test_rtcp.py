"""Receiver reports say what RFC 3550 means by them."""

import struct

from hypothesis import given, settings
from hypothesis import strategies as st

from roomwitness.capture.rtcp import Reception


def packet(sequence: int, ticks: int = 0, ssrc: int = 7) -> memoryview:
    head = struct.pack("!BBHII", 0x80, 96, sequence & 0xFFFF, ticks & 0xFFFFFFFF, ssrc)
    return memoryview(head + b"x")


def blocks(report: bytes) -> list[tuple[int, int, int, int, int, bytes, int]]:
    """Check the compound's form, and give its report blocks."""
    assert len(report) % 4 == 0
    first, kind, length = report[0], report[1], int.from_bytes(report[2:4])
    assert (first >> 6, kind) == (2, 201)
    count, end = first & 31, 4 + 4 * length
    assert end == 8 + 24 * count
    about = report[end:]
    assert (about[0], about[1]) == (0x81, 202)
    assert len(about) == 4 + 4 * int.from_bytes(about[2:4])
    assert about[4:8] == report[4:8]
    size = about[9]
    assert about[8] == 1
    assert size >= 16
    assert about[10 + size] == 0  # Ended, and padded with zeros.
    found = []
    for at in range(8, end, 24):
        ssrc, lost, highest, jitter = struct.unpack("!IIII", report[at : at + 16])
        signed = (lost & 0xFFFFFF ^ 0x800000) - 0x800000
        last, since = report[at + 16 : at + 20], int.from_bytes(report[at + 20 : at + 24])
        found.append((ssrc, lost >> 24, signed, highest, jitter, last, since))
    return found


def test_an_empty_report_and_one_with_a_block() -> None:
    reception = Reception(90000)
    assert blocks(reception.report(0.0)) == []
    for number in (0, 1, 2, 5):
        view = packet(65534 + number, number * 900)
        reception.rtp(view, 0, len(view), number * 0.01)
    ((ssrc, fraction, lost, highest, jitter, last, since),) = blocks(reception.report(1.0))
    assert (ssrc, lost, highest) == (7, 2, 65534 + 5)
    assert fraction == 2 * 256 // 6
    assert (jitter, last, since) == (0, bytes(4), 0)
    sender_report = b"\x80\xc8\x00\x06" + bytes(4) + b"\x01\x02\x03\x04\x05\x06\x07\x08" + bytes(12)
    reception.rtcp(memoryview(sender_report), 0, len(sender_report), 2.0)
    ((_, fraction, lost, _, _, last, since),) = blocks(reception.report(3.5))
    assert (fraction, lost, last, since) == (0, 2, b"\x03\x04\x05\x06", 3 << 15)


def test_jitter_is_how_much_the_way_varies() -> None:
    reception = Reception(1000)
    for number in range(400):
        late = 0.004 if number % 2 else 0.0
        view = packet(number, number * 20 + 0xFFFFFF00)
        reception.rtp(view, 0, len(view), number * 0.02 + late)
    ((*_, jitter, _, _),) = blocks(reception.report(10.0))
    assert jitter in (3, 4)


@settings(deadline=None)
@given(st.lists(st.tuples(st.binary(max_size=30), st.booleans(), st.floats(0, 1e6))))
def test_whatever_comes_the_report_is_well_formed(came: list[tuple[bytes, bool, float]]) -> None:
    reception = Reception(90000)
    for data, control, now in came:
        take = reception.rtcp if control else reception.rtp
        take(memoryview(data), 0, len(data), now)
        assert len(blocks(reception.report(now))) <= 1
