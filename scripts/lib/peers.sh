# Sourced after bootstrap.sh: the independent programs that tests, bench and demo check us against.
# shellcheck shell=bash
PEER_PACKAGES=(ffmpeg age chromium gcc libc6-dev python3-gi gir1.2-gst-rtsp-server-1.0 gstreamer1.0-plugins-base
  gstreamer1.0-plugins-good gstreamer1.0-plugins-bad gstreamer1.0-plugins-ugly gstreamer1.0-rtsp
  glib-networking)

# Stable's age knows no post-quantum recipients: Debian testing's, with its plugins, unpacked beside us.
AGE=$TOOLS/age/usr/bin
newer_age() { case $("$1" --version 2>/dev/null) in v1.[3-9]*|1.[3-9]*|v1.[1-9][0-9]*|1.[1-9][0-9]*) ;; *) return 1 ;; esac; }

install_newer_age() {
  newer_age "$AGE/age" && return
  if newer_age age && command -v age-plugin-tag >/dev/null; then return; fi
  say "Unpacking age 1.3 (once)"
  unpack_debian "$TOOLS/age" age || true
  newer_age "$AGE/age" || die "tests need age 1.3 or newer with its plugins: install it, so that 'age' is that one"
}

peers_missing() {
  command -v ffmpeg >/dev/null && command -v age >/dev/null && command -v chromium >/dev/null || return 0
  command -v cc >/dev/null || return 0
  ! /usr/bin/python3 - 2>/dev/null <<'PY'
import gi
gi.require_version("Gst", "1.0")
gi.require_version("GstRtspServer", "1.0")
from gi.repository import Gst, GstRtspServer
Gst.init(None)
wanted = ("x264enc", "voaacenc", "rtph264pay", "rtpmp4gpay", "h264parse", "aacparse")
raise SystemExit(any(Gst.ElementFactory.find(name) is None for name in wanted))
PY
}

install_peers() {
  install_newer_age
  peers_missing || return 0
  local -a install=(apt-get install -y -qq --no-install-recommends "${PEER_PACKAGES[@]}")
  command -v apt-get >/dev/null || die "install these by your package manager: ${PEER_PACKAGES[*]}"
  [ "$(id -u)" = 0 ] || die "as root: ${install[*]}"
  say "Installing the peers that tests check against (once)"
  apt-get update -qq
  DEBIAN_FRONTEND=noninteractive "${install[@]}" >/dev/null
  ! peers_missing || die "the peers are installed but do not work: ${PEER_PACKAGES[*]}"
}
