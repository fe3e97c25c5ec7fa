#!/usr/bin/env bash
# test.sh [KERNEL…]: runs the test of capture (crates/capture/tests/attachments) in other kernels than
# this machine's, each in an emulated guest, and prints a table. KERNEL is a line of `kernels` below,
# by its suite and architecture, such as bookworm-security-amd64; without any, all are tested.
#
# Fails when a test fails, when a kernel refuses a way to attach that it should allow, and when the
# verifier has to walk a fifth more instructions than `verified` says. UPDATE=1 writes that file: what
# it says of other kernels than those that were tested stays.
set -euo pipefail
cd "$(dirname "$0")/../.."
source scripts/kernels/apt.sh

# Suite, architecture, ways to attach that it must allow.
kernels='
bullseye-security amd64 fexit,kprobe,syscall
bookworm-security amd64 fexit,kprobe,syscall
trixie-security   amd64 fexit,kprobe,syscall
trixie-backports  amd64 fexit,kprobe,syscall
bookworm-security arm64 kprobe,syscall
trixie-security   arm64 fexit,kprobe,syscall
'
baseline=scripts/kernels/verified
logs=$(realpath -m "${CARGO_TARGET_DIR:-target}")/kernels
mkdir -p "$logs"
rm -f "$logs"/*.log
failed=0

native_test() {
    scripts/cargo.sh test --locked --package alaz-capture --test attachments --no-run \
        --message-format json |
        sed -n 's/.*"executable":"\([^"]*attachments[^"]*\)".*/\1/p' | tail -n 1
}

# run LOG FOLDER TEST ARGUMENT…: one boot; what is printed goes to the log.
run() {
    local log=$1
    shift
    printf '  %-46s ' "$(basename "$log" .log)"
    if scripts/kernels/boot.sh "$@" >"$log" 2>&1; then
        printf '%3d ok' "$(grep -c '^case ' "$log")"
        sed -n 's/^chosen /, takes /p' "$log" | tr -d '\n'
        echo
    else
        printf 'FAILED, see %s\n' "$log"
        grep -A 8 -E 'FAILED|REFUSED|panicked' "$log" || tail -n 20 "$log"
        failed=1
    fi
}

hide_btf='cp /sys/kernel/btf/vmlinux /tmp/btf && mount -t tmpfs none /sys/kernel/btf'
test_kernel() {
    local suite=$1 architecture=$2 ways=$3 test=$4 folder name
    folder=$(scripts/kernels/fetch.sh "$suite" "$architecture")
    name=$(cat "$folder/release")
    echo "$name"
    run "$logs/$name.log" "$folder" "$test" --alone --expect "$ways"
    SETUP=$hide_btf run "$logs/$name,btf-file.log" "$folder" "$test" --alone --btf /tmp/btf \
        --expect kprobe,syscall
    SETUP='umount /sys/kernel/tracing /sys/kernel/debug' run "$logs/$name,few-returns.log" "$folder" "$test" --few-returns
}

# A table for each way: a line for each test, a column for each kernel.
tables() {
    local way
    for way in fexit kprobe syscall; do
        (cd "$logs" && awk -v way="$way" '
            FNR == 1 {
                column = FILENAME
                sub(/\.log$/, "", column)
                listed = 0
            }
            !listed && $1 ~ /^(attachment|case)$/ && $2 == way {
                columns[++count] = column
                listed = 1
            }
            $1 == "attachment" && $2 == way { attached[column] = $3 }
            $1 == "attachment" && $2 == way && $3 != "attached" { count-- }
            $1 == "case" && $2 == way {
                name = $0
                sub(/^case [^ ]+ [^ ]+ /, "", name)
                if (!(name in known)) { known[name] = 1; names[++tests] = name }
                outcome[name, column] = $3
            }
            END {
                printf "\nattached by %s\n", way
                for (i = 1; i <= count; i++) printf "  %d  %s: %s\n", i, columns[i], attached[columns[i]]
                printf "  %-44s", ""
                for (i = 1; i <= count; i++) printf " %6d", i
                print ""
                for (t = 1; t <= tests; t++) {
                    printf "  %-44s", names[t]
                    for (i = 1; i <= count; i++) {
                        what = outcome[names[t], columns[i]]
                        printf " %6s", what ? what : "-"
                    }
                    print ""
                }
            }' *.log)
    done
}

# What the verifier walked: `KERNEL WAY PROGRAM INSTRUCTIONS`, where a kernel is named by its two
# numbers and its architecture, so that its updates are compared with it.
measured() {
    local log
    for log in "$logs"/*.log; do
        case $log in *few-returns*) continue ;; esac
        awk -v kernel="$(basename "$log" .log)" '
            BEGIN {
                split(kernel, numbers, ".")
                split(kernel, parts, ",")
                architecture = kernel ~ /arm64/ ? "arm64" : "amd64"
                name = numbers[1] "." numbers[2] "-" architecture (parts[2] ? "," parts[2] : "")
            }
            $1 == "verified" { print name, $2, $3, $4 }' "$log"
    done
}

compare_verified() {
    local clang now=$logs/verified
    clang=$(sed -n 's/^clang //p' "$logs"/*.log | head -n 1)
    {
        echo "clang $clang"
        measured | sort -u
    } >"$now"
    if [ -n "${UPDATE:-}" ]; then
        awk 'NR == FNR { tested[$1] = 1; next } !($1 in tested)' "$now" "$baseline" |
            sort -u - "$now" >"$now.all"
        { grep '^clang ' "$now"; grep -v '^clang ' "$now.all"; } >"$baseline"
        echo "wrote $baseline"
        return
    fi
    awk '
        NR == FNR { if ($1 == "clang") before = $2; else walked[$1, $2, $3] = $4; next }
        $1 == "clang" { if ($2 != before) { other = 1; printf "compiled by clang %s, not %s: what the verifier walks is not compared\n", $2, before }; next }
        other { next }
        !(($1, $2, $3) in walked) { printf "new: %s\n", $0; next }
        { old = walked[$1, $2, $3]; total++ }
        old == 0 || $4 > old * 1.2 { printf "the verifier walks more: %s (was %d)\n", $0, old; worse = 1 }
        END { if (!other) printf "%d programs compared with what the verifier walked before\n", total; exit worse }
    ' "$baseline" "$now" || failed=1
}

main() {
    scripts/kernels/install.sh
    local suite architecture ways test native='' foreign=''
    while read -r suite architecture ways; do
        [ -n "$suite" ] || continue
        if [ $# -gt 0 ] && [[ " $* " != *" $suite-$architecture "* ]]; then
            continue
        fi
        if [ "$architecture" = arm64 ]; then
            test=${foreign:=$(scripts/kernels/cross.sh)}
        else
            test=${native:=$(native_test)}
        fi
        test_kernel "$suite" "$architecture" "$ways" "$test"
    done <<<"$kernels"
    tables
    echo
    compare_verified
    exit "$failed"
}

main "$@"
