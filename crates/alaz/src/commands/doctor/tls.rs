//! Which TLS a process has at hand.

use serde::Serialize;

use super::executable::Executable;
use super::runtime::file_name;

/// One implementation of TLS.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(super) struct TlsLibrary {
    /// `OpenSSL`, `GnuTLS`, `Go crypto/tls`, …
    pub(super) name: &'static str,
    /// As far as its file's name or its text tells; empty where it is not known.
    pub(super) version: String,
    /// The file it is in: a library, or the executable itself.
    pub(super) path: String,
    /// It is part of the executable.
    pub(super) is_static: bool,
}

/// Beginnings of file names. Other libraries than OpenSSL call themselves libssl too: LibreSSL has
/// higher numbers, BoringSSL none. Java brings its own with the virtual machine.
const LIBRARIES: [(&str, &str); 6] = [
    ("libssl.so", "OpenSSL"),
    ("libgnutls.so", "GnuTLS"),
    ("libnss3.so", "NSS"),
    ("libmbedtls.so", "Mbed TLS"),
    ("libwolfssl.so", "wolfSSL"),
    ("libjvm.so", "Java JSSE"),
];

/// Libraries that are mapped, and what is built into the executable at `path`.
pub(super) fn libraries(
    path: &str,
    executable: Option<&Executable>,
    mapped: &[String],
) -> Vec<TlsLibrary> {
    let mut found: Vec<_> = mapped.iter().filter_map(|path| shared(path)).collect();
    let Some(executable) = executable else { return found };
    let built_in = |name, version: Option<&str>| {
        let version = version?.to_owned();
        Some(TlsLibrary { name, version, path: path.to_owned(), is_static: true })
    };
    // Where the library is mapped, its text in the executable is that of its headers.
    let is_mapped = found.iter().any(|library| library.name == "OpenSSL");
    let openssl = executable.openssl.as_deref().filter(|_| !is_mapped);
    found.extend(built_in("Go crypto/tls", executable.go_tls()));
    found.extend(built_in("OpenSSL", openssl));
    found.extend(built_in("rustls", executable.rustls.as_deref()));
    found
}

/// The version is what follows the ending: `3` of `libssl.so.3`.
fn shared(path: &str) -> Option<TlsLibrary> {
    let file = file_name(path);
    let (_, name) = LIBRARIES.iter().find(|(start, _)| file.starts_with(start))?;
    let version = file.split_once(".so.").map_or("", |(_, version)| version);
    Some(TlsLibrary { name, version: version.to_owned(), path: path.to_owned(), is_static: false })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(executable: &Executable, mapped: &[&str]) -> Vec<String> {
        let mapped: Vec<_> = mapped.iter().map(|path| (*path).to_owned()).collect();
        libraries("/srv/app", Some(executable), &mapped)
            .iter()
            .map(|tls| format!("{} {} {} {}", tls.name, tls.version, tls.path, tls.is_static))
            .collect()
    }

    #[test]
    fn libraries_are_told_by_their_files_and_built_in_ones_by_their_texts() {
        let built_in = Executable { openssl: Some("3.0.17".to_owned()), ..Executable::default() };
        let mapped = ["/usr/lib/libc.so.6", "/usr/lib/libssl.so.3", "/lib/libgnutls.so.30.34.3"];
        assert_eq!(
            found(&built_in, &mapped),
            [
                "OpenSSL 3 /usr/lib/libssl.so.3 false",
                "GnuTLS 30.34.3 /lib/libgnutls.so.30.34.3 false"
            ]
        );
        assert_eq!(found(&built_in, &mapped[..1]), ["OpenSSL 3.0.17 /srv/app true"]);
        assert_eq!(found(&Executable::default(), &["/usr/lib/libc.so.6"]), [""; 0]);
    }
}
