//! Compiles the kernel programs in `bpf/`; the library embeds the objects.

#[path = "../../bpf/compile.rs"]
mod compile;

fn main() {
    // The socket programs come twice: reading kernel memory by plain loads (Linux 6.2 and newer),
    // and by helper calls.
    compile::compile(
        "../../bpf",
        &[
            ("socket.bpf.c", &["-DDIRECT_READS"], "socket_direct.bpf.o"),
            ("socket.bpf.c", &[], "socket.bpf.o"),
            ("process.bpf.c", &[], "process.bpf.o"),
        ],
    );
}
