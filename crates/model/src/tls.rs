//! What TLS tells before everything is encrypted.

use std::sync::Arc;

use compact_str::{CompactString, format_compact};

use crate::Role;

/// What the two sides of a connection said openly when it began (RFC 8446 §4, RFC 5246 §7.4). What was
/// not seen, or is not told openly in that version, is `None`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TlsHandshake {
    /// The version that the server chose.
    pub version: Option<TlsVersion>,
    /// The cipher suite that the server chose.
    pub cipher: Option<CipherSuite>,
    /// Whom the client asked for (RFC 6066 §3), in lower case.
    pub server_name: Option<CompactString>,
    /// The application protocol that the server chose (RFC 7301). TLS 1.3 encrypts it.
    pub protocol: Option<CompactString>,
    /// Why one side gave up, as far as it said so openly.
    pub failure: Option<TlsFailure>,
}

impl TlsHandshake {
    /// The facts under OpenTelemetry's attribute names.
    pub fn attributes(&self) -> impl Iterator<Item = (&'static str, CompactString)> {
        let version = self.version.map(|version| ("tls.protocol.version", version.as_str().into()));
        let cipher = self.cipher.map(|cipher| ("tls.cipher", cipher.name()));
        let name = self.server_name.clone().map(|name| ("tls.client.server_name", name));
        let protocol = self.protocol.clone().map(|protocol| ("tls.next_protocol", protocol));
        [version, cipher, name, protocol].into_iter().flatten()
    }
}

/// What is known of the TLS that a connection carried.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TlsFacts {
    /// How it began.
    pub handshake: Arc<TlsHandshake>,
    /// Exchanges inside it were read, at this host's end or one of them.
    pub is_read: bool,
}

/// A version of the protocol, as it stands on the wire.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct TlsVersion(pub u16);

impl TlsVersion {
    /// Its number, as people and `tls.protocol.version` have it; `unknown` for any that never was.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self.0 {
            0x0300 => "SSL 3.0",
            0x0301 => "1.0",
            0x0302 => "1.1",
            0x0303 => "1.2",
            0x0304 => "1.3",
            _ => "unknown",
        }
    }
}

/// The number of a cipher suite.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct CipherSuite(pub u16);

impl CipherSuite {
    /// Its name in the registry of IANA, or the number where it is none of those that are in use.
    #[must_use]
    pub fn name(self) -> CompactString {
        match CIPHERS.binary_search_by_key(&self.0, |(number, _)| *number) {
            Ok(at) => CompactString::const_new(CIPHERS[at].1),
            Err(_) => format_compact!("0x{:04x}", self.0),
        }
    }
}

