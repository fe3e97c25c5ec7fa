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

object!(SOCKET_DIRECT, "socket_direct.bpf.o");
object!(SOCKET, "socket.bpf.o");
object!(PROCESS, "process.bpf.o");
