"""Media2 first, Media where there is none; and which profile is best."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from roomwitness.capture import StreamSource, probe
from roomwitness.onvif import OnvifSource, Profile, at, choose, describe
from tests.camera import Camera, CameraConfig, VideoProfile
from tests.peers import gstreamer

PROFILES = (
    VideoProfile("jpeg", "JPEG", 2560, 1440),
    VideoProfile("sub", "H264", 640, 360, 10, 500),
    VideoProfile("main", "H265", 2560, 1440, 12.5, 4000, audio=True),
    VideoProfile("broken", "H264", 3840, 2160, ready=False),
)


async def described(*, media2: bool, profiles: tuple[VideoProfile, ...]) -> list[Profile]:
    async with Camera(CameraConfig(media2=media2, profiles=profiles)) as camera:
        info = await describe(OnvifSource("127.0.0.1", camera.onvif.port))
        assert choose(info.profiles) == info.best
        return list(info.profiles)


async def test_media2_lists_what_media_cannot() -> None:
    sub, main = await described(media2=True, profiles=PROFILES)
    assert (main.token, main.encoding, main.has_audio) == ("main", "H265", True)
    assert main.label == "2560×1440 H.265, 12.5 fps, 4 Mbit/s (Main)"
    assert sub.label == "640×360 H.264, 10 fps, 0.5 Mbit/s (Sub)"
    assert choose((sub, main)) is main


async def test_media_where_there_is_no_media2() -> None:
    (only,) = await described(media2=False, profiles=PROFILES)
    assert (only.token, only.frame_rate, only.bit_rate) == ("sub", 10, 500)


async def test_media_where_media2_has_nothing_to_record(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tests.camera.profiles.media2", lambda *_: "<tr2:GetProfilesResponse/>")
    (only,) = await described(media2=True, profiles=PROFILES)
    assert only.token == "sub"
    monkeypatch.setattr("tests.camera.profiles.media2", lambda *_: "<s:Fault/>")
    (only,) = await described(media2=True, profiles=PROFILES)
    assert only.token == "sub"


async def test_the_best_profile_of_an_h265_camera_plays() -> None:
    with gstreamer() as (url, _):
        high = VideoProfile("high", "H265", 640, 360, uri=url.replace("/cam", "/h265"))
        low = VideoProfile("low", "H264", 320, 180, uri=url)
        profiles = await described(media2=True, profiles=(low, high))
        stream = await probe(StreamSource(choose(profiles).url))
        assert (stream.codec, stream.width, stream.height) == ("H.265", 640, 360)


def profile(**changes: object) -> Profile:
    plain = Profile("t", "T", "H264", 1920, 1080, 25, 4000, False, "rtsp://x/")
    return replace(plain, **changes)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("better", "worse"),
    [
        (profile(), profile(width=1280, height=720)),
        (profile(bit_rate=12000), profile(width=1280, height=720)),
        (profile(), profile(bit_rate=12000, frame_rate=60)),
        (profile(), profile(frame_rate=12)),
        (profile(encoding="H265", frame_rate=30), profile()),
        (profile(), profile(encoding="H265", bit_rate=6000)),
        (profile(bit_rate=5000), profile()),
        (profile(width=10, height=10), profile(encoding="MPEG4")),
    ],
)
def test_the_better_one_is_chosen(better: Profile, worse: Profile) -> None:
    assert choose((better, worse)) is better
    assert choose((worse, better)) is better


async def test_odd_numbers_and_addresses_are_nobodys_profile_or_none() -> None:
    odd = VideoProfile("odd", "H264", fps=float("nan"), kbit=-5, audio=False)
    unreadable = VideoProfile("bad", "H264", uri="rtsp://[x")
    (only,) = await described(media2=True, profiles=(odd, unreadable))
    assert (only.token, only.frame_rate, only.bit_rate) == ("odd", 0, 0)
    assert only.label == "640×360 H.264 (Odd)"
    assert at("rtsp://user:word@10.0.0.1:99999/x", "h") == ""
    assert at("rtsps://user:word@10.0.0.1:322/x?y=1", "fe80::1") == "rtsps://[fe80::1]:322/x?y=1"


def test_nothing_to_choose_from() -> None:
    with pytest.raises(ValueError, match="max"):
        choose((profile(encoding="JPEG"),))


@given(
    st.lists(
        st.builds(
            profile,
            encoding=st.sampled_from(["H264", "H265", "JPEG"]),
            width=st.integers(0, 4000),
            bit_rate=st.integers(0, 20000),
        ),
        min_size=1,
    )
)
def test_the_choice_has_the_most_picture_that_can_be_recorded(profiles: list[Profile]) -> None:
    usable = [p for p in profiles if p.encoding != "JPEG"]
    if usable:
        best = choose(profiles)
        assert best in usable
        assert best.width == max(p.width for p in usable)
