#!/bin/sh
# A hook of mmdebstrap: the newest Debian kernel of a suite, by way of its metapackage and apt's own checks.
# Leaves in $KERNEL_FOLDER the kernel, and the modules that a guest needs as an archive for its memory disk.
set -eu

export APT_CONFIG="$MMDEBSTRAP_APT_CONFIG"
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"

version=$(apt-cache depends "$KERNEL_METAPACKAGE" | sed -n 's/^  Depends: linux-image-\([0-9]\)/\1/p')
# In newer suites the kernel and its modules are packages of their own, and linux-image holds neither.
for part in image binary modules; do
    apt-cache pkgnames "linux-$part-$version" | grep -Fx "linux-$part-$version" >>names || true
done
xargs apt-get -q -o APT::Sandbox::User=root download <names
for package in *.deb; do
    dpkg-deb --extract "$package" tree
done
modules=tree/usr/lib/modules/$version
[ -d "$modules" ] || modules=tree/lib/modules/$version
for kernel in "tree/boot/vmlinuz-$version" "$modules/vmlinuz"; do
    [ ! -f "$kernel" ] || cp "$kernel" "$KERNEL_FOLDER/vmlinuz"
done

# What a network needs, and a cable; the rest of a kernel's modules are drivers.
small=disk/lib/modules/$version
mkdir -p "$small/kernel/drivers/net"
for kept in net lib crypto arch; do
    [ ! -d "$modules/kernel/$kept" ] || mv "$modules/kernel/$kept" "$small/kernel/"
done
mv "$modules/kernel/drivers/net"/veth.ko* "$small/kernel/drivers/net/"
depmod --basedir disk "$version" 2>/dev/null
(cd disk && find . -print0 | cpio --quiet --null --create --format=newc) >"$KERNEL_FOLDER/modules.cpio"
