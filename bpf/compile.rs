//! Compiles kernel programs to CO-RE objects that a crate embeds. Part of the build scripts of the
//! crates that have some.
//!
//! Needs clang 16 or newer (`CLANG` names another than the first found). The libbpf headers are
//! those of the linked libbpf, so loader and programs always agree.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::{env, fs};

/// Older ones lack CO-RE builtins or optimise bounds checks into what the verifier refuses.
const OLDEST_CLANG: u32 = 16;

/// Source, extra flags, object name.
type Object = (&'static str, &'static [&'static str], &'static str);

/// Compiles what stands in the folder `sources` of the crate into cargo's output folder, or ends
/// the build with the reason.
pub(crate) fn compile(sources: &str, objects: &[Object]) {
    if let Err(message) = try_compile(sources, objects) {
        eprintln!("error: {message}");
        std::process::exit(1);
    }
}

fn try_compile(sources: &str, objects: &[Object]) -> Result<(), String> {
    let variable = |name: &str| env::var(name).map_err(|_| format!("cargo did not set {name}"));
    let sources = PathBuf::from(variable("CARGO_MANIFEST_DIR")?).join(sources);
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
    for (source, flags, object) in objects {
        let path = out.join(object);
        let mut command = Command::new(&clang);
        command
            .args(["-g", "-O2", "-target", "bpf", "-mcpu=v3", "-Wall", "-Wextra", "-Werror"])
            .args(["-Wno-unused-parameter", target, "-I", &headers])
            .args(*flags)
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
