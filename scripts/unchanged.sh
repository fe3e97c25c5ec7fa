#!/usr/bin/env bash
# unchanged.sh FOLDER: fails when the folder differs from what is committed.
set -euo pipefail

changed=$(git status --porcelain -- "$1")
if [ -n "$changed" ]; then
    printf '%s\n' "$changed"
    echo "$1 is not what its sources give: run 'make ui' and commit the result" >&2
    exit 1
fi
