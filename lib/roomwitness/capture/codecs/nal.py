"""What H.264 and H.265 share: NAL units gathered into access units, parameter sets kept."""

import base64
from collections.abc import Callable, Iterator, Sequence

from ..burst import Shape
from ..errors import StreamProtocolError, StreamUnsupported
from ..sdp import Media
from .base import MAX_UNIT_BYTES, MAX_UNIT_PIECES, AccessUnit, EmitPicture, VideoFormat, nobody

# An MP4 header counts a set's bytes in 16 bits; real ones have a few hundred.
MAX_SET_BYTES = 8192
MAX_SETS = 64
# What parts the units of a byte stream (ITU-T H.264 and H.265, annex B), and is in no unit (7.4.1).
_START = b"\0\0\1"

type Sets = tuple[tuple[bytes, ...], ...]


class ParameterSets:
    """The newest parameter sets, by kind and by their own number.

    ``number(kind, nal)`` reads that number; ``make(sets, in_band)`` builds the format once every
    kind is there. ``in_band`` says that the stream itself carries them.
    """

    def __init__(
        self,
        kinds: tuple[int, ...],
        number: Callable[[int, bytes], int],
        make: Callable[[Sets, bool], VideoFormat],
    ) -> None:
        self._kinds = kinds
        self._number = number
        self._make = make
        self._sets: dict[int, dict[int, bytes]] = {kind: {} for kind in kinds}
        self._in_band = False
        self._format: VideoFormat | None = None

    def take(self, kind: int, nal: bytes, *, in_band: bool = True) -> None:
        """Keep a set; one that is repeated unchanged, or makes no sense, changes nothing.

        Raises:
            StreamProtocolError: too many, or one too large.
        """
        found = self._sets[kind]
        try:
            number = self._number(kind, nal)
        except StreamUnsupported:
            return  # It is recorded as it came, but no header can be made of it.
        if in_band and not self._in_band:
            self._in_band, self._format = True, None
        if found.get(number) == nal:
            return
        if len(nal) > MAX_SET_BYTES or (number not in found and len(found) >= MAX_SETS):
            raise StreamProtocolError("parameter sets without end")
        found.pop(number, None)
        found[number] = nal
        self._format = None

    @property
    def format(self) -> VideoFormat | None:
        """The format by these sets; the same object until they change."""
        if self._format is None and all(self._sets.values()):
            sets = tuple(tuple(found.values()) for found in self._sets.values())
            self._format = self._make(sets, self._in_band)
        return self._format


