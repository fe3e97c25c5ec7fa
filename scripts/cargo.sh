#!/usr/bin/env bash
# cargo.sh ARGUMENTS…: runs a cargo that is new enough for this workspace, whichever way it was
# installed: the one on PATH, rustup's, or one of the distribution's versioned packages.
set -euo pipefail

workspace=$(dirname "$0")/../Cargo.toml
oldest=$(sed -n 's/^rust-version = "\(.*\)"/\1/p' "$workspace")

new_enough() {
    local found
    found=$("$1" --version 2>/dev/null | cut -d' ' -f2) || return 1
    [ "$(printf '%s\n' "$oldest" "$found" | sort -V | head -n 1)" = "$oldest" ]
}

if new_enough cargo; then
    exec cargo "$@"
fi
for folder in "${CARGO_HOME:-${HOME:-/root}/.cargo}/bin" $(ls -dv /usr/lib/rust-*/bin 2>/dev/null | tac); do
    if [ -x "$folder/cargo" ] && new_enough "$folder/cargo"; then
        PATH=$folder:$PATH exec "$folder/cargo" "$@"
    fi
done
echo "no cargo $oldest or newer found: run 'make deps', or install Rust from https://rustup.rs" >&2
exit 1
