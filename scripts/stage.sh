#!/usr/bin/env bash
# stage.sh NAME COMMAND…: runs a command, with its name before and the time it took after.
set -euo pipefail

name=$1
shift
started=${EPOCHREALTIME/[.,]/}
printf '==> %s\n' "$name"
status=0
"$@" || status=$?
tenths=$(((${EPOCHREALTIME/[.,]/} - started) / 100000))
outcome=$([ "$status" -eq 0 ] && echo done || echo "FAILED ($status)")
printf '<== %s: %s, %d.%d s\n' "$name" "$outcome" $((tenths / 10)) $((tenths % 10))
exit "$status"
