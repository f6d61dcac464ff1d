#!/bin/sh
# Install the Debian packages that running or testing needs; only what is missing, only as root.
# Usage: deploy/system-packages.sh run|test
set -eu

missing=""
need() { # need PACKAGE TEST...
    package=$1
    shift
    "$@" >/dev/null 2>&1 || missing="$missing $package"
}
library() { /sbin/ldconfig -p | grep -q "$1"; }

need python3-venv python3 -c 'import ensurepip, venv'
need libgl1 library libGL.so.1
need libglib2.0-0 library libgthread-2.0.so.0
if [ "$1" = test ]; then
    need chromium test -x /usr/bin/chromium
    need fonts-noto-cjk sh -c 'fc-list :lang=zh | grep -q .'
fi
command -v npm >/dev/null || {
    echo "npm is not installed; the pages need Node.js 20 or later with npm to be built" >&2
    exit 1
}

[ -z "$missing" ] && exit 0
if [ "$(id -u)" -ne 0 ]; then
    echo "these Debian packages are missing:$missing; run: sudo apt-get install$missing" >&2
    exit 1
fi
echo "installing Debian packages:$missing"
export DEBIAN_FRONTEND=noninteractive
apt-get update -qq
# shellcheck disable=SC2086 # a list of package names
apt-get install -y -qq --no-install-recommends $missing >/dev/null
