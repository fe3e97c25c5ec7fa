//! What is known of TLS libraries, for people.

use std::collections::BTreeSet;
use std::path::PathBuf;

/// One library file that processes have mapped.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LibraryReport {
    /// Where the first process that was found to use it sees it.
    pub path: PathBuf,
    /// Processes that use it now.
    pub processes: BTreeSet<u32>,
    /// Its functions that are probed.
    pub functions: Vec<&'static str>,
    /// Why it is not.
    pub refused: Option<String>,
}

/// What is read inside TLS.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TlsReport {
    /// Why nothing is: the kernel's reason.
    pub refused: Option<String>,
    /// Every library file that a process uses, or did a moment ago.
    pub libraries: Vec<LibraryReport>,
    /// Library files that there was no room for.
    pub turned_away: u64,
}
