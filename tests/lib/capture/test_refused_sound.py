"""A camera that refuses its sound still gives its picture, and it is told; by real sockets."""

from dataclasses import replace

import pytest

from roomwitness.capture import CaptureError, CaptureStatus, probe
from roomwitness.capture.stream import Stream
from tests.camera import Camera, CameraConfig

from . import scripted
from .memory import MemorySink, decode
from .scripted import OK, PICTURES, SDP, SETUP, Ask, Script, interleaved, watch, with_body
from .test_quirks import PATIENT, digest, lossless
from .test_recorder import Run, until, utcnow

WITH_SOUND = with_body(SDP + "m=audio 0 RTP/AVP 8\na=control:track2\n")
METADATA = "m=application 0 RTP/AVP 98\na=rtpmap:98 vnd.onvif.metadata/90000\na=control:track2\n"


def answering(said: scripted.Say) -> scripted.Answer:
    """To the SETUP of what comes beside the picture."""
    return lambda ask: said if ask.uri.endswith("track2") else SETUP


def status(code: str) -> str:
    return f"RTSP/1.0 {code}\nCSeq: {{cseq}}\n\n"


REFUSALS = [
    *map(status, ("400 Bad Request", "403 Forbidden", "404 Not Found", "410 Gone")),
    *map(status, ("415 Unsupported", "451 Parameter", "453 Not Enough Bandwidth")),
    *map(status, ("459 Aggregate", "461 Unsupported Transport", "500 Error", "503 Busy")),
    SETUP.replace("RTP/AVP/TCP;unicast;interleaved=0-1", "RTP/AVP;unicast;client_port=9-10"),
    SETUP.replace("RTP/AVP/TCP", "RTP/SAVP"),
    None,
]


async def recorded(camera: Script) -> tuple[MemorySink, CaptureStatus]:
    run = Run(replace(camera.source(user="u", word="p"), audio=True), timeouts=PATIENT)
    await until(lambda: run.sink.statuses and run.sink.statuses[-1].last_frame)
    await until(lambda: run.sink.opened[0].flushed)
    run.recorder.stop()
    await run.task
    return run.sink, run.sink.statuses[-1]


@pytest.mark.parametrize("said", REFUSALS, ids=lambda said: (said or "no answer")[9:12])
async def test_the_picture_comes_all_the_same(said: scripted.Say) -> None:
    async with Script(DESCRIBE=WITH_SOUND, SETUP=answering(said)) as camera:
        sink, found = await recorded(camera)
    assert len(camera.asks("SETUP")) == 2
    assert camera.connections == 1
    assert (found.sound_missing, found.sound_refused, found.error_key) == ("sound_withheld",) + (
        None,
    ) * 2
    media = decode(sink.closed[0].data)
    assert media.frames == PICTURES
    assert b"soun" not in sink.closed[0].data, "a track of sound in which nothing is"


@pytest.mark.parametrize(
    ("said", "key"),
    [
        (digest("other", stale=False), "camera_auth_failed"),
        (status("454 Session Not Found"), "camera_unreachable"),
    ],
)
async def test_a_refused_password_or_a_lost_session_is_told_as_that(said: str, key: str) -> None:
    good = {"DESCRIBE": WITH_SOUND, "SETUP": SETUP}

    def answer(ask: Ask) -> scripted.Say:
        if "authorization" not in ask.headers:
            return digest("n", stale=False)
        return said if ask.uri.endswith("track2") else good[ask.method]

    async with Script(DESCRIBE=answer, SETUP=answer) as camera:
        stream = Stream(
            replace(camera.source(user="u", word="p"), audio=True), utcnow, timeout_s=1.0
        )
        offer = await stream.open()
        with pytest.raises(CaptureError) as caught:
            await stream.set_up(offer)
        await stream.close()
    assert caught.value.key == key
    assert camera.asks("PLAY") == []


async def test_a_connection_that_ends_at_the_sound_is_lost() -> None:
    def answer(ask: Ask) -> scripted.Say:
        if ask.uri.endswith("track2"):
            camera.writers[-1].transport.abort()
            return None
        return SETUP

    async with Script(DESCRIBE=WITH_SOUND, SETUP=answer) as camera:
        with pytest.raises(CaptureError) as caught:
            await watch(replace(camera.source(), audio=True), 1)
    assert caught.value.key == "camera_unreachable"
    assert camera.asks("PLAY") == []


async def test_sound_that_is_given_is_taken() -> None:
    silence = interleaved(
        [b"\x80\x88" + n.to_bytes(2) + bytes(8) + b"\xd5" * 160 for n in (1, 2)], 2
    )
    play = OK + "\n"
    both = SETUP.replace("0-1", "2-3")
    async with Script(
        DESCRIBE=WITH_SOUND,
        SETUP=answering(both),
        PLAY=lambda ask: scripted.lines(play, ask) + silence + interleaved(scripted.packets()),
    ) as camera:
        _, found = await recorded(camera)
    assert (found.sound_missing, found.error_key) == (None, None)


async def test_metadata_that_is_not_answered_costs_no_picture() -> None:
    async with Script(DESCRIBE=with_body(SDP + METADATA), SETUP=answering(None)) as camera:
        assert lossless(await watch(camera.source(), timeout_s=0.3))


async def test_sound_that_was_never_offered_is_missing_only_where_it_is_wanted() -> None:
    async with Script() as camera:
        _, found = await recorded(camera)
        assert found.sound_missing == "sound_missing"
        run = Run(replace(camera.source(), audio=False), timeouts=PATIENT)
        await until(lambda: run.sink.statuses and run.sink.statuses[-1].last_frame)
        run.recorder.stop()
        await run.task
    assert run.sink.statuses[-1].sound_missing is None


@pytest.mark.parametrize("udp", [False, True], ids=["tcp", "udp"])
async def test_a_look_tells_it_and_asks_for_no_sound_that_nobody_wants(udp: bool) -> None:
    async with Camera(CameraConfig(width=160, height=96, gop=5, udp=udp)) as camera:
        await camera.fault("refuse_sound")
        info = await probe(camera.source(audio=True))
        assert (info.sound_withheld, info.has_audio, info.audio_codec) == (True, True, "AAC")
        info = await probe(camera.source(audio=False))
        assert (info.sound_withheld, info.has_audio) == (False, True)
        await camera.fault("refuse_sound", False)
        assert not (await probe(camera.source(audio=True))).sound_withheld
