"""Picture size from a sequence parameter set (ITU-T H.264, 7.3.2.1.1)."""

from .errors import StreamUnsupported

# Profiles whose parameter sets carry the chroma format (7.3.2.1.1).
_CHROMA = frozenset({100, 110, 122, 244, 44, 83, 86, 118, 128, 138, 139, 134, 135})


class _Bits:
    def __init__(self, data: bytes) -> None:
        self._value = int.from_bytes(data)
        self._left = len(data) * 8

    def take(self, count: int) -> int:
        if count > self._left:
            raise StreamUnsupported("a parameter set ends too soon")
        self._left -= count
        return self._value >> self._left & (1 << count) - 1

    def ue(self) -> int:
        zeros = 0
        while not self.take(1):
            zeros += 1
        return (1 << zeros) - 1 + self.take(zeros)

    def se(self) -> int:
        value = self.ue()
        return (value + 1) // 2 if value & 1 else -(value // 2)


def picture_size(sps: bytes) -> tuple[int, int]:
    """Width and height in pixels, cropping applied.

    Raises:
        StreamUnsupported: it is not a parameter set.
    """
    bits = _Bits(sps[1:].replace(b"\x00\x00\x03", b"\x00\x00"))
    profile = bits.take(8)
    bits.take(16)
    bits.ue()
    chroma, separate = 1, 0
    if profile in _CHROMA:
        chroma = bits.ue()
        if chroma == 3:
            separate = bits.take(1)
        bits.ue()
        bits.ue()
        bits.take(1)
        if bits.take(1):
            for index in range(12 if chroma == 3 else 8):
                if bits.take(1):
                    _scaling_list(bits, 16 if index < 6 else 64)
    bits.ue()
    order = bits.ue()
    if order == 0:
        bits.ue()
    elif order == 1:
        bits.take(1)
        bits.se()
        bits.se()
        for _ in range(bits.ue()):
            bits.se()
    bits.ue()
    bits.take(1)
    width = (bits.ue() + 1) * 16
    map_units = bits.ue() + 1
    frame_only = bits.take(1)
    if not frame_only:
        bits.take(1)
    bits.take(1)
    height = map_units * 16 * (2 - frame_only)
    if bits.take(1):
        array_type = 0 if separate else chroma
        unit_x = 2 if array_type in (1, 2) else 1
        unit_y = (2 if array_type == 1 else 1) * (2 - frame_only)
        left, right, top, bottom = (bits.ue() for _ in range(4))
        width -= unit_x * (left + right)
        height -= unit_y * (top + bottom)
    if width <= 0 or height <= 0:
        raise StreamUnsupported("a picture without size")
    return width, height


def _scaling_list(bits: _Bits, size: int) -> None:
    last = following = 8
    for _ in range(size):
        if following:
            following = (last + bits.se()) % 256
        last = following or last
