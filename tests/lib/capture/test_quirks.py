"""What cameras do beside the standards, each said by a real server, byte for byte."""

import asyncio

import pytest

from roomwitness.capture import CaptureError, Timeouts
from roomwitness.capture.rtsp import RtspClient
from roomwitness.capture.source import StreamSource
from roomwitness.policy.words import GapCause
from tests.camera.rtp import Sender

from . import scripted
from .scripted import (
    FILM,
    OK,
    SDP,
    SETUP,
    Ask,
    Script,
    Watched,
    interleaved,
    joined,
    watch,
    with_body,
)
from .test_recorder import Run, until

KEEP_ALIVES = ["GET_PARAMETER", "OPTIONS", "SET_PARAMETER"]


def lossless(watched: Watched) -> bool:
    return watched.track.lost == 0 and watched.pictures == [joined(unit) for unit in FILM]


def ok(ask: Ask) -> bytes:
    return scripted.lines(OK, ask)


# Whatever the watchdogs think of a film that ends.
PATIENT = Timeouts(request=0.2, bytes=20, picture=20, first_keyframe=20, next_keyframe=20)
NO_RANGE = "RTSP/1.0 457 Invalid Range\nCSeq: {cseq}\n\n"
PLAYED = interleaved(scripted.packets())


@pytest.mark.parametrize(
    "answers",
    [
        {},
        {
            "DESCRIBE": with_body(SDP).replace("{cseq}", "1").encode(),
            "SETUP": SETUP.replace("{cseq}", "2").encode(),
            "PLAY": OK.replace("{cseq}", "3").encode() + PLAYED,
        },
        {
            "DESCRIBE": with_body(SDP).replace("RTSP/1.0 200 OK", "rtsp/1.0 200"),
            "SETUP": SETUP.replace("RTSP/1.0 200 OK", "Rtsp/1.0  200  Ok"),
        },
        {"SETUP": SETUP.replace("Transport: RTP/AVP/TCP;", "Transport: RTP/AVP/TCP;\n\t ")},
        {"SETUP": SETUP.replace("CSeq: {cseq}\n", "")},
        {"SETUP": SETUP.replace(";timeout=60", "")},
        {"SETUP": SETUP.replace(";timeout=60", ";timeout=")},
        {"PLAY": OK.replace("1234", "another")},
        {"PLAY": OK.replace("Session: 1234\n", "")},
        {"PLAY": lambda ask: PLAYED + ok(ask)},
        {"PLAY": lambda ask: NO_RANGE if ask.number < 2 else ok(ask) + PLAYED},
        {"DESCRIBE": with_body(SDP, headers="Content-Base: /live/\n")},
        {"DESCRIBE": with_body("\n" + SDP)},
        {"DESCRIBE": with_body(SDP.replace("a=control", "a=Control"))},
        {"DESCRIBE": with_body(SDP + "m=application 9\na=rtpmap:x\n")},
        {"DESCRIBE": with_body(SDP, length=len(SDP))},
        {"DESCRIBE": with_body(SDP, length=150)},
        {"DESCRIBE": with_body(SDP, length=20)},
        {"DESCRIBE": with_body(SDP, length=len(SDP) + 2000)},
        {"PLAY": OK.replace("\n\n", "\nContent-Length: 500\n\n")},
        {"SETUP": SETUP + "\n\n"},
    ],
    ids=[
        *("usual", "bare LF", "small letters", "folded", "no CSeq", "no timeout", "empty timeout"),
        *("another session", "no session", "packets before the answer", "no range"),
        *("relative base", "blank line first", "capital control", "a section of nonsense"),
        *("LF counted", "too short", "far too short", "too long", "a body that never comes"),
        "blank lines",
    ],
)  # fmt: skip
async def test_it_plays_all_the_same(answers: dict[str, scripted.Answer]) -> None:
    async with Script(**answers) as camera:
        stream = await watch(camera.source(), timeout_s=0.8)
    assert lossless(stream)
    assert camera.asks("TEARDOWN")[0].headers["session"] in ("1234", "another")


