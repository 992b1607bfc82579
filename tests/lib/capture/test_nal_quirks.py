"""Cameras that cut, name or mark their NAL units otherwise than RFC 6184 and RFC 7798 say."""

import io
from datetime import timedelta

import av
import pytest
from hypothesis import given
from hypothesis import strategies as st

from roomwitness.capture.codecs import AccessUnit
from roomwitness.capture.codecs.h264 import H264Depacketizer
from roomwitness.capture.codecs.h265 import H265Depacketizer
from roomwitness.capture.codecs.nal import MAX_SET_BYTES
from roomwitness.capture.coverage import Coverage
from roomwitness.capture.rtp import Track
from roomwitness.capture.segmenter import Segmenter
from roomwitness.policy.words import GapCause
from tests.camera.media import Unit
from tests.camera.rtp import Form, Sender, piece_of

from .codec_kit import T, encode, push
from .memory import MemorySink
from .scripted import FILM, FILM_H265, interleaved, joined, nal_kind, packets
from .test_burst import Taken, fragments, packet

FILMS: dict[Form, list[Unit]] = {"h264": FILM, "h265": FILM_H265}


def taken(form: Form, sent: list[bytes], *, bursts: bool) -> Taken:
    found = Taken(form, bursts=bursts)
    found.feed(interleaved(sent), [])
    return found


def large(unit: Unit) -> Unit:
    """The same with its units made long enough for many pieces each."""
    nals = tuple(nal + b"\x55" * 3000 for nal in unit.nals)
    return Unit("video", unit.time, nals, unit.key)


@pytest.mark.parametrize("form", FILMS)
@pytest.mark.parametrize("bursts", [False, True])
async def test_a_units_kind_is_what_its_first_piece_says(form: Form, bursts: bool) -> None:
    """Tiandy: the first piece says IDR, all others another slice."""

    def lie(payloads: list[bytes]) -> list[bytes]:
        found = []
        for payload in payloads:
            flags = piece_of(form, payload)
            if flags is not None and not flags & 0x80:
                at = 1 if form == "h264" else 2
                payload = payload[:at] + bytes((flags & 0xC0 | 1,)) + payload[at + 1 :]
            found.append(payload)
        return found

    film = [large(unit) for unit in FILMS[form]]
    out = taken(form, packets(film, Sender("video", 500, form=form, spoil=lie)), bursts=bursts)
    assert [data for _, data, _ in out.units] == [joined(unit) for unit in film]
    assert [key for _, _, key in out.units] == ([True, *[False] * 5] * 2)
    assert out.track.lost == 0


def in_fragments(form: Form, nals: list[tuple[bytes, int, bool]]) -> list[bytes]:
    """Packets of NAL units: each with its time, and whether its end has the marker."""
    found: list[bytes] = []
    for nal, time, marker in nals:
        payloads = fragments(form, nal)
        for number, payload in enumerate(payloads, 1):
            last = marker and number == len(payloads)
            found.append(packet(payload, len(found), time, marker=last))
    return found


@pytest.mark.parametrize("form", FILMS)
@pytest.mark.parametrize("bursts", [False, True])
@pytest.mark.parametrize("start", [b"\0\0\1", b"\0\0\0\1"])
async def test_sets_and_their_picture_in_one_units_place(
    form: Form, bursts: bool, start: bytes
) -> None:
    """V380: a byte stream (annex B) in pieces, under the kind of its first unit."""
    film = [large(unit) for unit in FILMS[form]]
    sent: list[tuple[bytes, int, bool]] = []
    for number, unit in enumerate(film):
        nals = [start.join(unit.nals)] if unit.key or number == 6 else unit.nals
        sent += [(nal, 9000 * number, nal is nals[-1]) for nal in nals]
    assert len(sent[0][0]) > MAX_SET_BYTES
    out = Taken(form, bursts=bursts)
    out.feed(b"".join(in_fragments(form, sent)), [])
    assert not out.transport.ended.done()
    assert [data for _, data, _ in out.units] == [joined(unit) for unit in film]
    assert [key for _, _, key in out.units] == ([True, *[False] * 5] * 2)


nals = st.tuples(st.sampled_from([b"\x67", b"\x68", b"\x65\x80", b"\x41\x80", b"\x06"]),
                 st.binary(max_size=20)).map(b"".join)  # fmt: skip
units = nals.filter(lambda nal: b"\0\0\1" not in nal and not nal.endswith(b"\0"))


