//! The compiled kernel programs, part of the binary.

/// libbpf reads the ELF structures in place, so they must be aligned.
#[repr(C, align(8))]
pub(crate) struct Aligned<B: ?Sized>(pub(crate) B);

macro_rules! object {
    ($name:ident, $file:literal) => {
        pub(crate) static $name: &Aligned<[u8]> =
            &Aligned(*include_bytes!(concat!(env!("OUT_DIR"), "/", $file)));
    };
}

object!(FEXIT_DIRECT, "fexit_direct.bpf.o");
object!(FEXIT, "fexit.bpf.o");
object!(KPROBE_DIRECT, "kprobe_direct.bpf.o");
object!(KPROBE, "kprobe.bpf.o");
object!(SYSCALLS_DIRECT, "syscalls_direct.bpf.o");
object!(SYSCALLS, "syscalls.bpf.o");
object!(PROCESS, "process.bpf.o");
object!(TLS, "tls.bpf.o");
