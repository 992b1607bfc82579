"""Media profiles as a camera lists them: by Media (H.264 only), and by Media2 where it has it."""

import re
from dataclasses import dataclass


@dataclass(frozen=True)
class VideoProfile:
    """``uri`` is where it plays; empty: at the camera's own stream. ``ready`` False: a fault."""

    token: str
    encoding: str = "H264"
    width: int = 640
    height: int = 360
    fps: float = 10
    kbit: int = 500
    audio: bool = False
    uri: str = ""
    ready: bool = True


def media1(profiles: tuple[VideoProfile, ...]) -> str:
    """``GetProfilesResponse`` of the Media service, which knows no H.265."""
    return f"<trt:GetProfilesResponse>{''.join(map(_media1, profiles))}</trt:GetProfilesResponse>"


def _media1(p: VideoProfile) -> str:
    if p.encoding not in ("H264", "JPEG", "MPEG4"):
        return ""
    sound = (
        '<tt:AudioEncoderConfiguration token="a"><tt:Name>a</tt:Name><tt:UseCount>1</tt:UseCount>'
        "<tt:Encoding>AAC</tt:Encoding><tt:Bitrate>32</tt:Bitrate><tt:SampleRate>16</tt:SampleRate>"
        "</tt:AudioEncoderConfiguration>"
    )
    return (
        f'<trt:Profiles token="{p.token}" fixed="true"><tt:Name>{p.token.title()}</tt:Name>'
        '<tt:VideoEncoderConfiguration token="v"><tt:Name>v</tt:Name><tt:UseCount>1</tt:UseCount>'
        f"<tt:Encoding>{p.encoding}</tt:Encoding><tt:Resolution><tt:Width>{p.width}</tt:Width>"
        f"<tt:Height>{p.height}</tt:Height></tt:Resolution><tt:Quality>5</tt:Quality>"
        f"<tt:RateControl><tt:FrameRateLimit>{p.fps:g}</tt:FrameRateLimit><tt:EncodingInterval>1"
        f"</tt:EncodingInterval><tt:BitrateLimit>{p.kbit}</tt:BitrateLimit></tt:RateControl>"
        f"</tt:VideoEncoderConfiguration>{sound if p.audio else ''}</trt:Profiles>"
    )


def media2(profiles: tuple[VideoProfile, ...], text: str) -> str:
    """``GetProfilesResponse`` of Media2; configurations only if they are asked for."""
    wanted = re.search(r"Type[^>]*>(?:All|VideoEncoder)<", text) is not None
    listed = "".join(_media2(p, wanted) for p in profiles)
    return (
        '<tr2:GetProfilesResponse xmlns:tr2="http://www.onvif.org/ver20/media/wsdl">'
        f"{listed}</tr2:GetProfilesResponse>"
    )


def _media2(p: VideoProfile, wanted: bool) -> str:
    sound = (
        '<tr2:AudioEncoder token="a"><tt:Name>a</tt:Name><tt:UseCount>1</tt:UseCount>'
        "<tt:Encoding>MP4A-LATM</tt:Encoding><tt:Bitrate>32</tt:Bitrate><tt:SampleRate>16"
        "</tt:SampleRate></tr2:AudioEncoder>"
    )
    configurations = (
        f'<tr2:Configurations><tr2:VideoEncoder token="v" GovLength="20"><tt:Name>v</tt:Name>'
        f"<tt:UseCount>1</tt:UseCount><tt:Encoding>{p.encoding}</tt:Encoding><tt:Resolution>"
        f"<tt:Width>{p.width}</tt:Width><tt:Height>{p.height}</tt:Height></tt:Resolution>"
        f"<tt:RateControl><tt:FrameRateLimit>{p.fps:g}</tt:FrameRateLimit><tt:BitrateLimit>"
        f"{p.kbit}</tt:BitrateLimit></tt:RateControl><tt:Quality>5</tt:Quality>"
        f"</tr2:VideoEncoder>{sound if p.audio else ''}</tr2:Configurations>"
    )
    return (
        f'<tr2:Profiles token="{p.token}" fixed="true"><tr2:Name>{p.token.title()}</tr2:Name>'
        f"{configurations if wanted else ''}</tr2:Profiles>"
    )


def asked(profiles: tuple[VideoProfile, ...], text: str) -> VideoProfile | None:
    """The profile that a ``GetStreamUri`` names."""
    found = re.search(r"ProfileToken[^>]*>([^<]+)<", text)
    return next((p for p in profiles if found and p.token == found[1]), None)