@given(st.lists(st.tuples(units, st.integers(2, 5)), max_size=8))
def test_whatever_parts_them_they_are_the_cameras_own(more: list[tuple[bytes, int]]) -> None:
    sets = FILM[0].nals[0]
    stream = sets + b"".join(bytes(zeros) + b"\1" + nal for nal, zeros in more)
    out: list[AccessUnit] = []
    target = H264Depacketizer(out.append)
    push(target, stream)
    push(target, b"\x41\x80")
    wanted = [sets, *(nal for nal, _ in more)]
    picture = any(nal[0] in (0x65, 0x41) for nal in wanted)
    assert b"".join(out[0].parts) == b"".join(
        len(nal).to_bytes(4) + nal for nal in (wanted if picture else [*wanted, b"\x41\x80"])
    )


SLICED = "slices=3:keyint=6:min-keyint=6:scenecut=0:bframes=0:repeat-headers=1:log-level=none"
SIZE = (320, 384)  # x265 cuts only where there are rows enough.


def sliced(form: Form) -> list[tuple[int, list[bytes], list[bytes]]]:
    """Times, what comes before the slices, and the slices."""
    kinds = {1, 5} if form == "h264" else set(range(32))
    codec = "x264" if form == "h264" else "x265"
    found = []
    for time, whole in encode(codec, SLICED, 12, SIZE):
        slices = [nal for nal in whole if nal_kind(nal, codec) in kinds]
        assert len(slices) > 1
        found.append((time, list(whole[: -len(slices)]), slices))
    return found


@pytest.mark.parametrize("form", FILMS)
@pytest.mark.parametrize("bursts", [False, True])
async def test_a_marker_on_every_slice_cuts_no_picture_but_the_first(
    form: Form, bursts: bool
) -> None:
    film = sliced(form)
    sent = [
        (nal, time, nal in slices) for time, before, slices in film for nal in (*before, *slices)
    ]
    out = Taken(form, bursts=bursts)
    out.feed(b"".join(in_fragments(form, sent)), [])
    found = [(time, data) for time, data, _ in out.units]
    whole = [
        (time, b"".join(len(nal).to_bytes(4) + nal for nal in (*before, *slices)))
        for time, before, slices in film
    ]
    assert found[0][1] + found[1][1] == whole[0][1], "all of the first is there, in two pieces"
    # The last one's end is seen when another begins.
    assert found[2:] == whole[1:-1]
    assert [key for _, _, key in out.units] == [True, False, *[False] * 5, True, *[False] * 4]


@pytest.mark.parametrize("form", FILMS)
def test_that_the_first_is_cut_is_declared(form: Form) -> None:
    sink = MemorySink()
    segmenter = Segmenter(
        sink, Coverage(T, GapCause.CONNECTING, sink.gap), segment_seconds=60, sound=None
    )
    now = [T]
    target = (H264Depacketizer if form == "h264" else H265Depacketizer)(
        lambda unit: segmenter.picture(unit, track, now[0])
    )
    track = Track(96, 90000, target)
    for time, before, slices in sliced(form):
        now[0] = T + timedelta(seconds=time / 90000)
        for nal in before:
            push(target, nal, time, marker=False)
        for nal in slices:
            push(target, nal, time)
    segmenter.finish(track, GapCause.RESTART)
    (segment,) = sink.closed
    ((begin, end, cause, lost),) = sink.gaps
    assert (begin, cause, lost) == (segment.start, GapCause.DAMAGED, 0)
    assert (end - begin).total_seconds() == pytest.approx(0.6, abs=0.05), "to the next keyframe"
    with av.open(io.BytesIO(segment.data)) as container:
        sizes = [len(bytes(p)) for p in container.demux(video=0) if p.size]
    assert len(sizes) == 12, "the first in two, and all but the last"


def test_what_is_lost_is_no_sign_of_it() -> None:
    """A time that stands still, and a picture whose beginning is known to be missing."""
    out: list[AccessUnit] = []
    target = H264Depacketizer(out.append)
    push(target, b"\x65\x80")
    target.lose()
    push(target, b"\x41\x40")
    push(target, b"\x41\x80")
    assert [unit.damaged for unit in out] == [False, True, False]


def test_slices_in_any_order_are_no_sign_of_it() -> None:
    """ITU-T H.264, 7.4.3: in the Baseline profile a picture may begin with any of its slices."""
    out: list[AccessUnit] = []
    target = H264Depacketizer(out.append)
    for time, payload in enumerate((b"\x65\x80", b"\x41\x40", b"\x41\x80")):
        push(target, payload, time)
    assert [(unit.time, unit.damaged) for unit in out] == [(0, False), (1, False), (2, False)]
