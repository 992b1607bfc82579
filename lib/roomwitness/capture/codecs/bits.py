"""Bits of a header, most significant first (ITU-T H.264, 7.2 and 9.1)."""

from ..errors import StreamUnsupported

_MAX_ZEROS = 32  # ue(v) never codes more than 32 bits.


class Bits:
    """Reads a short header; every method raises ``StreamUnsupported`` where it ends too soon."""

    def __init__(self, data: bytes) -> None:
        self._value = int.from_bytes(data)
        self._size = self._left = len(data) * 8

    @property
    def position(self) -> int:
        """Bits read so far."""
        return self._size - self._left

    def take(self, count: int) -> int:
        """The next ``count`` bits as a number: u(n)."""
        if count > self._left:
            raise StreamUnsupported("a header ends too soon")
        self._left -= count
        return self._value >> self._left & (1 << count) - 1

    def ue(self) -> int:
        """An unsigned Exp-Golomb code: ue(v)."""
        zeros = 0
        while not self.take(1):
            zeros += 1
            if zeros > _MAX_ZEROS:
                raise StreamUnsupported("a number too large")
        return (1 << zeros) - 1 + self.take(zeros)

    def se(self) -> int:
        """A signed Exp-Golomb code: se(v)."""
        value = self.ue()
        return (value + 1) // 2 if value & 1 else -(value // 2)


def unescaped(nal: bytes) -> bytes:
    """A NAL unit without its emulation prevention bytes (7.3.1)."""
    return nal.replace(b"\x00\x00\x03", b"\x00\x00")
