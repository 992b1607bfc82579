"""Puts RTP packets that came over UDP back in order (RFC 3550, 5.1 and A.1). Pure: time is given.

A missing packet is waited for until so many later ones have come or so much time has passed;
only then is what follows handed on, and the track counts the hole as lost.
"""

from collections.abc import Callable

# Wi-Fi and bonded links reorder within some 64 packets and a few milliseconds.
PACKETS = 256
SECONDS = 0.2
# A packet at most so late is late; one further back belongs to another count, if the next does too.
_MAX_MISORDER = 1000

type Deliver = Callable[[memoryview, int, int], None]


class Reorder:
    """One RTP stream's packets: in as they come, out in order, each once.

    It holds at most ``packets`` packets, each for at most ``seconds``. Where the stream begins is
    only known once the hold is over, so the first packets are held as well.
    """

    def __init__(
        self, deliver: Deliver, *, packets: int = PACKETS, seconds: float = SECONDS
    ) -> None:
        self._deliver = deliver
        self._packets = packets
        self._seconds = seconds
        # By place: the sequence number, counted on beyond 16 bits. In order of arrival.
        self._held: dict[int, tuple[float, bytes]] = {}
        self._next = 0
        self._begun = False
        self._ssrc: int | None = None
        self._suspect: tuple[int, bytes] | None = None
        self.late = 0

    @property
    def held(self) -> int:
        """How many packets wait."""
        return len(self._held)

    @property
    def deadline(self) -> float | None:
        """When ``expire`` must be called at latest; None if nothing waits."""
        return next(iter(self._held.values()))[0] + self._seconds if self._held else None

    def push(self, view: memoryview, start: int, end: int, now: float) -> None:
        """Take a packet that arrived at ``now`` (monotonic seconds)."""
        if end - start < 12 or view[start] >> 6 != 2:
            return
        sequence = view[start + 2] << 8 | view[start + 3]
        ssrc = int.from_bytes(view[start + 8 : start + 12])
        if ssrc != self._ssrc:
            self.flush()
            self._ssrc, self._next, self._begun, self._suspect = ssrc, sequence, False, None
        place = self._next + (sequence - self._next + 0x8000 & 0xFFFF) - 0x8000
        if self._begun and place <= self._next:
            if place == self._next:
                self._next += 1
                self._suspect = None
                self._deliver(view, start, end)
                self._run()
            elif self._next - place <= _MAX_MISORDER:
                self.late += 1
            else:
                self._another_count(sequence, bytes(view[start:end]))
            return
        if place in self._held:
            self.late += 1
            return
        self._held[place] = now, bytes(view[start:end])
        while len(self._held) > self._packets:
            self._give_up()

    def expire(self, now: float) -> None:
        """Hand on what has waited long enough."""
        while (deadline := self.deadline) is not None and deadline <= now:
            self._give_up()

    def flush(self) -> None:
        """Hand on everything: nothing more is waited for."""
        while self._held:
            self._give_up()

    def _give_up(self) -> None:
        """What is missing before the first that waits is lost."""
        self._next, self._begun = min(self._held), True
        self._run()

    def _run(self) -> None:
        """Hand on what waits and whose turn it is."""
        held = self._held
        while held and (item := held.pop(self._next, None)) is not None:
            self._next += 1
            self._deliver(memoryview(item[1]), 0, len(item[1]))

    def _another_count(self, sequence: int, packet: bytes) -> None:
        """Two in sequence from elsewhere are a sender that counts anew, one alone is a stray."""
        suspect, self._suspect = self._suspect, (sequence, packet)
        if suspect is None or sequence != (suspect[0] + 1) & 0xFFFF:
            return
        self.flush()
        self._suspect, self._next = None, sequence + 1
        for data in (suspect[1], packet):
            self._deliver(memoryview(data), 0, len(data))