@pytest.mark.parametrize("step", [1, 7, 11, 13])
async def test_answers_in_drops(step: int) -> None:
    """TCP cuts where it likes, in the middle of a status line too."""

    async def drip(data: bytes) -> None:
        for start in range(0, len(data), step):
            camera.writers[0].write(data[start : start + step])
            await asyncio.sleep(0)
            await asyncio.sleep(0)

    tasks = []

    def answer(ask: Ask) -> None:
        said = {"DESCRIBE": with_body(SDP), "SETUP": SETUP, "PLAY": OK}[ask.method]
        data = scripted.lines(said, ask) + (PLAYED if ask.method == "PLAY" else b"")
        tasks.append(asyncio.get_running_loop().create_task(drip(data)))

    async with Script(DESCRIBE=answer, SETUP=answer, PLAY=answer) as camera:
        assert lossless(await watch(camera.source()))


@pytest.mark.parametrize(
    ("transport", "on"),
    [("interleaved=0-1", 0), ("interleaved=4-5", 4), ("interleaved=1-2", 1), ("", 0), ("", 6)],
)
async def test_channels_are_the_cameras_choice(transport: str, on: int) -> None:
    async with Script(
        SETUP=SETUP.replace("interleaved=0-1", transport),
        PLAY=lambda ask: ok(ask) + interleaved(scripted.packets(), on),
    ) as camera:
        assert lossless(await watch(camera.source()))


@pytest.mark.parametrize(
    ("path", "headers", "control", "asked"),
    [
        ("/live", "", "track1", "/live/track1"),
        ("/live/", "", "track1", "/live/track1"),
        ("/cam?channel=1&subtype=0", "", "trackID=1", "/cam?channel=1&subtype=0/trackID=1"),
        ("/live", "", "/other/track1?a=b", "/other/track1?a=b"),
        ("/live", "", "rtsp://10.0.0.9/x/track1", "rtsp://10.0.0.9/x/track1"),
        ("/live", "", "track 1", "/live/track%201"),
        ("/live", "", "*", "/live"),
        ("/live", "Content-Base: rtsp://127.0.0.1/base/\n", "t", "rtsp://127.0.0.1/base/t"),
        ("/live", "Content-Location: rtsp://127.0.0.1/loc\n", "t", "rtsp://127.0.0.1/loc/t"),
        (
            "/live",
            "Content-Location: rtsp://x/loc\nContent-Base: rtsp://127.0.0.1/base?a=b\n",
            "t",
            "rtsp://127.0.0.1/base?a=b/t",
        ),
    ],
)
async def test_control_addresses(path: str, headers: str, control: str, asked: str) -> None:
    describe = with_body(SDP.replace("track1", control), headers=headers)
    async with Script(DESCRIBE=describe) as camera:
        await watch(camera.source(path), 1)
    (setup,) = camera.asks("SETUP")
    here = "" if "://" in asked else f"rtsp://127.0.0.1:{camera.port}"
    assert setup.uri == here + asked


def digest(nonce: str, *, stale: bool) -> str:
    word = ", stale=true" if stale else ""
    return (
        "RTSP/1.0 401 Unauthorized\nCSeq: {cseq}\n"
        f'WWW-Authenticate: Digest realm="x", nonce="{nonce}"{word}\n\n'
    )


@pytest.mark.parametrize("stale", [True, False], ids=["stale", "not called stale"])
async def test_a_nonce_that_expires(stale: bool) -> None:
    """Some cameras give a nonce for one request and call the next challenge stale, some do not."""

    good = {"DESCRIBE": with_body(SDP), "SETUP": SETUP}

    def answer(ask: Ask) -> scripted.Say:
        nonce = f"n{ask.method}"
        known = nonce in ask.headers.get("authorization", "")
        return good.get(ask.method, ok(ask) + PLAYED) if known else digest(nonce, stale=stale)

    async with Script(DESCRIBE=answer, SETUP=answer, PLAY=answer) as camera:
        assert lossless(await watch(camera.source(user="u", word="p")))
    assert [len(camera.asks(m)) for m in ("DESCRIBE", "SETUP", "PLAY")] == [2, 2, 2]


