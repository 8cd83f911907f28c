#!/bin/sh
# A hook of mmdebstrap: what it unpacked into $1, less what nobody reads in a guest, as an archive for a memory disk.
set -eu

cd "$1"
# Nobody runs the packages' scripts, which would have made this.
[ -e bin/sh ] || ln -s dash bin/sh
find . \( -path ./usr/share -o -path ./var -o -name gconv -o -name unicore \) -prune -o -print0 |
    cpio --quiet --null --create --format=newc >"$ROOT_ARCHIVE"
