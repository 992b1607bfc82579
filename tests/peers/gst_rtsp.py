"""GStreamer's RTSP server (gir1.2-gst-rtsp-server-1.0); run by the system's Python."""

import argparse
import itertools
import threading
import time
from pathlib import Path

import gi

gi.require_version("Gst", "1.0")
gi.require_version("GstRtspServer", "1.0")
gi.require_version("GstRtsp", "1.0")
from gi.repository import Gio, GLib, Gst, GstRtsp, GstRtspServer  # noqa: E402

Gst.init(None)
parser = argparse.ArgumentParser()
parser.add_argument("--port", required=True)
parser.add_argument("--size", default="640x360")
parser.add_argument("--fps", type=int, default=10)
parser.add_argument("--gop", type=int, default=10)
parser.add_argument("--bitrate", type=int, default=500, help="kbit/s")
parser.add_argument("--user")
parser.add_argument("--password", default="")
parser.add_argument("--auth", default="digest", choices=["digest", "basic"])
parser.add_argument("--udp-only", action="store_true", help="answer 461 to TCP")
parser.add_argument("--tls", help="PEM file with key and certificate: rtsps")
parser.add_argument("--loop", type=Path, help="folder of access units NUMBER.h264, for /loop")
args = parser.parse_args()

width, height = args.size.split("x")
RAW = (
    f"videotestsrc is-live=true pattern=ball ! video/x-raw,width={width},height={height},"
    f"framerate={args.fps}/1"
)
RATE = f"bitrate={args.bitrate} key-int-max={args.gop}"
X264 = f"{RAW} ! x264enc tune=zerolatency speed-preset=ultrafast {RATE}"
X265 = f"{RAW} ! x265enc tune=zerolatency speed-preset=ultrafast {RATE}"
B_FRAMES = (
    f"keyint={args.gop}:min-keyint={args.gop}:scenecut=0:bframes=2:b-adapt=0:open-gop=1"
    ":rc-lookahead=5"
)
PAY = "name=pay0 pt=96 aggregate-mode=zero-latency"
VIDEO = f"{X264} ! video/x-h264,profile=baseline ! h264parse ! rtph264pay {PAY} config-interval=-1"


def sound(wave: str, rate: int, launch: str) -> str:
    return (
        f"audiotestsrc is-live=true wave={wave} samplesperbuffer={rate // 50} ! audioconvert"
        f" ! audio/x-raw,rate={rate},channels=1 ! {launch} name=pay1 pt=97"
    )


SOUND = sound("ticks", 16000, "voaacenc ! aacparse ! rtpmp4gpay")
# Sets in the description only; sets in the stream as well; pictures shown in another order.
H265 = f"{X265} ! h265parse ! video/x-h265,stream-format=hvc1,alignment=au ! rtph265pay {PAY}"
MOUNTS = {
    "/cam": f"{VIDEO} {SOUND}",
    "/silent": VIDEO,
    "/h264-out-of-band": f"{X264} ! h264parse ! video/x-h264,stream-format=avc,alignment=au"
    f" ! rtph264pay {PAY} config-interval=0",
    "/h264-b": f"{RAW} ! x264enc speed-preset=veryfast bframes=2 b-adapt=false rc-lookahead=3"
    f" threads=1 {RATE} ! video/x-h264,profile=main ! h264parse ! rtph264pay {PAY}"
    " config-interval=-1",
    "/h265": f"{X265} ! h265parse ! rtph265pay {PAY} config-interval=-1 {SOUND}",
    "/h265-out-of-band": f"{H265} config-interval=0",
    "/h265-b": f'{RAW} ! x265enc speed-preset=ultrafast {RATE} option-string="{B_FRAMES}"'
    f" ! h265parse ! rtph265pay {PAY} config-interval=-1",
    "/pcma": f"{VIDEO} {sound('ticks', 8000, 'alawenc ! rtppcmapay')}",
    "/pcmu": f"{VIDEO} {sound('ticks', 8000, 'mulawenc ! rtppcmupay')}",
    "/opus": f"{VIDEO} {sound('ticks', 48000, 'opusenc ! rtpopuspay')}",
    "/latm": f"{VIDEO} {sound('ticks', 16000, 'voaacenc ! aacparse ! rtpmp4apay')}",
    # A sound that we refuse.
    "/l16": f"{VIDEO} {sound('ticks', 8000, 'audioconvert ! rtpL16pay')}",
}


def offer(path: str, factory: GstRtspServer.RTSPMediaFactory) -> None:
    factory.set_shared(True)
    if args.user is not None or args.tls is not None:
        text = "user,media.factory.access=(boolean)true,media.factory.construct=(boolean)true"
        role = Gst.Structure.new_from_string(text)
        factory.add_role_from_structure(role[0] if isinstance(role, tuple) else role)
    if args.udp_only:
        factory.set_protocols(GstRtsp.RTSPLowerTrans.UDP)
    server.get_mount_points().add_factory(path, factory)


server = GstRtspServer.RTSPServer()
server.set_address("127.0.0.1")
server.set_service(args.port)
auth = GstRtspServer.RTSPAuth()
if args.tls is not None:
    auth.set_tls_certificate(Gio.TlsCertificate.new_from_file(args.tls))
    if args.user is None:
        anybody = GstRtspServer.RTSPToken()
        anybody.set_string("media.factory.role", "user")
        auth.set_default_token(anybody)
if args.user is not None:
    token = GstRtspServer.RTSPToken()
    token.set_string("media.factory.role", "user")
    if args.auth == "digest":
        auth.set_supported_methods(GstRtsp.RTSPAuthMethod.DIGEST)
        auth.add_digest(args.user, args.password, token)
    else:
        auth.set_supported_methods(GstRtsp.RTSPAuthMethod.BASIC)
        basic = GstRtspServer.RTSPAuth.make_basic(args.user, args.password)
        auth.add_basic(basic, token)
if args.user is not None or args.tls is not None:
    server.set_auth(auth)

for path, launch in MOUNTS.items():
    factory = GstRtspServer.RTSPMediaFactory()
    factory.set_launch(f"( {launch} )")
    offer(path, factory)


def play_loop(_factory: GstRtspServer.RTSPMediaFactory, media: GstRtspServer.RTSPMedia) -> None:
    """Push what was encoded before, in real time and for ever: many clients, little work."""
    source = media.get_element().get_by_name("loop")
    units = [path.read_bytes() for path in sorted(args.loop.iterdir())]

    def push() -> None:
        begin = time.monotonic()
        for number in itertools.count():
            buffer = Gst.Buffer.new_wrapped(units[number % len(units)])
            buffer.pts, buffer.duration = number * Gst.SECOND // args.fps, Gst.SECOND // args.fps
            time.sleep(max(0.0, begin + number / args.fps - time.monotonic()))
            if source.emit("push-buffer", buffer) != Gst.FlowReturn.OK:
                return

    threading.Thread(target=push, daemon=True).start()


if args.loop is not None:
    factory = GstRtspServer.RTSPMediaFactory()
    factory.set_launch(
        "( appsrc name=loop is-live=true format=time caps=video/x-h264,stream-format=byte-stream,"
        f"alignment=au,framerate={args.fps}/1 ! h264parse"
        " ! rtph264pay name=pay0 pt=96 config-interval=-1 aggregate-mode=zero-latency )"
    )
    factory.connect("media-configure", play_loop)
    offer("/loop", factory)

if not server.attach(None):
    raise SystemExit("the port is taken")
print("ready", server.get_bound_port(), flush=True)
GLib.MainLoop().run()