class NalDepacketizer:
    """Gives whole access units to ``emit``; a NAL unit with a missing packet is left out.

    So is one whose end, or beginning, was never sent: cameras cut pictures whose packets they
    number on. ``let_go`` is told, as of all that is left out and of which no packet is missing.

    Of the codec it knows only which types are parameter sets, pictures and keyframes, how
    ``kind`` reads a type from a NAL unit's first byte, and that behind the ``header`` bytes of a
    picture's slice the first bit says whether it is the picture's first.
    """

    def __init__(
        self, emit: EmitPicture, sets: ParameterSets, kinds: tuple[int, ...], pictures: range,
        keys: range, kind: Callable[[int], int], header: int,
    ) -> None:  # fmt: skip
        self.let_go: Callable[[], None] = nobody
        self._emit = emit
        self._sets = sets
        self._kinds = kinds
        self._pictures = frozenset(pictures)
        self._keys = frozenset(keys)
        self._kind = kind
        self._header = header
        # Something is known to be missing. A stream is joined anywhere.
        self._hole = True
        self._unit: AccessUnit | None = None
        # The time of the picture that a marker ended last; no marker ends one any more.
        self._ended: int | None = None
        self._by_time = False
        self._fragments: list[bytes] | None = None
        self._gathered = 0

    def lose(self) -> None:
        """Packets are missing: what is unfinished stays so, and the next picture may lack parts."""
        self._fragments = None
        self._hole = True
        if self._unit is not None:
            self._unit.damaged = True

    def _throw(self) -> None:
        """What came, or what it belongs to, is given to nobody: told, if it is not known yet."""
        if not self._hole:
            self.let_go()
        self.lose()

    def end(self) -> None:
        """Another count follows: an unfinished picture is given as far as it came."""
        self.lose()
        if self._unit is not None and self._unit.picture:
            self._finish(self._unit)
        self._unit = self._ended = None

    def _at(self, time: int) -> AccessUnit:
        """The access unit that a payload of this time belongs to."""
        unit = self._unit
        if unit is None:
            unit = self._unit = AccessUnit(time)
        elif unit.time != time:
            if self._fragments is not None:  # Its end was never sent.
                self._throw()
            if unit.picture:
                self._finish(unit)
            if unit.picture or unit.damaged:
                unit = self._unit = AccessUnit(time)
            else:
                unit.time = time  # Parameter sets sent ahead of their picture.
        return unit

    def _finish(self, unit: AccessUnit) -> None:
        unit.format = self._sets.format
        if unit.damaged:
            unit.key = False
        self._unit = None
        self._emit(unit)

    def _marked(self, unit: AccessUnit) -> None:
        """The marker: the picture ends here, so what is missing is none of the next one's."""
        if self._fragments is not None:
            self._throw()
        if unit.picture and not self._by_time:
            self._ended = unit.time
            self._finish(unit)
            self._hole = False

    def _begin_fragments(self, header: bytes) -> None:
        if self._fragments is not None:  # That one's end was never sent.
            self._throw()
        self._fragments = [header]
        self._gathered = 0

    def _gather(self, fragments: list[bytes], piece: bytes) -> None:
        fragments.append(piece)
        self._gathered += len(piece)
        self._bound(fragments)

    def _bound(self, fragments: list[bytes]) -> None:
        if self._gathered > MAX_UNIT_BYTES or len(fragments) > MAX_UNIT_PIECES:
            raise StreamProtocolError("a NAL unit without end")

    def _whole(self, unit: AccessUnit, fragments: list[bytes]) -> None:
        """The unit is what its first piece says: in the later ones some cameras write another."""
        self._fragments = None
        self._add(unit, self._kind(fragments[0][0]), fragments)

    def take(
        self, shape: Shape, pieces: list[bytes], size: int, time: int, *, whole: bool, marker: bool
    ) -> None:
        """Take pieces of one unit (burst.py)."""
        unit = self._unit
        if unit is None or unit.time != time:
            unit = self._at(time)
        kind, header, fragments = shape.kind, shape.header, self._fragments
        if whole and header and fragments is None and kind in self._pictures:
            # Most of a camera's packets are such units: all in one.
            size += len(header)
            unit.parts.append(size.to_bytes(4) + header)
            unit.parts += pieces
            self._taken(unit, kind, size, (header, pieces[0]))
        else:
            if header:
                self._begin_fragments(header)
                fragments = self._fragments
            if fragments is None:
                self._throw()
            else:
                fragments += pieces
                if whole:
                    self._whole(unit, fragments)
                else:
                    self._gathered += size
                    self._bound(fragments)
        if marker:
            self._marked(unit)

    def _aggregate(
        self, unit: AccessUnit, view: memoryview, at: int, end: int, *, least: int
    ) -> None:
        """NAL units behind their sizes (RFC 6184, 5.7.1; RFC 7798, 4.4.2), of ``least`` bytes."""
        while at + 1 + least < end:
            stop = at + 2 + (view[at] << 8 | view[at + 1])
            if stop > end:
                break
            if stop >= at + 2 + least:
                self._add(unit, self._kind(view[at + 2]), [bytes(view[at + 2 : stop])])
            elif any(view[at + 2 : stop]):
                self._throw()
            at = stop
        if any(view[at:end]):  # Cut; zeros alone are padding.
            self._throw()

    def _add(self, unit: AccessUnit, kind: int, pieces: list[bytes]) -> None:
        if self._fragments is not None:  # Nothing comes between a unit's pieces: it has no end.
            self._throw()
        if kind in self._kinds and _START in (stream := b"".join(pieces)):
            # Parameter sets and their picture as a byte stream, in one unit's place (V380).
            for nal in _apart(stream):
                self._put(unit, self._kind(nal[0]), [nal])
        else:
            self._put(unit, kind, pieces)

    def _put(self, unit: AccessUnit, kind: int, pieces: list[bytes]) -> None:
        size = sum(map(len, pieces))
        unit.parts.append(size.to_bytes(4))
        unit.parts += pieces
        self._taken(unit, kind, size, pieces)

    def _taken(self, unit: AccessUnit, kind: int, size: int, pieces: Sequence[bytes]) -> None:
        """Of a picture's slice the first two ``pieces`` will do."""
        unit.size += size + 4
        if unit.size > MAX_UNIT_BYTES or len(unit.parts) > MAX_UNIT_PIECES:
            raise StreamProtocolError("a picture without end")
        if kind in self._pictures:
            if not unit.picture:
                if self._hole or unit.time == self._ended:
                    self._begin(unit, pieces)
                unit.picture = True
            if kind in self._keys:
                unit.key = True
        elif kind in self._kinds:
            self._sets.take(kind, b"".join(pieces))

    def _begin(self, unit: AccessUnit, pieces: Sequence[bytes]) -> None:
        """The first slice that came of a picture, or of what is taken for one."""
        if self._hole:
            self._hole = False
            if not self._begins(pieces):
                unit.damaged = True
        elif not self._begins(pieces):
            # It is of the picture that a marker ended: every slice has one here (RFC 6184, 5.1,
            # wants it on the last). That picture is given already, so it is cut in two, and this
            # is said to be damaged; of those that follow none is cut.
            self._by_time = unit.damaged = True

    def _begins(self, pieces: Sequence[bytes]) -> bool:
        """Whether a slice is its picture's first (ITU-T H.264, 7.3.3; H.265, 7.3.6.1)."""
        start = b"".join(pieces[:2])[self._header : self._header + 1]
        return start >= b"\x80"


def _apart(stream: bytes) -> Iterator[bytes]:
    """The units of a byte stream; zeros before a start code are none of theirs."""
    at = 0
    while (stop := stream.find(_START, at)) >= 0:
        if nal := stream[at:stop].rstrip(b"\0"):
            yield nal
        at = stop + len(_START)
    if at < len(stream):
        yield stream[at:]


def from_description(media: Media, *names: str) -> list[bytes]:
    """Parameter sets out of ``a=fmtp`` (base64, separated by commas); what is malformed is none."""
    found = []
    for name in names:
        for text in media.parameters.get(name, "").split(","):
            try:
                found.append(base64.b64decode(text + "=" * (-len(text) % 4)))
            except ValueError:
                continue
    return [nal for nal in found if nal]
