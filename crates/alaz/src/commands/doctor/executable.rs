//! What stands in an executable file about the language it was written in and the TLS it brings
//! along, found by the texts that compilers and libraries leave there.

use std::io::{self, Read};

use memchr::memmem;

/// Read at once.
const CHUNK: usize = 1 << 20;
/// No text that is looked for is longer; so much is looked at again with the next chunk.
const OVERLAP: usize = 256;
/// So much of a file is looked at.
const MOST_BYTES: u64 = 1 << 30;

/// Texts of an executable. What is not found may be there all the same.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Executable {
    /// Version of the Go compiler; `None`: it is not of Go, or older than 1.18.
    pub(super) go: Option<String>,
    /// The package `crypto/tls` is in it. Means something where it is of Go.
    pub(super) has_go_tls: bool,
    /// Version of OpenSSL whose headers or library are in it.
    pub(super) openssl: Option<String>,
    /// Version of rustls.
    pub(super) rustls: Option<String>,
}

/// Go's cmd/link (`buildinfo`): magic, pointer size, flags; with this flag two strings with their
/// lengths follow at a fixed place, the first of which is the version (debug/buildinfo).
const GO_MAGIC: &[u8] = b"\xff Go buildinf:";
const GO_ALIGNMENT: u64 = 16;
const GO_FLAGS: usize = 15;
const GO_INLINE_STRINGS: u8 = 2;
const GO_STRINGS: usize = 32;
/// In the table of functions, which stays when a program is stripped.
const GO_TLS: &[u8] = b"crypto/tls.(*Conn)";
/// `OPENSSL_VERSION_TEXT`: the version and the day of it.
const OPENSSL: &[u8] = b"OpenSSL ";
/// In the paths of sources that panics name.
const RUSTLS: &[u8] = b"/rustls-";

impl Executable {
    /// Looks through an ELF file; of others nothing is known.
    ///
    /// # Errors
    /// When it cannot be read.
    pub(super) fn read(file: impl Read) -> io::Result<Executable> {
        let mut file = file.take(MOST_BYTES);
        let mut found = Executable::default();
        let mut window = Vec::new();
        let mut start = 0;
        loop {
            let read = (&mut file).take(CHUNK as u64).read_to_end(&mut window)?;
            if start == 0 && !window.starts_with(b"\x7fELF") {
                return Ok(found);
            }
            let is_end = read < CHUNK;
            // Whatever begins further back may not be whole yet.
            let complete = if is_end { window.len() } else { window.len().saturating_sub(OVERLAP) };
            found.look(&window, complete, start);
            if is_end {
                return Ok(found);
            }
            window.drain(..complete);
            start += complete as u64;
        }
    }

    /// The version of Go's own TLS, which is the compiler's.
    pub(super) fn go_tls(&self) -> Option<&str> {
        self.go.as_deref().filter(|_| self.has_go_tls)
    }

    /// Takes what begins in the first `complete` bytes; the window lies at `start` in the file.
    fn look(&mut self, window: &[u8], complete: usize, start: u64) {
        let after = |needle: &'static [u8]| {
            memmem::find_iter(window, needle)
                .take_while(move |place| *place < complete)
                .filter_map(move |place| Some((place, window.get(place + needle.len()..)?)))
        };
        if self.go.is_none() {
            let aligned =
                |(place, _): &(usize, &[u8])| (start + *place as u64).is_multiple_of(GO_ALIGNMENT);
            let mut places = after(GO_MAGIC).filter(aligned);
            self.go = places.find_map(|(place, _)| go_version(window.get(place..)?));
        }
        self.has_go_tls = self.has_go_tls || after(GO_TLS).next().is_some();
        if self.openssl.is_none() {
            self.openssl = after(OPENSSL).find_map(|(_, text)| openssl_version(text));
        }
        if self.rustls.is_none() {
            self.rustls = after(RUSTLS).find_map(|(_, text)| rustls_version(text));
        }
    }
}

fn go_version(header: &[u8]) -> Option<String> {
    if header.get(GO_FLAGS)? & GO_INLINE_STRINGS == 0 {
        return None;
    }
    // Versions are short, so that the length is one byte of the varint.
    let (length, text) = header.get(GO_STRINGS..)?.split_first()?;
    let text = std::str::from_utf8(text.get(..usize::from(*length))?).ok()?;
    let version = text.strip_prefix("go")?;
    version.starts_with(|c: char| c.is_ascii_digit()).then(|| version.to_owned())
}