async def test_a_wrong_password_is_tried_once() -> None:
    async with Script(DESCRIBE=lambda ask: digest(f"n{ask.number}", stale=False)) as camera:
        with pytest.raises(CaptureError) as caught:
            await watch(camera.source(user="u", word="p"))
    assert caught.value.key == "camera_auth_failed"
    assert len(camera.asks("DESCRIBE")) == 2


async def test_the_next_nonce_is_used() -> None:
    def answer(ask: Ask) -> str:
        if "authorization" not in ask.headers:
            return digest("first", stale=False)
        return with_body(SDP, headers='Authentication-Info: nextnonce="second"\n')

    async with Script(DESCRIBE=answer) as camera:
        await watch(camera.source(user="u", word="p"))
    assert 'nonce="second"' in camera.asks("SETUP")[0].headers["authorization"]


async def keep_alives(answers: dict[str, scripted.Answer], wanted: int) -> list[str]:
    async with Script(SETUP=SETUP.replace("timeout=60", "timeout=1"), **answers) as camera:
        run = Run(camera.source(), timeouts=PATIENT)
        await until(lambda: sum(m in KEEP_ALIVES for m in camera.methods()) >= wanted, 6)
        assert camera.connections == 1
        await run.stop()
    return [m for m in camera.methods() if m in KEEP_ALIVES]


@pytest.mark.parametrize(
    ("answers", "seen"),
    [
        ({}, ["GET_PARAMETER", "GET_PARAMETER"]),
        (
            {"GET_PARAMETER": "RTSP/1.0 405 Method Not Allowed\nCSeq: {cseq}\n\n"},
            ["GET_PARAMETER", "OPTIONS", "OPTIONS"],
        ),
        (
            {
                "GET_PARAMETER": "RTSP/1.0 501 Not Implemented\nCSeq: {cseq}\n\n",
                "OPTIONS": "RTSP/1.0 551 Option not supported\nCSeq: {cseq}\n\n",
            },
            ["GET_PARAMETER", "OPTIONS", "SET_PARAMETER", "SET_PARAMETER"],
        ),
        (dict.fromkeys(KEEP_ALIVES, "RTSP/1.0 400 No\nCSeq: {cseq}\n\n"), KEEP_ALIVES),
    ],
    ids=["usual", "405", "501 and 551", "none at all"],
)
async def test_ways_to_keep_a_session_alive(
    answers: dict[str, scripted.Answer], seen: list[str]
) -> None:
    assert (await keep_alives(answers, len(seen)))[: len(seen)] == seen


async def test_a_camera_that_does_not_answer_is_asked_in_another_way() -> None:
    assert await keep_alives({"GET_PARAMETER": None}, 2) == ["GET_PARAMETER", "OPTIONS"]


async def test_how_often_a_session_is_kept_alive() -> None:
    for given, seconds in (("", 30.0), (";timeout=20", 10.0), ("; timeout = 4 ", 2.0)):
        async with Script(SETUP=SETUP.replace(";timeout=60", given)) as camera:
            client = await RtspClient.connect(camera.source(), lambda *_: None, 1.0)
            await client.setup((await client.describe()).media[0], "RTP/AVP/TCP")
            assert client.keep_alive_s == seconds
            await client.close()


async def test_a_session_that_the_camera_forgot_is_set_up_anew() -> None:
    gone = "RTSP/1.0 454 Session Not Found\nCSeq: {cseq}\n\n"
    async with Script(
        SETUP=SETUP.replace("timeout=60", "timeout=3"),  # The film lasts 1.2 s.
        GET_PARAMETER=lambda ask: gone if ask.connection == 1 else OK,
    ) as camera:
        run = Run(camera.source(), timeouts=PATIENT)
        await until(lambda: len(camera.asks("PLAY")) == 2)
        await until(lambda: run.sink.statuses[-1].error_key is None)
        sink = await run.stop()
    assert sink.errors == ["camera_unreachable"]
    assert GapCause.CONNECTION_LOST in sink.causes


