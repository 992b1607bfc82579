"""Cameras that cut, name or mark their NAL units otherwise than RFC 6184 and RFC 7798 say."""

import pytest

from tests.camera.media import Unit
from tests.camera.rtp import Form, Sender, piece_of

from .scripted import FILM, FILM_H265, interleaved, joined, packets
from .test_burst import Taken

FILMS: dict[Form, list[Unit]] = {"h264": FILM, "h265": FILM_H265}


def taken(form: Form, sent: list[bytes], *, bursts: bool) -> Taken:
    found = Taken(form, bursts=bursts)
    found.feed(interleaved(sent), [])
    return found


def large(unit: Unit) -> Unit:
    """The same with its slices made long enough for many pieces."""
    return Unit("video", unit.time, (*unit.nals[:-1], unit.nals[-1] + b"\x55" * 3000), unit.key)


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
