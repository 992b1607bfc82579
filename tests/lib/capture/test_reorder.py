"""Packets in any order within the window come out in order, each once; what is lost stays lost."""

from hypothesis import given, settings
from hypothesis import strategies as st

from roomwitness.capture.reorder import Reorder

SSRC = b"\x00\x00\x00\x07"


def packet(sequence: int, ssrc: bytes = SSRC, body: bytes = b"") -> bytes:
    return b"\x80\x60" + (sequence & 0xFFFF).to_bytes(2) + bytes(4) + ssrc + body


class World:
    def __init__(self, packets: int = 8, seconds: float = 0.2) -> None:
        self.out: list[bytes] = []
        self.buffer = Reorder(self._take, packets=packets, seconds=seconds)

    def _take(self, view: memoryview, start: int, end: int) -> None:
        self.out.append(bytes(view[start:end]))

    def push(self, data: bytes, now: float = 0.0) -> None:
        # Somewhere in a larger buffer that is used again afterwards, as a socket's is.
        large = bytearray(b"\xee" * 3 + data + b"\xee" * 3)
        self.buffer.push(memoryview(large), 3, 3 + len(data), now)
        large[:] = bytes(len(large))

    @property
    def sequences(self) -> list[int]:
        return [int.from_bytes(data[2:4]) for data in self.out]


@st.composite
def disordered(draw: st.DrawFn, window: int, count: st.SearchStrategy[int]) -> list[int]:
    """Numbers from 0, none overtaken by more than ``window`` others."""
    waiting, order = list(range(draw(count))), []
    overtaken = 0
    while waiting:
        place = 0 if overtaken >= window else draw(st.integers(0, min(window, len(waiting) - 1)))
        order.append(waiting.pop(place))
        if place:
            overtaken += 1
        else:  # Those that passed the one that is first now.
            overtaken = sum(1 for n in order if waiting and n > waiting[0])
    return order


@settings(deadline=None)
@given(st.data(), st.integers(1, 12), st.integers(0, 0xFFFF))
def test_any_permutation_within_the_window(data: st.DataObject, window: int, first: int) -> None:
    order = data.draw(disordered(window, st.integers(1, 60)))
    world = World(packets=window)
    for number in order:
        world.push(packet(first + number))
        assert world.buffer.held <= window
    world.buffer.expire(1.0)
    assert world.sequences == [(first + n) & 0xFFFF for n in range(len(order))]
    assert world.buffer.late == 0
    assert world.buffer.deadline is None


@settings(deadline=None)
@given(st.data(), st.integers(0, 0xFFFF))
def test_lost_and_repeated_ones(data: st.DataObject, first: int) -> None:
    order = data.draw(disordered(4, st.integers(2, 60)))
    lost = data.draw(st.sets(st.sampled_from(order), max_size=len(order) - 1))
    world, now = World(packets=8, seconds=10.0), 0.0
    for number in order:
        if number in lost:
            continue
        for _ in range(data.draw(st.integers(1, 3))):
            world.push(packet(first + number), now)
            assert world.buffer.held <= 8
        now += 0.001
    world.buffer.expire(now + 10.0)
    came = [n for n in range(len(order)) if n not in lost]
    assert world.sequences == [(first + n) & 0xFFFF for n in came]


@settings(deadline=None, max_examples=50)
@given(st.data())
def test_whatever_comes_nothing_grows_and_nothing_comes_twice_in_a_row(data: st.DataObject) -> None:
    world, now = World(packets=8), 0.0
    for _ in range(data.draw(st.integers(0, 50))):
        now += data.draw(st.sampled_from((0.0, 0.01, 0.3)))
        raw = data.draw(
            st.one_of(
                st.binary(max_size=20),
                st.builds(packet, st.integers(0, 0xFFFF), st.sampled_from((SSRC, b"abcd"))),
                st.builds(packet, st.integers(0, 30)),
            )
        )
        world.push(raw, now)
        world.buffer.expire(now)
        assert world.buffer.held <= 8
        assert world.buffer.deadline is None or now < world.buffer.deadline <= now + 0.2


def test_a_hole_is_waited_for_until_its_time_is_over() -> None:
    world = World()
    world.push(packet(10), 0.0)
    assert world.buffer.deadline == 0.2
    world.buffer.expire(0.2)
    world.push(packet(12), 1.0)
    world.push(packet(14), 1.1)
    world.buffer.expire(1.19)
    assert world.sequences == [10]
    world.buffer.expire(1.2)
    assert world.sequences == [10, 12]
    world.push(packet(11), 1.21)
    assert world.buffer.late == 1
    assert world.buffer.deadline is not None
    world.push(packet(13), 1.25)
    assert world.sequences == [10, 12, 13, 14]


def test_a_sender_that_counts_anew_is_believed_when_two_are_in_sequence() -> None:
    world = World()
    for sequence in (5000, 5001):
        world.push(packet(sequence))
    world.buffer.expire(1.0)
    world.push(packet(3), 1.0)  # A stray: far back, and alone.
    world.push(packet(5002), 1.0)
    world.push(packet(9), 1.0)
    world.push(packet(10), 1.0)
    world.push(packet(11), 1.0)
    assert world.sequences == [5000, 5001, 5002, 9, 10, 11]
    world.push(packet(12, b"next"), 2.0)
    world.push(packet(11, b"next"), 2.1)
    assert world.buffer.held == 2
    world.buffer.flush()
    assert world.sequences[-2:] == [11, 12]