async def test_requests_of_the_camera_are_answered() -> None:
    async with Script() as camera:
        run = Run(camera.source())
        await until(lambda: run.sink.statuses and run.sink.statuses[-1].frames)
        camera.writers[0].write(
            b"OPTIONS * RTSP/1.0\nCSeq: 7\n\nANNOUNCE x RTSP/1.0\r\nCSeq: 8\r\n\r\n"
        )
        await until(lambda: len(camera.asks("ANSWER")) == 2)
        await run.stop()
    said = [(ask.uri, ask.headers["cseq"]) for ask in camera.asks("ANSWER")]
    assert said == [("RTSP/1.0 200 OK", "7"), ("RTSP/1.0 501 Not Implemented", "8")]


@pytest.mark.parametrize(
    "banner", [b"SSH-2.0-OpenSSH_9.2\r\n", b"\x16\x03\x01 tls", b"220 mail ready\r\n"]
)
@pytest.mark.parametrize("close", [True, False], ids=["it closes", "it waits"])
async def test_what_is_no_camera(banner: bytes, close: bool) -> None:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(banner)
        if not close:
            await reader.read(1000)
            await reader.read()
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    with pytest.raises(CaptureError) as caught:
        await watch(StreamSource(f"rtsp://127.0.0.1:{port}/live"), timeout_s=0.3)
    server.close()
    assert caught.value.key == "stream_protocol_error"


@pytest.mark.parametrize(
    "garbage",
    [
        *(b"x", b"$", b"$\x00", b"$\x00\x00\x10\x00\x00", b"$\x00\x00\x10\x80\x60"),
        *(b"RTSP/1.0 junk", b"\r\n\r\n\x00", bytes(range(256)) * 9),
    ],
    ids=[
        *("a byte", "a dollar", "half a head", "a false head", "a better false head"),
        *("half a message", "blank lines", "much"),
    ],
)
@pytest.mark.parametrize("step", [97, 1 << 20], ids=["in drops", "at once"])
async def test_garbage_between_packets_is_skipped_and_declared(garbage: bytes, step: int) -> None:
    """Three packets have it behind them; what follows is taken again."""
    film = scripted.long_film(30)
    found = scripted.packets(film)
    places = (25, 200, 201)
    data = b"".join(
        interleaved([packet]) + (garbage if number in places else b"")
        for number, packet in enumerate(found)
    )
    tasks: list[asyncio.Task[None]] = []

    async def drip() -> None:
        for start in range(0, len(data), step):
            camera.writers[0].write(data[start : start + step])
            await asyncio.sleep(0)

    def play(ask: Ask) -> bytes:
        tasks.append(asyncio.get_running_loop().create_task(drip()))
        return ok(ask)

    async with Script(PLAY=play) as camera:
        watched = await watch(camera.source(), last=scripted.last_time(film))
        await tasks[0]
    sent = [joined(unit) for unit in film]
    missing = [number for number, data in enumerate(sent) if data not in watched.pictures]
    assert watched.track.lost >= 3
    assert len(missing) <= watched.track.lost
    assert watched.pictures[:8] == sent[:8]
    assert watched.pictures[-50:] == sent[-50:]


async def test_padding_extensions_and_no_reports() -> None:
    sender = Sender("video")
    dressed = []
    for number, packet in enumerate(scripted.packets(sender=sender)):
        flags = packet[0] | (0x20 if number % 2 else 0) | (0x10 if number % 3 else 0)
        extension = b"\xbe\xde\x00\x02" + bytes(8) if number % 3 else b""
        padding = bytes(number % 9) + bytes((number % 9 + 1,)) if number % 2 else b""
        dressed.append(bytes((flags,)) + packet[1:12] + extension + packet[12:] + padding)
    async with Script(PLAY=lambda ask: ok(ask) + interleaved(dressed)) as camera:
        stream = await watch(camera.source())
    assert lossless(stream)
    assert stream.track.clock_offset_s is None
