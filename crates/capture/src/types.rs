//! What the kernel's type information (BTF) says beyond what libbpf takes from it.

use std::path::{Path, PathBuf};

use libbpf_rs::btf::Btf;
use libbpf_rs::btf::types::{Func, FuncProto};

use crate::error::CaptureError;
use crate::release;

/// Where kernels with type information have it.
pub(crate) const KERNEL_BTF: &str = "/sys/kernel/btf/vmlinux";

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

/// Facts about functions of the running kernel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Functions {
    /// `tcp_recvmsg` has its `nonblock` argument, which 5.19 took away.
    pub(crate) receive_has_nonblock: bool,
    /// `tcp_sendpage` is there, which 6.5 took away.
    pub(crate) has_send_page: bool,
}

impl Functions {
    /// From `file`, or the kernel's own type information; where that does not describe functions
    /// (BTFHub also has files that were cut down to some structures), from the kernel's version.
    pub(crate) fn read(file: Option<&Path>) -> Functions {
        let btf = Btf::from_path(file.unwrap_or(Path::new(KERNEL_BTF))).ok();
        let version = release::version(&release::running());
        Functions::from_types(btf.as_ref(), version)
    }

    fn from_types(btf: Option<&Btf<'_>>, version: (u32, u32)) -> Functions {
        let parameters = |function| btf.and_then(|btf| parameters(btf, function));
        match parameters("tcp_recvmsg") {
            Some(number) => Functions {
                receive_has_nonblock: number > 5,
                has_send_page: parameters("tcp_sendpage").is_some(),
            },
            None => Functions {
                receive_has_nonblock: version < (5, 19),
                has_send_page: version < (6, 5),
            },
        }
    }
}

/// How many the function has; `None` when it is not described.
fn parameters(btf: &Btf<'_>, function: &str) -> Option<usize> {
    let prototype = btf.type_by_name::<Func<'_>>(function)?.next_type()?;
    FuncProto::try_from(prototype).ok().map(|prototype| prototype.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn functions_are_counted_by_their_parameters() {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), &crate::objects::SYSCALLS.0).unwrap();
        let btf = Btf::from_path(file.path()).unwrap();
        assert_eq!(parameters(&btf, "introduce"), Some(3));
        assert_eq!(parameters(&btf, "copy_payload"), Some(2));
        assert_eq!(parameters(&btf, "tcp_recvmsg"), None);
    }

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

    #[test]
    fn without_descriptions_the_version_tells() {
        let functions = |version| {
            let functions = Functions::from_types(None, version);
            (functions.receive_has_nonblock, functions.has_send_page)
        };
        assert_eq!(functions((5, 10)), (true, true));
        assert_eq!(functions((5, 19)), (false, true));
        assert_eq!(functions((6, 5)), (false, false));
    }
}
