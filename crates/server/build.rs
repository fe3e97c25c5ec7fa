//! Lists the built UI, so that `src/ui.rs` can hold it in the program.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::{env, fs, io};

const UI: &str = "../../ui/dist";

fn main() -> io::Result<()> {
    println!("cargo::rerun-if-changed={UI}");
    let root = PathBuf::from(env::var("CARGO_MANIFEST_DIR").map_err(io::Error::other)?).join(UI);
    let root = root.canonicalize().map_err(|error| {
        io::Error::new(error.kind(), format!("{}: {error}: run `make ui`", root.display()))
    })?;
    let mut files = Vec::new();
    list(&root, &mut files)?;
    files.sort();
    let mut source = String::from("const FILES: &[(&str, &[u8])] = &[\n");
    for file in &files {
        let path = file.strip_prefix(&root).map_err(io::Error::other)?;
        // Writing to a string cannot fail.
        let _ = writeln!(source, "    ({path:?}, include_bytes!({file:?})),");
    }
    source.push_str("];\n");
    let target = PathBuf::from(env::var("OUT_DIR").map_err(io::Error::other)?);
    fs::write(target.join("ui_files.rs"), source)
}

fn list(folder: &Path, files: &mut Vec<PathBuf>) -> io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            list(&entry.path(), files)?;
        } else {
            files.push(entry.path());
        }
    }
    Ok(())
}