/// As in `3.0.17 1 Jul 2025`.
fn openssl_version(text: &[u8]) -> Option<String> {
    let end = text.iter().take(OVERLAP / 2).position(|byte| *byte == b' ')?;
    let (version, day) = (text.get(..end)?, text.get(end + 1..)?);
    let fits = version.contains(&b'.')
        && version.first()?.is_ascii_digit()
        && version.iter().all(|byte| byte.is_ascii_alphanumeric() || b".+-".contains(byte))
        && day.first()?.is_ascii_digit();
    fits.then(|| String::from_utf8_lossy(version).into_owned())
}

/// As in `0.23.5/src/lib.rs`.
fn rustls_version(text: &[u8]) -> Option<String> {
    let end = text.iter().take(OVERLAP / 2).position(|byte| *byte == b'/')?;
    let version = text.get(..end)?;
    let fits = version.contains(&b'.')
        && version.first()?.is_ascii_digit()
        && version.iter().all(|byte| byte.is_ascii_alphanumeric() || b".-".contains(byte));
    fits.then(|| String::from_utf8_lossy(version).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// An ELF file with these texts at these places.
    fn file(length: usize, texts: &[(usize, &[u8])]) -> Vec<u8> {
        let mut bytes = vec![0; length];
        bytes[..4].copy_from_slice(b"\x7fELF");
        for (place, text) in texts {
            bytes[*place..place + text.len()].copy_from_slice(text);
        }
        bytes
    }

    fn build_info(version: &str) -> Vec<u8> {
        let mut header = b"\xff Go buildinf:\x08\x02".to_vec();
        header.resize(GO_STRINGS, 0);
        header.push(version.len() as u8);
        header.extend(version.bytes());
        header
    }

    #[test]
    fn texts_are_found_wherever_they_are() {
        let go = build_info("go1.24.1");
        for place in [16, CHUNK - 16, CHUNK - 32, CHUNK - OVERLAP, 2 * CHUNK, 2 * CHUNK - 48] {
            let bytes = file(3 * CHUNK, &[(place, &go), (300 + place, b"crypto/tls.(*Conn).Read")]);
            let found = Executable::read(&bytes[..]).unwrap();
            assert_eq!(found.go_tls(), Some("1.24.1"), "{place}");
        }
        let texts: [(usize, &[u8]); 3] = [
            (40, b"OpenSSL %s OpenSSL is free OpenSSL 3.x "),
            (CHUNK - 12, b"OpenSSL 3.0.13+quic 30 Jan 2024"),
            (CHUNK + 500, b"/root/registry/rustls-0.23.5/src/lib.rs"),
        ];
        let found = Executable::read(&file(2 * CHUNK, &texts)[..]).unwrap();
        let expected = Executable {
            go: None,
            has_go_tls: false,
            openssl: Some("3.0.13+quic".to_owned()),
            rustls: Some("0.23.5".to_owned()),
        };
        assert_eq!(found, expected);
    }

    #[test]
    fn what_only_looks_like_it_is_not_taken() {
        let go = build_info("go1.24.1");
        let mut old = go.clone();
        old[GO_FLAGS] = 0;
        for texts in [(24, &go[..]), (32, &old[..]), (32, &build_info("1.24"))] {
            assert_eq!(Executable::read(&file(400, &[texts])[..]).unwrap().go, None);
        }
        let script = [b"#!/bin/sh\n".to_vec(), b"OpenSSL 3.0.13 30 Jan 2024".to_vec()].concat();
        assert_eq!(Executable::read(&script[..]).unwrap(), Executable::default());
        // The needles themselves stand in this very program.
        let own = std::fs::File::open("/proc/self/exe").unwrap();
        assert_eq!(Executable::read(own).unwrap().go, None);
    }

    #[test]
    fn any_bytes_are_taken() {
        let whole = file(400, &[(16, &build_info("go1.24.1")), (200, b"OpenSSL 3.0.1 1 Jan 2024")]);
        for length in 0..whole.len() {
            let _ = Executable::read(&whole[..length]).unwrap();
        }
    }
}
