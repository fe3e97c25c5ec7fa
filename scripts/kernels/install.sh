#!/usr/bin/env bash
# install.sh: installs what testing other kernels needs and this machine lacks (Debian; root).
set -euo pipefail

has() { command -v "$1" >/dev/null 2>&1; }

wanted=()
has qemu-system-x86_64 || wanted+=(qemu-system-x86)
has qemu-system-aarch64 || wanted+=(qemu-system-arm)
has cpio || wanted+=(cpio)
has aarch64-linux-gnu-gcc || wanted+=(gcc-aarch64-linux-gnu)
[ -e /usr/aarch64-linux-gnu/include/stdio.h ] || wanted+=(libc6-dev-arm64-cross)
[ "${#wanted[@]}" -gt 0 ] || exit 0

if [ "$(id -u)" -ne 0 ] || ! has apt-get; then
    echo "missing here: ${wanted[*]}. Install them, or run this as root on Debian." >&2
    exit 1
fi
echo "installing: ${wanted[*]}"
export DEBIAN_FRONTEND=noninteractive
apt-get update
suite=()
# Where another part of QEMU came from backports, the rest must come from there too.
if dpkg-query -W -f '${Version}' qemu-utils 2>/dev/null | grep -q bpo; then
    release=$(. /etc/os-release && echo "$VERSION_CODENAME")
    if ! apt-cache policy | grep -q "$release-backports"; then
        echo "deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] ${DEBIAN_MIRROR:-http://deb.debian.org}/debian $release-backports main" \
            >/etc/apt/sources.list.d/alaz-backports.list
        apt-get update
    fi
    suite=(-t "$release-backports")
fi
apt-get install -y --no-install-recommends "${suite[@]}" "${wanted[@]}"
