//! Type information (BTF) from a file, for kernels that do not bring their own.

use std::path::{Path, PathBuf};

use crate::error::CaptureError;
use crate::release;

/// The file that describes the running kernel: `path` itself, or the one for this distribution and
/// release in a folder laid out as BTFHub's archive (`ubuntu/20.04/x86_64/5.4.0-91-generic.btf`).
/// `root` is where this machine's facts are read, `/` but in tests.
pub(crate) fn find(path: &Path, root: &Path) -> Result<PathBuf, CaptureError> {
    let wrong = |reason| CaptureError::BtfFile { path: path.to_owned(), reason };
    if !path.is_dir() {
        return match path.try_exists() {
            Ok(true) => Ok(path.to_owned()),
            _ => Err(wrong("there is no such file or folder".to_owned())),
        };
    }
    let text = std::fs::read_to_string(root.join("etc/os-release")).unwrap_or_default();
    let value = |key: &str| {
        let line = text.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix('='));
        line.map(|value| value.trim_matches('"').to_owned()).unwrap_or_default()
    };
    let release = release::running();
    let place = Path::new(&value("ID"))
        .join(value("VERSION_ID"))
        .join(std::env::consts::ARCH.replace("aarch64", "arm64"))
        .join(format!("{release}.btf"));
    let file = path.join(&place);
    if file.exists() { Ok(file) } else { Err(wrong(format!("holds no {}", place.display()))) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_is_searched_by_distribution_and_release() {
        let root = tempfile::tempdir().unwrap();
        std::fs::create_dir(root.path().join("etc")).unwrap();
        let facts = "NAME=x\nVERSION_ID=\"20.04\"\nID=ubuntu\n";
        std::fs::write(root.path().join("etc/os-release"), facts).unwrap();
        let archive = tempfile::tempdir().unwrap();
        let error = find(archive.path(), root.path()).unwrap_err().to_string();
        assert!(error.contains("ubuntu/20.04/"), "{error}");

        let architecture = std::env::consts::ARCH.replace("aarch64", "arm64");
        let folder = archive.path().join("ubuntu/20.04").join(architecture);
        std::fs::create_dir_all(&folder).unwrap();
        let file = folder.join(format!("{}.btf", release::running()));
        std::fs::write(&file, "").unwrap();
        assert_eq!(find(archive.path(), root.path()).unwrap(), file);
        assert_eq!(find(&file, root.path()).unwrap(), file);
        assert!(find(&folder.join("other"), root.path()).is_err());
    }
}
