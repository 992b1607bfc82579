"""What the other side sends without end, or does not take, does not grow with us."""

import asyncio
from base64 import b64encode

import pytest

from roomwitness.capture.transport import MAX_UNSENT, RtspTransport
from tests.fuzz.ways import Way, new_tunnel, ways_of_tunnel

ASKS = b"OPTIONS * RTSP/1.0\r\nCSeq: 7\r\n\r\n"
ANSWER = b"RTSP/1.0 200 OK\r\nCSeq: 7\r\n\r\n"
OK = b"HTTP/1.0 200 OK\r\n\r\n"
MUCH = bytes(1 << 16)


def nothing(_channel: int, _view: memoryview, _start: int, _end: int) -> None:
    """No packet comes."""


async def opened(ways: list[Way]) -> tuple[asyncio.Transport, RtspTransport]:
    """A tunnel whose ways down and up are open."""
    tunnel, transport = new_tunnel()
    opening = asyncio.ensure_future(tunnel.open())
    await asyncio.sleep(0)
    ways[0].feed(OK)
    await opening
    return tunnel, transport


async def test_a_camera_that_asks_and_takes_no_answer_is_left() -> None:
    transport = RtspTransport(nothing)
    way = Way(transport)
    for _ in range(100_000):
        if transport.ended.done():
            break
        way.feed(ASKS)
    assert transport.ended.result().key == "stream_protocol_error"
    assert way.over
    assert MAX_UNSENT < way.unsent <= MAX_UNSENT + 64


async def test_a_number_without_end_is_not_said_again() -> None:
    way = Way(RtspTransport(nothing))
    way.feed(b"OPTIONS * RTSP/1.0\r\nCSeq: " + b"7" * 15000 + b"\r\n\r\n")
    assert 0 < way.unsent < 64


async def test_a_request_to_who_takes_nothing_fails() -> None:
    transport = RtspTransport(nothing)
    way = Way(transport)
    way.unsent = MAX_UNSENT + 1
    with pytest.raises(Exception, match="it takes nothing") as failed:
        await transport.exchange(1, b"OPTIONS")
    assert failed.value.key == "stream_protocol_error"  # type: ignore[attr-defined]
    assert not transport.waiting


async def test_what_a_web_server_sends_on_the_post_is_thrown_away() -> None:
    with ways_of_tunnel() as ways:
        tunnel, _ = await opened(ways)
        answer = ways[1].protocol
        for data in (OK, *[MUCH] * 10):
            ways[1].feed(data)
        assert len(answer._data) == 0  # type: ignore[attr-defined]
        assert not ways[1].paused, "its end would not be noticed"
        ways[1].end()
        assert answer.lost  # type: ignore[attr-defined]
        tunnel.abort()


async def test_what_comes_on_the_get_before_it_is_wanted_waits_in_the_system() -> None:
    with ways_of_tunnel() as ways:
        tunnel, transport = new_tunnel()
        opening = asyncio.ensure_future(tunnel.open())
        await asyncio.sleep(0)
        answer = ways[0].protocol
        ways[0].feed(OK + ASKS)
        assert ways[0].paused, "what is not read now is not lost"
        for _ in range(10):
            ways[0].feed(MUCH)
        assert bytes(answer._data) == ASKS  # type: ignore[attr-defined]
        await opening
        assert not ways[0].paused
        assert ways[0].protocol is transport
        assert ways[1].unsent, "what came early is answered"
        tunnel.abort()


async def test_answers_that_wait_for_a_way_up_are_few() -> None:
    with ways_of_tunnel() as ways:
        tunnel, transport = await opened(ways)
        ways[1].end()
        for _ in range(8):
            ways[0].feed(ASKS)
        assert not transport.ended.done()
        assert tunnel.get_write_buffer_size() > 0
        ways[0].feed(ASKS)
        assert transport.ended.result().key == "stream_protocol_error"
        assert tunnel.is_closing()


async def test_answers_that_waited_are_sent_in_their_order() -> None:
    with ways_of_tunnel() as ways:
        tunnel, transport = await opened(ways)
        ways[1].end()
        for _ in range(3):
            ways[0].feed(ASKS)
        for _ in range(10):
            await asyncio.sleep(0)
        assert not transport.ended.done()
        assert len(ways) == 3, "one way for all three"
        assert ways[2].written[1:] == [b64encode(ANSWER)] * 3
        tunnel.abort()
