//! The first message of each side (RFC 8446 §4.1.2 and §4.1.3, RFC 5246 §7.4.1).

use alaz_model::{CipherSuite, TlsVersion};
use compact_str::CompactString;

/// Types of handshake messages.
const CLIENT_HELLO: u8 = 1;
const SERVER_HELLO: u8 = 2;
/// Types of extensions (IANA, TLS ExtensionType Values).
const SERVER_NAME: u16 = 0;
const APPLICATION_PROTOCOLS: u16 = 16;
const SUPPORTED_VERSIONS: u16 = 43;
/// The only type of name there is (RFC 6066 §3).
const HOST_NAME: u8 = 0;
/// Names longer than those of DNS are none.
const NAME_MAX: usize = 253;

/// What one side says first.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Hello {
    Client { server_name: Option<CompactString> },
    Server { version: Option<TlsVersion>, cipher: CipherSuite, protocol: Option<CompactString> },
}

/// The message at the beginning of a record's content, of which the end may be missing. `None` where
/// it is another one, or too little of it is there.
pub(super) fn read(content: &[u8]) -> Option<Hello> {
    let mut rest = Bytes(content);
    let kind = rest.u8()?;
    let length = rest.u24()?;
    let mut body = Bytes(rest.at_most(length));
    let is_body_whole = body.0.len() == length;
    let legacy_version = body.u16()?;
    let _random = body.take(32)?;
    let _session = body.vector8()?;
    match kind {
        CLIENT_HELLO => {
            let _suites = body.vector16()?;
            let _compressions = body.vector8()?;
            let mut server_name = None;
            body.extensions(|kind, data| {
                if kind == SERVER_NAME {
                    server_name = host_name(data);
                }
            });
            Some(Hello::Client { server_name })
        }
        SERVER_HELLO => {
            let cipher = CipherSuite(body.u16()?);
            let _compression = body.u8()?;
            let (mut chosen, mut protocol) = (None, None);
            let are_whole = body.extensions(|kind, data| match kind {
                SUPPORTED_VERSIONS => chosen = Bytes(data).u16(),
                APPLICATION_PROTOCOLS => protocol = application_protocol(data),
                _ => {}
            });
            // Since 1.3 the old field says 1.2 whatever was chosen.
            let is_whole = is_body_whole && are_whole;
            let version = chosen.or(is_whole.then_some(legacy_version)).map(TlsVersion);
            Some(Hello::Server { version, cipher, protocol })
        }
        _ => None,
    }
}

/// RFC 6066 §3.
fn host_name(data: &[u8]) -> Option<CompactString> {
    let mut list = Bytes(Bytes(data).vector16()?);
    if list.u8()? != HOST_NAME {
        return None;
    }
    let name = list.vector16()?;
    let is_name = |byte: &u8| byte.is_ascii_alphanumeric() || b"-._".contains(byte);
    if name.is_empty() || name.len() > NAME_MAX || !name.iter().all(is_name) {
        return None;
    }
    std::str::from_utf8(name).ok().map(|name| name.to_ascii_lowercase().into())
}

/// The one that was chosen (RFC 7301 §3.1).
fn application_protocol(data: &[u8]) -> Option<CompactString> {
    let name = Bytes(Bytes(data).vector16()?).vector8()?;
    let name = name.iter().all(u8::is_ascii_graphic).then_some(name)?;
    std::str::from_utf8(name).ok().map(CompactString::from)
}

/// Bytes from the front.
struct Bytes<'a>(&'a [u8]);

impl<'a> Bytes<'a> {
    fn take(&mut self, length: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(length)?;
        self.0 = rest;
        Some(taken)
    }

    fn at_most(&self, length: usize) -> &'a [u8] {
        self.0.get(..length).unwrap_or(self.0)
    }

    fn u8(&mut self) -> Option<u8> {
        self.take(1)?.first().copied()
    }

    fn u16(&mut self) -> Option<u16> {
        self.take(2)?.try_into().ok().map(u16::from_be_bytes)
    }

    fn u24(&mut self) -> Option<usize> {
        let (high, low) = (self.u8()?, self.u16()?);
        Some(usize::from(high) << 16 | usize::from(low))
    }

    fn vector8(&mut self) -> Option<&'a [u8]> {
        let length = self.u8()?;
        self.take(usize::from(length))
    }

    fn vector16(&mut self) -> Option<&'a [u8]> {
        let length = self.u16()?;
        self.take(usize::from(length))
    }

    /// Shows each extension that is there to its end. Whether none is missing; there need be none.
    fn extensions(&mut self, mut show: impl FnMut(u16, &'a [u8])) -> bool {
        if self.0.is_empty() {
            return true;
        }
        let Some(length) = self.u16() else { return false };
        let mut rest = Bytes(self.at_most(usize::from(length)));
        let is_whole = rest.0.len() == usize::from(length);
        while !rest.0.is_empty() {
            let Some(kind) = rest.u16() else { return false };
            let Some(data) = rest.vector16() else { return false };
            show(kind, data);
        }
        is_whole
    }
}
