#!/bin/sh
# Makes sure that a GL driver is there: libEGL, Mesa's software renderer behind it, and libOpenGL.
set -eu
packages="libegl1 libgl1-mesa-dri libopengl0"

there() {
    for library in libEGL.so.1 libOpenGL.so.0; do
        ldconfig -p 2>/dev/null | grep -q "$library" || /sbin/ldconfig -p 2>/dev/null | grep -q "$library" || return 1
    done
    # Mesa before and since version 24, or a vendor's own driver
    ls /usr/lib/*/dri/swrast_dri.so /usr/lib*/dri/swrast_dri.so /usr/lib/*/libgallium-*.so /usr/lib*/libgallium-*.so \
        /usr/lib/*/libEGL_nvidia.so.0 2>/dev/null | grep -q .
}

there && exit 0
if command -v apt-get >/dev/null; then
    if [ "$(id -u)" = 0 ]; then
        as_root=
    elif command -v sudo >/dev/null && sudo -n true 2>/dev/null; then
        as_root=sudo
    else
        echo "A GL driver is missing: as root, apt-get install $packages" >&2
        exit 1
    fi
    echo "installing $packages ..."
    $as_root apt-get update -qq
    DEBIAN_FRONTEND=noninteractive $as_root apt-get install -y -qq --no-install-recommends $packages >/dev/null
    there && exit 0
fi
echo "A GL driver is missing: install libEGL, libOpenGL and Mesa's software renderer (Debian: $packages)." >&2
exit 1
