//! Compiles the empty kernel programs in `bpf/`; the program embeds them.

#[path = "../bpf/compile.rs"]
mod compile;

fn main() {
    compile::compile("bpf", &[("empty.bpf.c", &[], "empty.bpf.o")]);
}