/// By number: the suites that servers of today and of the last ten years choose
/// (IANA, TLS Cipher Suites).
const CIPHERS: &[(u16, &str)] = &[
    (0x0005, "TLS_RSA_WITH_RC4_128_SHA"),
    (0x000a, "TLS_RSA_WITH_3DES_EDE_CBC_SHA"),
    (0x002f, "TLS_RSA_WITH_AES_128_CBC_SHA"),
    (0x0033, "TLS_DHE_RSA_WITH_AES_128_CBC_SHA"),
    (0x0035, "TLS_RSA_WITH_AES_256_CBC_SHA"),
    (0x0039, "TLS_DHE_RSA_WITH_AES_256_CBC_SHA"),
    (0x003c, "TLS_RSA_WITH_AES_128_CBC_SHA256"),
    (0x003d, "TLS_RSA_WITH_AES_256_CBC_SHA256"),
    (0x0067, "TLS_DHE_RSA_WITH_AES_128_CBC_SHA256"),
    (0x006b, "TLS_DHE_RSA_WITH_AES_256_CBC_SHA256"),
    (0x009c, "TLS_RSA_WITH_AES_128_GCM_SHA256"),
    (0x009d, "TLS_RSA_WITH_AES_256_GCM_SHA384"),
    (0x009e, "TLS_DHE_RSA_WITH_AES_128_GCM_SHA256"),
    (0x009f, "TLS_DHE_RSA_WITH_AES_256_GCM_SHA384"),
    (0x00a8, "TLS_PSK_WITH_AES_128_GCM_SHA256"),
    (0x00a9, "TLS_PSK_WITH_AES_256_GCM_SHA384"),
    (0x1301, "TLS_AES_128_GCM_SHA256"),
    (0x1302, "TLS_AES_256_GCM_SHA384"),
    (0x1303, "TLS_CHACHA20_POLY1305_SHA256"),
    (0x1304, "TLS_AES_128_CCM_SHA256"),
    (0x1305, "TLS_AES_128_CCM_8_SHA256"),
    (0xc008, "TLS_ECDHE_ECDSA_WITH_3DES_EDE_CBC_SHA"),
    (0xc009, "TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA"),
    (0xc00a, "TLS_ECDHE_ECDSA_WITH_AES_256_CBC_SHA"),
    (0xc011, "TLS_ECDHE_RSA_WITH_RC4_128_SHA"),
    (0xc012, "TLS_ECDHE_RSA_WITH_3DES_EDE_CBC_SHA"),
    (0xc013, "TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA"),
    (0xc014, "TLS_ECDHE_RSA_WITH_AES_256_CBC_SHA"),
    (0xc023, "TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA256"),
    (0xc024, "TLS_ECDHE_ECDSA_WITH_AES_256_CBC_SHA384"),
    (0xc027, "TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA256"),
    (0xc028, "TLS_ECDHE_RSA_WITH_AES_256_CBC_SHA384"),
    (0xc02b, "TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256"),
    (0xc02c, "TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384"),
    (0xc02f, "TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256"),
    (0xc030, "TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384"),
    (0xc0ac, "TLS_ECDHE_ECDSA_WITH_AES_128_CCM"),
    (0xc0ad, "TLS_ECDHE_ECDSA_WITH_AES_256_CCM"),
    (0xcca8, "TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256"),
    (0xcca9, "TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256"),
    (0xccaa, "TLS_DHE_RSA_WITH_CHACHA20_POLY1305_SHA256"),
];

/// A fatal alert that was not encrypted (RFC 8446 §6).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct TlsFailure {
    /// Who sent it: [`Role::Client`] or [`Role::Server`].
    pub by: Role,
    /// Its description.
    pub alert: u8,
}

impl TlsFailure {
    /// Its name in the registry of IANA (TLS Alerts); `unknown` for any that has none.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self.alert {
            10 => "unexpected_message",
            20 => "bad_record_mac",
            22 => "record_overflow",
            40 => "handshake_failure",
            41 => "no_certificate",
            42 => "bad_certificate",
            43 => "unsupported_certificate",
            44 => "certificate_revoked",
            45 => "certificate_expired",
            46 => "certificate_unknown",
            47 => "illegal_parameter",
            48 => "unknown_ca",
            49 => "access_denied",
            50 => "decode_error",
            51 => "decrypt_error",
            70 => "protocol_version",
            71 => "insufficient_security",
            80 => "internal_error",
            86 => "inappropriate_fallback",
            109 => "missing_extension",
            110 => "unsupported_extension",
            112 => "unrecognized_name",
            113 => "bad_certificate_status_response",
            115 => "unknown_psk_identity",
            116 => "certificate_required",
            120 => "no_application_protocol",
            121 => "ech_required",
            _ => "unknown",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_have_names() {
        assert!(CIPHERS.is_sorted_by_key(|(number, _)| *number), "they are searched for by halves");
        assert_eq!(CipherSuite(0x1301).name(), "TLS_AES_128_GCM_SHA256");
        assert_eq!(CipherSuite(0xfefe).name(), "0xfefe");
        assert_eq!((TlsVersion(0x0304).as_str(), TlsVersion(7).as_str()), ("1.3", "unknown"));
        let failure = TlsFailure { by: Role::Client, alert: 48 };
        assert_eq!(failure.as_str(), "unknown_ca");
    }

    #[test]
    fn what_was_not_seen_is_no_attribute() {
        let handshake = TlsHandshake {
            version: Some(TlsVersion(0x0303)),
            server_name: Some("api.example".into()),
            ..TlsHandshake::default()
        };
        let attributes: Vec<_> = handshake.attributes().collect();
        let expected: [(_, CompactString); 2] = [
            ("tls.protocol.version", "1.2".into()),
            ("tls.client.server_name", "api.example".into()),
        ];
        assert_eq!(attributes, expected);
    }
}
