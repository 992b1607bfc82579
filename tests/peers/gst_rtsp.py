"""GStreamer's RTSP server (gir1.2-gst-rtsp-server-1.0); run by the system's Python."""

import argparse

import gi

gi.require_version("Gst", "1.0")
gi.require_version("GstRtspServer", "1.0")
gi.require_version("GstRtsp", "1.0")
from gi.repository import GLib, Gst, GstRtsp, GstRtspServer  # noqa: E402

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
args = parser.parse_args()

width, height = args.size.split("x")
VIDEO = (
    f"videotestsrc is-live=true pattern=ball ! video/x-raw,width={width},height={height},"
    f"framerate={args.fps}/1 ! x264enc tune=zerolatency speed-preset=ultrafast"
    f" bitrate={args.bitrate} key-int-max={args.gop} ! video/x-h264,profile=baseline"
    " ! h264parse ! rtph264pay name=pay0 pt=96 config-interval=-1 aggregate-mode=zero-latency"
)
SOUND = (
    "audiotestsrc is-live=true wave=ticks ! audioconvert ! audio/x-raw,rate=16000,channels=1"
    " ! voaacenc ! aacparse ! rtpmp4gpay name=pay1 pt=97"
)

server = GstRtspServer.RTSPServer()
server.set_address("127.0.0.1")
server.set_service(args.port)
if args.user is not None:
    auth = GstRtspServer.RTSPAuth()
    token = GstRtspServer.RTSPToken()
    token.set_string("media.factory.role", "user")
    if args.auth == "digest":
        auth.set_supported_methods(GstRtsp.RTSPAuthMethod.DIGEST)
        auth.add_digest(args.user, args.password, token)
    else:
        auth.set_supported_methods(GstRtsp.RTSPAuthMethod.BASIC)
        basic = GstRtspServer.RTSPAuth.make_basic(args.user, args.password)
        auth.add_basic(basic, token)
    server.set_auth(auth)

for path, launch in (("/cam", f"( {VIDEO} {SOUND} )"), ("/silent", f"( {VIDEO} )")):
    factory = GstRtspServer.RTSPMediaFactory()
    factory.set_launch(launch)
    factory.set_shared(True)
    if args.user is not None:
        text = "user,media.factory.access=(boolean)true,media.factory.construct=(boolean)true"
        role = Gst.Structure.new_from_string(text)
        factory.add_role_from_structure(role[0] if isinstance(role, tuple) else role)
    server.get_mount_points().add_factory(path, factory)

if not server.attach(None):
    raise SystemExit("the port is taken")
print("ready", flush=True)
GLib.MainLoop().run()
