#!/bin/sh
# Install what Qt, OpenGL and the virtual display need on Debian and Ubuntu, if it is missing: as root at once, otherwise say the command.
set -eu

packages=""
need() { # need LIBRARY PACKAGE
    if ! printf '%s' "$libraries" | grep -q "$1"; then packages="$packages $2"; fi
}

libraries=$(PATH="$PATH:/sbin:/usr/sbin" ldconfig -p 2>/dev/null || true)
need 'libGL\.so\.1 ' libgl1
need 'libEGL\.so\.1 ' libegl1
need 'libglib-2\.0\.so\.0 ' libglib2.0-0
need 'libdbus-1\.so\.3 ' libdbus-1-3
need 'libfontconfig\.so\.1 ' libfontconfig1
need 'libxkbcommon-x11\.so\.0 ' libxkbcommon-x11-0
need 'libxcb-cursor\.so\.0 ' libxcb-cursor0
need 'libxcb-icccm\.so\.4 ' libxcb-icccm4
need 'libxcb-image\.so\.0 ' libxcb-image0
need 'libxcb-keysyms\.so\.1 ' libxcb-keysyms1
need 'libxcb-render-util\.so\.0 ' libxcb-render-util0
need 'libxcb-shape\.so\.0 ' libxcb-shape0
need 'libxcb-xinerama\.so\.0 ' libxcb-xinerama0
need 'libxcb-xkb\.so\.1 ' libxcb-xkb1
command -v Xvfb >/dev/null 2>&1 || packages="$packages xvfb"
command -v xauth >/dev/null 2>&1 || packages="$packages xauth"
ls /usr/lib/*/dri/swrast_dri.so >/dev/null 2>&1 || packages="$packages libgl1-mesa-dri"
# Debian keeps what python -m venv needs in a package of its own.
python3 -c 'import ensurepip' 2>/dev/null || packages="$packages python3-venv"

[ -n "$packages" ] || exit 0
command="apt-get update && apt-get install -y --no-install-recommends$packages"
if [ "$(id -u)" -eq 0 ] && command -v apt-get >/dev/null 2>&1; then
    echo "Installing system libraries:$packages"
    export DEBIAN_FRONTEND=noninteractive
    apt-get update -qq && apt-get install -y -qq --no-install-recommends $packages >/dev/null
else
    echo "System libraries are missing. On Debian or Ubuntu run:"
    echo "  sudo sh -c '$command'"
    exit 1
fi
