//! The captures of `tests/captures`, and those of a folder of one's own (`ALAZ_CAPTURES`), against
//! what tshark says of them.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "in tests a panic is the failure")]

mod agreement;
mod inference;
mod oracle;

use std::path::{Path, PathBuf};
use std::sync::Mutex;

/// The captures of this repository.
fn kept() -> Vec<PathBuf> {
    let files = captures(&Path::new(env!("CARGO_MANIFEST_DIR")).join("captures"));
    assert!(!files.is_empty());
    files
}

/// Those of the folder that the environment names.
fn foreign() -> Vec<PathBuf> {
    std::env::var_os("ALAZ_CAPTURES").map(|folder| captures(Path::new(&folder))).unwrap_or_default()
}

fn captures(folder: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files.extend(captures(&path));
        } else if path.extension().is_some_and(|kind| kind == "pcap" || kind == "pcapng") {
            files.push(path);
        }
    }
    files.sort();
    files
}

/// Files looked at side by side: most of the time goes into starting tshark.
const WORKERS: usize = 4;

/// What `look` finds in each file, in the order of the files.
fn for_each<T: Send>(files: &[PathBuf], look: impl Fn(&Path) -> T + Sync) -> Vec<(PathBuf, T)> {
    let (left, found) = (Mutex::new(files.iter()), Mutex::new(Vec::new()));
    let next = || left.lock().unwrap().next();
    std::thread::scope(|scope| {
        for _ in 0..WORKERS {
            scope.spawn(|| {
                while let Some(file) = next() {
                    let seen = look(file);
                    found.lock().unwrap().push((file.clone(), seen));
                }
            });
        }
    });
    let mut found = found.into_inner().unwrap();
    found.sort_by(|one, other| one.0.cmp(&other.0));
    found
}
