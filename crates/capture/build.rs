//! Compiles the kernel programs in `bpf/`; the library embeds the objects.

#[path = "../../bpf/compile.rs"]
mod compile;

fn main() {
    // What sees traffic comes once per way to attach it, and each of these twice: reading kernel
    // memory by plain loads (Linux 6.2 and newer), and by helper calls.
    compile::compile(
        "../../bpf",
        &[
            ("socket.bpf.c", &["-DFEXIT", "-DDIRECT_READS"], "fexit_direct.bpf.o"),
            ("socket.bpf.c", &["-DFEXIT"], "fexit.bpf.o"),
            ("socket.bpf.c", &["-DDIRECT_READS"], "kprobe_direct.bpf.o"),
            ("socket.bpf.c", &[], "kprobe.bpf.o"),
            ("syscalls.bpf.c", &["-DDIRECT_READS"], "syscalls_direct.bpf.o"),
            ("syscalls.bpf.c", &[], "syscalls.bpf.o"),
            ("process.bpf.c", &[], "process.bpf.o"),
            ("tls.bpf.c", &[], "tls.bpf.o"),
        ],
    );
}
