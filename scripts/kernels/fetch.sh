#!/usr/bin/env bash
# fetch.sh SUITE ARCHITECTURE: puts that Debian suite's newest cloud kernel into the cache, and prints
# the folder. It holds `vmlinuz`, `busybox` for the same architecture, and `release` with the kernel's
# name. What is in the cache already is looked for again after a week, and kept if that fails.
set -euo pipefail
source "$(dirname "$0")/apt.sh"

suite=$1
architecture=$2
folder=$cache/$suite-$architecture
if [ -n "$(find "$folder/release" -mtime -7 2>/dev/null)" ]; then
    echo "$folder"
    exit 0
fi

# What a package depends on, as far as its name matches.
depends() { apt-cache show --no-all-versions "$1" | sed -n 's/^Depends: //p' | grep -oE "$2-[0-9][^ ,]*"; }

fetch() {
    local new=$1 image binary busybox kernel
    use_suite "$suite" "$architecture" "$new"
    # The metapackage names the kernel's package. Since 7.x that one is empty too, and names the one
    # that holds the image.
    image=$(depends "linux-image-cloud-$architecture" linux-image | head -n 1)
    binary=$(depends "$image" linux-binary | head -n 1 || true)
    unpack "$new/kernel" "${binary:-$image}"
    kernel=$(find "$new/kernel" -name 'vmlinuz*' -type f | head -n 1)
    mv "$kernel" "$new/vmlinuz"

    use_suite bookworm "$architecture" "$new"
    unpack "$new/tools" busybox-static
    busybox=$(find "$new/tools" -name busybox -type f -path '*bin/*' | head -n 1)
    mv "$busybox" "$new/busybox"
    rm -rf "$new/kernel" "$new/tools" "$new/apt"
    echo "${image#linux-image-}" >"$new/release"
}

rm -rf "$folder.new"
mkdir -p "$folder.new"
# In the background, since a function that `if` asks does not stop at its first failure.
fetch "$folder.new" &
if wait $!; then
    rm -rf "$folder"
    mv "$folder.new" "$folder"
elif [ -e "$folder/release" ]; then
    echo "fetching failed, so $suite for $architecture stays as it is in the cache" >&2
else
    echo "no kernel of $suite for $architecture" >&2
    exit 1
fi
echo "$folder"
