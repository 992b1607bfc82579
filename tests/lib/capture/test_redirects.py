"""A camera that says where its stream is now: followed, and told no password of another's."""

import pytest

from roomwitness.capture import CaptureError
from roomwitness.capture.redirect import MAX_REDIRECTS, moved
from roomwitness.capture.source import StreamSource

from .scripted import SDP, Ask, Script, watch, with_body
from .test_quirks import digest, lossless
from .test_recorder import Run, until


@pytest.mark.parametrize("status", ["301 Moved", "302 Found"])
async def test_a_redirect_is_followed_and_takes_the_password_along(status: str) -> None:
    def answer(ask: Ask) -> str:
        if ask.uri.endswith("/live"):
            return f"RTSP/1.0 {status}\nCSeq: {{cseq}}\nLocation: rtsp://127.0.0.1:{{port}}/new\n\n"
        good = "authorization" in ask.headers
        return with_body(SDP) if good else digest("n", stale=False)

    async with Script(DESCRIBE=answer) as camera:
        assert lossless(await watch(camera.source(user="u", word="p")))
    assert camera.asks("SETUP")[0].uri.endswith("/new/track1")
    assert camera.connections == 2


async def test_no_password_goes_to_another_host() -> None:
    async with Script(DESCRIBE=digest("n", stale=False)) as other:
        where = f"rtsp://thief:x@localhost:{other.port}/live"
        async with Script(
            DESCRIBE=f"RTSP/1.0 302 Found\nCSeq: {{cseq}}\nLocation: {where}\n\n"
        ) as camera:
            with pytest.raises(CaptureError) as caught:
                await watch(camera.source(user="user", word="secret"))
    assert caught.value.key == "camera_auth_failed"
    assert len(other.asked) == 1
    assert "authorization" not in other.asked[0].headers


async def test_redirects_without_end() -> None:
    async with Script(
        DESCRIBE="RTSP/1.0 301 Moved\nCSeq: {cseq}\nLocation: rtsp://127.0.0.1:{port}/live\n\n"
    ) as camera:
        with pytest.raises(CaptureError) as caught:
            await watch(camera.source())
        assert camera.connections == MAX_REDIRECTS + 1
    assert caught.value.key == "stream_protocol_error"
    assert "127.0.0.1" not in f"{caught.value} {caught.value.placeholders}"


async def test_a_camera_that_redirects_while_it_plays() -> None:
    async with Script() as other, Script() as camera:
        run = Run(camera.source(user="u", word="p"))
        await until(lambda: run.sink.statuses and run.sink.statuses[-1].frames)
        there = f"Location: {other.source().url}\r\n\r\n"
        camera.writers[0].write(b"REDIRECT x RTSP/1.0\r\nCSeq: 9\r\n" + there.encode())
        await until(lambda: other.asks("PLAY"))
        other.writers[0].write(b"TEARDOWN rtsp://x RTSP/1.0\r\nCSeq: 1\r\n\r\n")
        await until(lambda: len(camera.asks("PLAY")) == 2)
        sink = await run.stop()
    assert camera.asks("ANSWER")[0].uri == "RTSP/1.0 200 OK"
    assert sink.errors == ["camera_unreachable"] * len(sink.errors)
    assert "authorization" not in other.asked[0].headers


@pytest.mark.parametrize(
    ("location", "url", "name"),
    [
        ("rtsp://cam:99/b", "rtsp://cam:99/b", "user"),
        ("rtsp://CAM/b", "rtsp://CAM/b", "user"),
        ("rtsp://10.0.0.7/b", "rtsp://10.0.0.7/b", "user"),
        ("rtsp://evil@cam/b", "rtsp://cam/b", "user"),
        ("rtsp://cam@evil/b", "rtsp://evil/b", ""),
        ("rtsp://cam.evil/b", "rtsp://cam.evil/b", ""),
        ("/b?c=d", "rtsp://cam/b?c=d", "user"),
        ("b", "rtsp://cam/a/b", "user"),
    ],
)
def test_where_a_redirect_leads(location: str, url: str, name: str) -> None:
    found = moved(StreamSource("rtsp://user:word@cam/a/x"), location, "10.0.0.7")
    there = found.endpoint()
    assert (found.url.replace("user:word@", ""), there.username) == (url, name)
    assert there.password == ("word" if name else "")
    nameless = ("rtsp://a..b/x", f"rtsp://{'a' * 64}/x", "rtsp://a\0b/x", "rtsp://ü..b/x")
    for nowhere in ("http://cam/b", "rtsp://[", "rtsp://", *nameless):
        with pytest.raises(CaptureError):
            moved(StreamSource("rtsp://cam/a"), nowhere, None)
