#!/usr/bin/env bash
# fetch.sh SUITE ARCHITECTURE: puts that Debian suite's newest cloud kernel into the cache, without
# installing it, and prints the folder: it holds `vmlinuz`, and `release` with the kernel's name.
# A kernel that is in the cache already is not looked for again within a week.
#
# Environment: ALAZ_KERNELS (the cache; default ~/.cache/alaz/kernels), DEBIAN_MIRROR.
set -euo pipefail

suite=$1
architecture=$2
cache=${ALAZ_KERNELS:-${XDG_CACHE_HOME:-$HOME/.cache}/alaz/kernels}
mirror=${DEBIAN_MIRROR:-http://deb.debian.org}
folder=$cache/$suite-$architecture

if [ -n "$(find "$folder/vmlinuz" -mtime -7 2>/dev/null)" ]; then
    echo "$folder"
    exit 0
fi

# An apt of its own: other suites and architectures than this machine's, and no trace on it.
apt=$folder/apt
rm -rf "$folder"
mkdir -p "$apt"/{lists,archives}/partial "$apt/empty" "$folder/unpacked"
touch "$apt/status"
case $suite in
*-security) archive=$mirror/debian-security ;;
*) archive=$mirror/debian ;;
esac
echo "deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] $archive $suite main" >"$apt/sources"
cat >"$apt/conf" <<END
APT::Architecture "$architecture";
APT::Architectures { "$architecture"; };
APT::Sandbox::User "root";
Acquire::Languages "none";
// Old suites are not signed anew, and their kernels are wanted all the same.
Acquire::Check-Valid-Until "false";
Dir::Etc::sourcelist "$apt/sources";
Dir::Etc::sourceparts "$apt/empty";
Dir::Etc::preferences "/dev/null";
Dir::Etc::preferencesparts "$apt/empty";
Dir::State::status "$apt/status";
Dir::State::lists "$apt/lists";
Dir::Cache::archives "$apt/archives";
Dir::Cache::pkgcache "";
Dir::Cache::srcpkgcache "";
END
export APT_CONFIG=$apt/conf
apt-get update -qq >&2

# The metapackage names the kernel's package with its version. Since 7.x that one is empty too, and
# names the package that holds the image.
depends() { apt-cache show --no-all-versions "$1" | sed -n 's/^Depends: //p'; }
image=$(depends "linux-image-cloud-$architecture" | grep -oE 'linux-image-[0-9][^ ,]*' | head -n 1)
[ -n "$image" ] || { echo "$suite has no cloud kernel for $architecture" >&2; exit 1; }
binary=$(depends "$image" | grep -oE 'linux-binary-[0-9][^ ,]*' | head -n 1 || true)

cd "$folder/unpacked"
apt-get download -qq "${binary:-$image}" >&2
dpkg-deb --extract ./*.deb .
kernel=$(find . -name 'vmlinuz*' -type f | head -n 1)
[ -n "$kernel" ] || { echo "no vmlinuz in ${binary:-$image}" >&2; exit 1; }
mv "$kernel" "$folder/vmlinuz"
touch "$folder/vmlinuz"
echo "${image#linux-image-}" >"$folder/release"
cd "$folder"
rm -rf "$folder/unpacked" "$apt"
echo "$folder"
