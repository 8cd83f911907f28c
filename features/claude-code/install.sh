#!/bin/sh
# Runs as root while the image is built: picks the installer for this machine and hands over.
set -eu

here=$(cd "$(dirname "$0")" && pwd)
machine=$(uname -m)
case "$machine" in
    x86_64) arch=amd64 ;;
    aarch64) arch=arm64 ;;
    *)
        echo "claude-code: no binaries for '$machine'; amd64 (x86_64) and arm64 (aarch64) are supported" >&2
        exit 6
        ;;
esac
"$here/bin/$arch/sandbox-install"
# Some builders leave the Feature's folder in the image; what only installs has no business there.
rm -rf "${here:?}/bin"
