"""A Content-Base that names no scheme (Anjvision) is an address, or nothing."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from roomwitness.capture import sdp
from roomwitness.capture.errors import StreamProtocolError

from .scripted import SDP, Script, watch, with_body


@pytest.mark.parametrize("name", ["Content-Base", "Content-Location"])
@pytest.mark.parametrize(
    ("given_base", "asked"),
    [
        ("127.0.0.1:{port}/stream0/", "/stream0/track1"),
        ("127.0.0.1:{port}", "/track1"),
        ("192.0.2.7:554/stream0/", "/live/track1"),
        ("stream0/", "/live/track1"),
        ("127.0.0.1]/[", "/live/track1"),
    ],
)
async def test_a_base_without_a_scheme(name: str, given_base: str, asked: str) -> None:
    describe = with_body(SDP, headers=f"{name}: {given_base}\n")
    async with Script(DESCRIBE=describe) as camera:
        await watch(camera.source(), 1)
    (setup,) = camera.asks("SETUP")
    assert setup.uri == f"rtsp://127.0.0.1:{camera.port}{asked}"


@pytest.mark.parametrize(
    ("uri", "told", "base"),
    [
        ("rtsps://cam:322/a", "CAM/b/", "rtsps://CAM/b/"),
        ("rtsp://[fe80::1]:554/a", "[fe80::1]:554/b/", "rtsp://[fe80::1]:554/b/"),
        ("rtsp://cam:554/a", "camera/b/", "rtsp://cam:554/a"),
        ("rtsp://cam:554/a", "/b/", "rtsp://cam:554/b/"),
        ("rtsp://cam:554/a", "rtsp://other/b/", "rtsp://other/b/"),
    ],
)
def test_what_it_is_taken_for(uri: str, told: str, base: str) -> None:
    assert sdp.base(uri, told) == base


@given(st.text() | st.builds("cam{}".format, st.text()))
def test_any_base_is_an_address_or_refused(told: str) -> None:
    try:
        found = sdp.base("rtsp://cam:554/live", told)
    except StreamProtocolError:
        return
    assert "://" in found
    assert not any(letter <= " " for letter in found)
