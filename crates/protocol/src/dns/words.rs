//! Names of the numbers in DNS messages (IANA, "Domain Name System (DNS) Parameters").

use compact_str::{CompactString, ToCompactString, format_compact};

/// Record types that matter for more than their name.
pub(super) const A: u16 = 1;
pub(super) const SOA: u16 = 6;
pub(super) const AAAA: u16 = 28;
pub(super) const OPT: u16 = 41;
pub(super) const IXFR: u16 = 251;
pub(super) const AXFR: u16 = 252;

pub(super) const QUERY: u8 = 0;
pub(super) const NOTIFY: u8 = 4;
pub(super) const UPDATE: u8 = 5;

const NOERROR: u16 = 0;
const NXDOMAIN: u16 = 3;

const TYPES: &[(u16, &str)] = &[
    (A, "A"),
    (2, "NS"),
    (3, "MD"),
    (4, "MF"),
    (5, "CNAME"),
    (SOA, "SOA"),
    (7, "MB"),
    (8, "MG"),
    (9, "MR"),
    (10, "NULL"),
    (11, "WKS"),
    (12, "PTR"),
    (13, "HINFO"),
    (14, "MINFO"),
    (15, "MX"),
    (16, "TXT"),
    (17, "RP"),
    (18, "AFSDB"),
    (24, "SIG"),
    (25, "KEY"),
    (AAAA, "AAAA"),
    (29, "LOC"),
    (33, "SRV"),
    (35, "NAPTR"),
    (36, "KX"),
    (37, "CERT"),
    (39, "DNAME"),
    (OPT, "OPT"),
    (42, "APL"),
    (43, "DS"),
    (44, "SSHFP"),
    (45, "IPSECKEY"),
    (46, "RRSIG"),
    (47, "NSEC"),
    (48, "DNSKEY"),
    (49, "DHCID"),
    (50, "NSEC3"),
    (51, "NSEC3PARAM"),
    (52, "TLSA"),
    (53, "SMIMEA"),
    (55, "HIP"),
    (59, "CDS"),
    (60, "CDNSKEY"),
    (61, "OPENPGPKEY"),
    (62, "CSYNC"),
    (63, "ZONEMD"),
    (64, "SVCB"),
    (65, "HTTPS"),
    (99, "SPF"),
    (108, "EUI48"),
    (109, "EUI64"),
    (249, "TKEY"),
    (250, "TSIG"),
    (IXFR, "IXFR"),
    (AXFR, "AXFR"),
    (253, "MAILB"),
    (254, "MAILA"),
    (255, "ANY"),
    (256, "URI"),
    (257, "CAA"),
    (32769, "DLV"),
];

const RCODES: &[(u16, &str)] = &[
    (NOERROR, "NOERROR"),
    (1, "FORMERR"),
    (2, "SERVFAIL"),
    (NXDOMAIN, "NXDOMAIN"),
    (4, "NOTIMP"),
    (5, "REFUSED"),
    (6, "YXDOMAIN"),
    (7, "YXRRSET"),
    (8, "NXRRSET"),
    (9, "NOTAUTH"),
    (10, "NOTZONE"),
    (11, "DSOTYPENI"),
    (16, "BADVERS"),
    (17, "BADKEY"),
    (18, "BADTIME"),
    (19, "BADMODE"),
    (20, "BADNAME"),
    (21, "BADALG"),
    (22, "BADTRUNC"),
    (23, "BADCOOKIE"),
];

fn named(list: &'static [(u16, &'static str)], number: u16) -> Option<&'static str> {
    let index = list.binary_search_by_key(&number, |(number, _)| *number).ok()?;
    list.get(index).map(|(_, name)| *name)
}

/// Whether the type has a name.
pub(super) fn is_type(number: u16) -> bool {
    named(TYPES, number).is_some()
}

/// What is asked for: the type of the records; in other messages than queries, what they do.
pub(super) fn method(opcode: u8, kind: u16) -> CompactString {
    match opcode {
        QUERY => named(TYPES, kind)
            // RFC 3597 §5.
            .map_or_else(|| format_compact!("TYPE{kind}"), CompactString::const_new),
        1 => "IQUERY".into(),
        2 => "STATUS".into(),
        NOTIFY => "NOTIFY".into(),
        UPDATE => "UPDATE".into(),
        _ => format_compact!("OPCODE{opcode}"),
    }
}

/// How it was answered.
pub(super) fn status(rcode: u16) -> CompactString {
    match named(RCODES, rcode) {
        Some(name) => name.to_compact_string(),
        None => format_compact!("RCODE{rcode}"),
    }
}

/// Whether the server failed. That a name does not exist is an answer.
pub(super) fn is_failure(rcode: u16) -> bool {
    rcode != NOERROR && rcode != NXDOMAIN
}

/// Whether the server did what it was asked.
pub(super) fn is_success(rcode: u16) -> bool {
    rcode == NOERROR
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_are_in_order_for_the_search() {
        assert!(TYPES.is_sorted() && RCODES.is_sorted());
    }

    #[test]
    fn numbers_without_a_name_keep_their_number() {
        assert_eq!((&*method(QUERY, 28), &*method(QUERY, 65_000)), ("AAAA", "TYPE65000"));
        assert_eq!((&*method(QUERY, 10), &*method(QUERY, 14)), ("NULL", "MINFO"));
        assert_eq!((&*method(UPDATE, SOA), &*method(9, SOA)), ("UPDATE", "OPCODE9"));
        assert_eq!(
            (&*status(3), &*status(16), &*status(3999)),
            ("NXDOMAIN", "BADVERS", "RCODE3999")
        );
        let failures: Vec<u16> = (0..6).filter(|rcode| is_failure(*rcode)).collect();
        assert_eq!(failures, [1, 2, 4, 5]);
    }
}
