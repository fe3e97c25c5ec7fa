#!/usr/bin/env bash
# cross.sh: builds the test of capture for arm64, statically linked, and prints its path. Needs
# gcc-aarch64-linux-gnu, libc6-dev-arm64-cross, and a Rust that has the target (rustup adds it).
set -euo pipefail
source "$(dirname "$0")/apt.sh"
cd "$(dirname "$0")/../.."

target=aarch64-unknown-linux-gnu
libraries=$cache/libraries-arm64
if [ ! -e "$libraries/complete" ]; then
    rm -rf "$libraries"
    mkdir -p "$libraries"
    (
        use_suite bookworm arm64 "$libraries"
        unpack "$libraries" libelf-dev zlib1g-dev
    )
    rm -rf "$libraries/apt"
    touch "$libraries/complete"
fi
if [ ! -d "$(rustc --print sysroot)/lib/rustlib/$target" ] && command -v rustup >/dev/null; then
    rustup target add "$target" >&2
fi

env CARGO_TARGET_AARCH64_UNKNOWN_LINUX_GNU_LINKER=aarch64-linux-gnu-gcc \
    CARGO_TARGET_AARCH64_UNKNOWN_LINUX_GNU_RUSTFLAGS='-C target-feature=+crt-static' \
    CC_aarch64_unknown_linux_gnu=aarch64-linux-gnu-gcc \
    AR_aarch64_unknown_linux_gnu=aarch64-linux-gnu-ar \
    "LIBBPF_SYS_LIBRARY_PATH_$target=$libraries/usr/lib/aarch64-linux-gnu" \
    LIBBPF_SYS_EXTRA_CFLAGS="-idirafter $libraries/usr/include" \
    scripts/cargo.sh test --locked --package alaz-capture --test attachments --target "$target" \
    --no-run --message-format json |
    sed -n 's/.*"executable":"\([^"]*attachments[^"]*\)".*/\1/p' | tail -n 1
