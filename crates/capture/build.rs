//! Compiles the kernel programs in `bpf/` to CO-RE objects that the library embeds.
//!
//! Needs clang 16 or newer (`CLANG` names another than the first found). The libbpf headers are
//! those of the linked libbpf, so loader and programs always agree.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::{env, fs};

/// Source, extra flags, object name. What sees traffic comes once per way to attach it, and each of
/// these twice: reading kernel memory by plain loads (Linux 6.2 and newer), and by helper calls.
const OBJECTS: [(&str, &[&str], &str); 7] = [
    ("socket.bpf.c", &["-DFEXIT", "-DDIRECT_READS"], "fexit_direct.bpf.o"),
    ("socket.bpf.c", &["-DFEXIT"], "fexit.bpf.o"),
    ("socket.bpf.c", &["-DDIRECT_READS"], "kprobe_direct.bpf.o"),
    ("socket.bpf.c", &[], "kprobe.bpf.o"),
    ("syscalls.bpf.c", &["-DDIRECT_READS"], "syscalls_direct.bpf.o"),
    ("syscalls.bpf.c", &[], "syscalls.bpf.o"),
    ("process.bpf.c", &[], "process.bpf.o"),
];

/// Older ones lack CO-RE builtins or optimise bounds checks into what the verifier refuses.
const OLDEST_CLANG: u32 = 16;

fn main() {
    if let Err(message) = build() {
        eprintln!("error: {message}");
        std::process::exit(1);
    }
}

fn build() -> Result<(), String> {
    let variable = |name: &str| env::var(name).map_err(|_| format!("cargo did not set {name}"));
    let sources = PathBuf::from(variable("CARGO_MANIFEST_DIR")?).join("../../bpf");
    let out = PathBuf::from(variable("OUT_DIR")?);
    let headers = variable("DEP_BPF_INCLUDE")?;
    let target = match variable("CARGO_CFG_TARGET_ARCH")?.as_str() {
        "x86_64" => "-D__TARGET_ARCH_x86",
        "aarch64" => "-D__TARGET_ARCH_arm64",
        other => return Err(format!("Alaz runs on x86_64 and aarch64, not on {other}")),
    };
    println!("cargo:rerun-if-env-changed=CLANG");
    watch(&sources)?;

    let clang = find_clang()?;
    // What the verifier has to walk depends on it; the tests say which it was.
    println!("cargo:rustc-env=ALAZ_CLANG={}", version(&clang).unwrap_or(0));
    for (source, flags, object) in OBJECTS {
        let path = out.join(object);
        let mut command = Command::new(&clang);
        command
            .args(["-g", "-O2", "-target", "bpf", "-mcpu=v3", "-Wall", "-Wextra", "-Werror"])
            .args(["-Wno-unused-parameter", target, "-I", &headers])
            .args(flags)
            .arg("-c")
            .arg(sources.join(source))
            .arg("-o")
            .arg(&path)
            // Debug paths would make the objects differ between build directories.
            .arg(format!("-ffile-prefix-map={}=bpf", sources.display()));
        run(&mut command)?;
        strip(&clang, &path)?;
    }
    Ok(())
}

fn watch(sources: &Path) -> Result<(), String> {
    let entries = fs::read_dir(sources).map_err(|e| format!("{}: {e}", sources.display()))?;
    for entry in entries.flatten() {
        println!("cargo:rerun-if-changed={}", entry.path().display());
    }
    Ok(())
}

fn find_clang() -> Result<String, String> {
    if let Ok(clang) = env::var("CLANG") {
        return Ok(clang);
    }
    let numbered = (OLDEST_CLANG..=30).map(|version| format!("clang-{version}"));
    std::iter::once("clang".to_owned())
        .chain(numbered)
        .find(|name| version(name).is_some_and(|found| found >= OLDEST_CLANG))
        .ok_or_else(|| {
            format!(
                "no clang {OLDEST_CLANG} or newer found; install one (apt-get install clang-16) \
                 or name it in CLANG"
            )
        })
}

fn version(clang: &str) -> Option<u32> {
    let output = Command::new(clang).arg("--version").output().ok()?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let (_, rest) = text.split_once("clang version ")?;
    rest.split('.').next()?.parse().ok()
}

/// DWARF is of no use to the kernel and ten times the size of the rest. BTF stays.
fn strip(clang: &str, object: &Path) -> Result<(), String> {
    let strip = clang.replace("clang", "llvm-strip");
    run(Command::new(strip).arg("-g").arg(object))
}

fn run(command: &mut Command) -> Result<(), String> {
    let status = command.status().map_err(|error| format!("{command:?}: {error}"))?;
    if status.success() { Ok(()) } else { Err(format!("{command:?}: {status}")) }
}
