//! Which kernel runs here.

/// The first two numbers of a kernel's release: (6, 1) for `6.1.0-56-cloud-amd64`.
pub(crate) fn version(release: &str) -> (u32, u32) {
    let mut numbers = release.split(['.', '-']).map_while(|part| part.parse::<u32>().ok());
    (numbers.next().unwrap_or(0), numbers.next().unwrap_or(0))
}

/// The release of the running kernel.
pub(crate) fn running() -> String {
    rustix::system::uname().release().to_string_lossy().into_owned()
}

/// How and when it was built (`uname -v`).
pub(crate) fn build() -> String {
    rustix::system::uname().version().to_string_lossy().into_owned()
}
