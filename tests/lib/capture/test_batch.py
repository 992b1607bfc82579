"""A connection is read some at a time, and never later than two ticks: by the real kernel."""

import asyncio
import fcntl
import select
import socket
import struct
import termios
from collections.abc import Callable

import pytest

from roomwitness.capture.batch import BYTES, TICK_S, Batch
from roomwitness.capture.errors import ConnectionLost
from roomwitness.capture.transport import RtspTransport


class Loop:
    """Runs what is due when it is told to."""

    def __init__(self) -> None:
        self.due: list[Callable[[], None]] = []

    def call_later(self, delay: float, work: Callable[[], None]) -> asyncio.TimerHandle:
        assert delay == TICK_S
        self.due.append(work)
        return asyncio.TimerHandle(0, work, (), self)  # type: ignore[arg-type]

    def _timer_handle_cancelled(self, handle: asyncio.TimerHandle) -> None:
        self.due.clear()

    def get_debug(self) -> bool:
        return False

    def tick(self) -> None:
        due, self.due = self.due, []
        for work in due:
            work()


def pair() -> tuple[socket.socket, socket.socket]:
    with socket.create_server(("127.0.0.1", 0)) as server:
        sender = socket.create_connection(server.getsockname())
        return sender, server.accept()[0]


def told(sock: socket.socket) -> bool:
    """Whether the kernel says that there is something to read."""
    return bool(select.select([sock], [], [], 0)[0])


def test_a_little_waits_for_more_or_for_two_ticks() -> None:
    loop = Loop()
    sender, sock = pair()
    with sender, sock:
        batch = Batch(sock, loop)  # type: ignore[arg-type]
        sender.sendall(bytes(1000))
        assert not told(sock)
        loop.tick()
        assert not told(sock), "it was read since the last tick"
        loop.tick()
        assert told(sock)
        assert len(sock.recv(BYTES)) == 1000
        batch.read()
        sender.sendall(bytes(1000))
        assert not told(sock)
        loop.tick()
        loop.tick()
        assert told(sock)
        loop.tick()
        assert told(sock), "what nobody reads is still told of"
        batch.close()
        loop.tick()
        assert not loop.due


def test_much_and_the_end_are_told_of_at_once() -> None:
    loop = Loop()
    sender, sock = pair()
    with sender, sock:
        batch = Batch(sock, loop)  # type: ignore[arg-type]
        sender.sendall(bytes(BYTES))
        assert select.select([sock], [], [], 10)[0]
        while told(sock):
            sock.recv(BYTES)
            batch.read()
        sender.sendall(b"x")
        assert not told(sock)
        sender.close()
        assert select.select([sock], [], [], 10)[0]
        batch.close()


def test_one_that_we_read_ourselves_is_read_at_every_second_tick() -> None:
    loop = Loop()
    sender, sock = pair()
    with sender, sock:
        sock.setblocking(False)
        taken: list[int] = []
        batch = Batch(sock, loop, lambda: taken.append(len(sock.recv(BYTES))))  # type: ignore[arg-type]
        sender.sendall(bytes(1000))
        for count in (1, 1, 2, 2, 3, 3):
            loop.tick()
            assert len(taken) == count
            assert not told(sock), "nobody else is told of a little"
            sender.sendall(bytes(1000))
        assert sum(taken) == 1000 * 5
        batch.read()
        loop.tick()
        assert len(taken) == 3, "the event loop has read it in between"
        batch.close()
        loop.tick()
        assert len(taken) == 3


def test_a_system_that_cannot_wait_is_read_as_ever() -> None:
    class Plain:
        def setsockopt(self, *_: object) -> None:
            raise OSError(92, "Protocol not available")

    loop = Loop()
    batch = Batch(Plain(), loop)  # type: ignore[arg-type]
    loop.tick()
    loop.tick()
    batch.read()
    batch.close()


def test_what_has_come_is_taken_before_the_end() -> None:
    """On a real connection: the end of a recording waits for no tick."""

    async def play() -> list[bytes]:
        taken: list[bytes] = []
        listener = socket.create_server(("127.0.0.1", 0))
        loop = asyncio.get_running_loop()
        _, transport = await loop.create_connection(
            lambda: RtspTransport(lambda _c, view, at, end: taken.append(bytes(view[at:end]))),
            *listener.getsockname(),
        )
        sender = listener.accept()[0]
        with listener, sender:
            transport.batch()
            sender.sendall(b"$\x00\x00\x04last")
            fd = transport._transport.get_extra_info("socket").fileno()  # type: ignore[union-attr]
            while not struct.unpack("i", fcntl.ioctl(fd, termios.FIONREAD, bytes(4)))[0]:
                await asyncio.sleep(0)
            for _ in range(5):
                await asyncio.sleep(0)
            assert not taken
            transport.batch(on=False)
            for _ in range(2):
                await asyncio.sleep(0)
            transport.close()
        return taken

    assert asyncio.run(play()) == [b"last"]


async def test_a_connection_is_read_tick_by_tick_until_it_ends(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("roomwitness.capture.batch.TICK_S", 0.01)
    taken: list[bytes] = []
    reads = 0

    def over() -> None:
        nonlocal reads
        reads += 1

    listener = socket.create_server(("127.0.0.1", 0))
    loop = asyncio.get_running_loop()
    _, transport = await loop.create_connection(
        lambda: RtspTransport(
            lambda _c, view, at, end: taken.append(bytes(view[at:end])), direct=True
        ),
        *listener.getsockname(),
    )
    transport.over = over
    sender = listener.accept()[0]
    with listener, sender:
        transport.batch()
        for number in range(20):
            sender.sendall(b"$\x00\x00\x04" + number.to_bytes(4))
            await asyncio.sleep(0.005)
        async with asyncio.timeout(5):
            while len(taken) < 20:
                await asyncio.sleep(0.01)
            assert 1 < reads < 20, "some at a time"
            sender.close()  # Nothing to read is an end that the event loop finds.
            assert isinstance(await transport.ended, ConnectionLost)
    assert taken == [number.to_bytes(4) for number in range(20)]


async def test_what_is_let_go_of_is_read_no_more() -> None:
    listener = socket.create_server(("127.0.0.1", 0))
    loop = asyncio.get_running_loop()
    taken: list[bytes] = []
    _, transport = await loop.create_connection(
        lambda: RtspTransport(
            lambda _c, view, at, end: taken.append(bytes(view[at:end])), direct=True
        ),
        *listener.getsockname(),
    )
    sender = listener.accept()[0]
    with listener, sender:
        transport.batch()
        batch = transport._batch
        assert batch is not None
        sender.sendall(b"$\x00\x00\x04late")
        transport.fail(ConnectionLost())
        batch.tick()
        batch.tick()
        await asyncio.sleep(0)
    assert taken == []
