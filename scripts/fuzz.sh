#!/usr/bin/env bash
# fuzz.sh [TARGET…]: runs the fuzz targets, each for SECONDS (60), from the seeds in fuzz/seeds and what
# earlier runs found worth keeping. Fails when one finds something, and says how to see it again.
set -euo pipefail
cd "$(dirname "$0")/.."

seconds=${SECONDS_EACH:-60}
target=$(realpath -m "${CARGO_TARGET_DIR:-target}")/fuzz
# What the fuzzer must see of the program: which way it went at each branch. Stable Rust takes these.
export RUSTFLAGS="-Cpasses=sancov-module -Cllvm-args=-sanitizer-coverage-level=4 \
-Cllvm-args=-sanitizer-coverage-inline-8bit-counters -Cllvm-args=-sanitizer-coverage-pc-table \
-Cllvm-args=-sanitizer-coverage-trace-compares -Ccodegen-units=1"
build() {
    scripts/cargo.sh build --locked --release --quiet --manifest-path fuzz/Cargo.toml \
        --target-dir "$target" --target "$(rustc -vV | sed -n 's/^host: //p')" "$@"
}

failed=0
for name in "${@:-conversation recording packets}"; do
    for name in $name; do
        build --bin "$name"
        corpus=$target/corpus/$name
        mkdir -p "$corpus" "$target/found" "fuzz/seeds/$name"
        printf '  %-14s ' "$name"
        if "$target"/*/release/"$name" -max_total_time="$seconds" -max_len=16384 -timeout=10 \
            -rss_limit_mb=1024 -print_final_stats=1 -artifact_prefix="$target/found/$name-" \
            "$corpus" "fuzz/seeds/$name" >"$target/$name.log" 2>&1; then
            sed -n 's/^stat::number_of_executed_units: /inputs: /p' "$target/$name.log" | tr '\n' ' '
            sed -n 's/.*\(cov: [0-9]*\).*/\1/p' "$target/$name.log" | tail -n 1
        else
            echo "FAILED, see $target/$name.log"
            grep -A 4 -E 'panicked|ERROR|Test unit written' "$target/$name.log" | tail -n 12 || true
            failed=1
        fi
    done
done
exit $failed
