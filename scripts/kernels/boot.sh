#!/usr/bin/env bash
# boot.sh KERNEL PROGRAM [ARGUMENT…]: boots the kernel of a folder that fetch.sh made, runs the
# program in it as root, and ends with its exit status; 124 when the guest took too long, 125 when
# it died. The guest has the program, its libraries, and busybox; it has no disk and no network but
# its loopback device, and emulation (TCG) runs it, so times in it mean nothing.
#
# Environment: SETUP (shell commands before the program), APPEND (kernel command line), CPUS, MEMORY
# (MiB), LIMIT (seconds), VERBOSE (set: the kernel's messages too).
set -euo pipefail

kernel=$1
program=$2
shift 2

case $(cat "$kernel/release") in
*arm64*) architecture=arm64 ;;
*) architecture=amd64 ;;
esac
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
root=$work/root
mkdir -p "$root"/{bin,dev,etc,proc,run,sys,tmp}

# Brings a file, and whatever the dynamic loader would want with it.
bring() {
    install -D -m 755 "$1" "$root$2"
    ldd "$1" 2>/dev/null | grep -oE '/[^ ]+' | while read -r library; do
        [ -e "$root$library" ] || install -D -m 755 "$library" "$root$library"
    done || true
}
install -m 755 "$kernel/busybox" "$root/bin/busybox"
bring "$program" /bin/program
echo '127.0.0.1 localhost' >"$root/etc/hosts"

{
    cat <<'END'
#!/bin/busybox sh
/bin/busybox --install -s /bin
export PATH=/bin HOME=/tmp
mount -t proc none /proc
mount -t sysfs none /sys
mount -t devtmpfs none /dev
mount -t tmpfs none /tmp
mount -t debugfs none /sys/kernel/debug
mount -t tracefs none /sys/kernel/tracing
mount -t securityfs none /sys/kernel/security
ip link set lo up
ulimit -l unlimited
# Every listener takes data with the SYN (ip-sysctl, tcp_fastopen).
echo 1543 >/proc/sys/net/ipv4/tcp_fastopen
echo "@guest begins"
END
    printf '%s\n' "${SETUP:-:}"
    printf '/bin/program'
    [ $# -eq 0 ] || printf ' %q' "$@"
    cat <<'END'
 </dev/null
echo "@guest ends $?"
poweroff -f
END
} >"$root/init"
chmod +x "$root/init"
(cd "$root" && find . | cpio --quiet -o -H newc) >"$work/initramfs"

if [ "$architecture" = arm64 ]; then
    console=ttyAMA0
    machine=(qemu-system-aarch64 -machine virt -cpu cortex-a72)
else
    console=ttyS0
    machine=(qemu-system-x86_64 -machine pc -cpu max)
fi
loglevel=$([ -n "${VERBOSE:-}" ] && echo 7 || echo 3)
machine+=(
    -accel tcg,thread=multi -smp "${CPUS:-2}" -m "${MEMORY:-1024}"
    -nodefaults -no-reboot -display none -monitor none -serial stdio
    -kernel "$kernel/vmlinuz" -initrd "$work/initramfs"
    -append "console=$console panic=-1 loglevel=$loglevel ${APPEND:-}"
)
quiet() {
    if [ -n "${VERBOSE:-}" ]; then cat; else sed -n '/^@guest begins/,/^@guest ends/{/^@guest/!p}'; fi
}
start() {
    timeout --foreground "${LIMIT:-1800}" "${machine[@]}" </dev/null 2>&1 | tr -d '\r' | tee "$work/log" | quiet
    return "${PIPESTATUS[0]}"
}
# The emulator gets a kernel that patches its own code wrong now and then; what counts begins later.
for attempt in 1 2 3; do
    status=0
    start || status=$?
    if grep -q '^@guest begins' "$work/log"; then break; fi
    echo "the guest died while it booted (attempt $attempt)" >&2
done
if [ "$status" -eq 124 ]; then
    tail -n 30 "$work/log" >&2
    echo "the guest took longer than ${LIMIT:-1800} s" >&2
    exit 124
fi
ended=$(sed -n 's/^@guest ends \([0-9]*\)$/\1/p' "$work/log" | tail -n 1)
if [ -z "$ended" ]; then
    tail -n 30 "$work/log" >&2
    echo "the guest died" >&2
    exit 125
fi
exit "$ended"
