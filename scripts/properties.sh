#!/usr/bin/env bash
# properties.sh: every property of the workspace, in CASES (20000) cases each, from SEED or a random one. Says
# how to see a failure again.
set -euo pipefail
cd "$(dirname "$0")/.."

export PROPTEST_CASES=${CASES:-20000}
export PROPTEST_RNG_SEED=${SEED:-$(od -An -N8 -tu8 /dev/urandom | tr -d ' ')}
echo "seed $PROPTEST_RNG_SEED, $PROPTEST_CASES cases"
if ! scripts/cargo.sh test --locked --profile properties --workspace --exclude alaz-tests \
    --lib --bins --no-fail-fast --quiet; then
    echo "see it again: make properties SEED=$PROPTEST_RNG_SEED CASES=$PROPTEST_CASES" >&2
    exit 1
fi
