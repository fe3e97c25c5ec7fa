use proptest::prelude::*;

use super::*;
use crate::http::target::Target;

fn decoded(table: &mut Table, block: &[u8]) -> Result<Vec<Field>, Broken> {
    let mut fields = Vec::new();
    table.decode(block, |field| fields.push(field.clone()))?;
    Ok(fields)
}

fn method(text: &str) -> Field {
    Field::Method(text.into())
}

fn path(text: &str) -> Field {
    Field::Path(std::sync::Arc::new(Target::new(b"", text.as_bytes())))
}

fn authority(text: &str) -> Field {
    Field::Authority(text.into())
}

/// RFC 7541, C.3 and C.4: three requests, plain and Huffman-coded.
const PLAIN: [&[u8]; 3] = [
    b"\x82\x86\x84\x41\x0fwww.example.com",
    b"\x82\x86\x84\xbe\x58\x08no-cache",
    b"\x82\x87\x85\xbf\x40\x0acustom-key\x0ccustom-value",
];
const CODED: [&[u8]; 3] = [
    b"\x82\x86\x84\x41\x8c\xf1\xe3\xc2\xe5\xf2\x3a\x6b\xa0\xab\x90\xf4\xff",
    b"\x82\x86\x84\xbe\x58\x86\xa8\xeb\x10\x64\x9c\xbf",
    b"\x82\x87\x85\xbf\x40\x88\x25\xa8\x49\xe9\x5b\xa9\x7d\x7f\x89\x25\xa8\x49\xe9\x5b\xb8\xe8\xb4\xbf",
];

#[test]
fn requests_of_the_standard() {
    let host = authority("www.example.com");
    let expected = [
        vec![method("GET"), Field::Scheme, path("/"), host.clone()],
        vec![method("GET"), Field::Scheme, path("/"), host.clone(), Field::Other],
        vec![method("GET"), Field::Scheme, path("/index.html"), host, Field::Other],
    ];
    for blocks in [PLAIN, CODED] {
        let mut table = Table::new();
        for (block, expected) in blocks.iter().zip(&expected) {
            assert_eq!(decoded(&mut table, block).as_ref(), Ok(expected));
        }
    }
}

/// RFC 7541, C.5: responses with a table of 256 bytes, which drops entries.
#[test]
fn responses_of_the_standard() {
    let first = b"\x48\x03302\x58\x07private\x61\x1dMon, 21 Oct 2013 20:13:21 GMT\
                  \x6e\x17https://www.example.com";
    let mut table = Table { size_max: 256, ..Table::new() };
    let other = Field::Other;
    let fields = decoded(&mut table, first).unwrap();
    assert_eq!(fields, [Field::Status(302), other.clone(), other.clone(), other.clone()]);
    let second = decoded(&mut table, b"\x48\x03307\xc1\xc0\xbf").unwrap();
    assert_eq!(second, [Field::Status(307), other.clone(), other.clone(), other.clone()]);
    let third = decoded(&mut table, b"\x88\xc1\x61\x01d\xc0\x5a\x04gzip").unwrap();
    assert_eq!(third[0], Field::Status(200));
}

#[test]
fn what_was_inserted_before_joining_is_unknown_and_later_entries_are_exact() {
    let mut table = Table::unknown();
    assert_eq!(
        decoded(&mut table, PLAIN[1]).unwrap(),
        [method("GET"), Field::Scheme, path("/"), Field::Unknown, Field::Other]
    );
    // The name of an unknown entry with a new value; then that again, and a new path.
    let block = b"\x7f\x00\x01x\xbe\x44\x02/a\xbe\xbf";
    assert_eq!(
        decoded(&mut table, block).unwrap(),
        [Field::Unknown, Field::Unknown, path("/a"), path("/a"), Field::Unknown]
    );
    table.forget();
    assert_eq!(decoded(&mut table, b"\xbe").unwrap(), [Field::Unknown]);
}

#[test]
fn sizes_change_at_the_beginning_only() {
    let mut table = Table::new();
    decoded(&mut table, b"\x44\x02/a").unwrap();
    assert_eq!(decoded(&mut table, b"\x20\x3f\xe1\x1f\xbe").unwrap(), [Field::Unknown]);
    assert_eq!(table.size_max, 4096);
    assert_eq!(decoded(&mut table, b"\x82\x20"), Err(Broken));
}

#[test]
fn a_table_is_bounded_whatever_it_announces() {
    let mut table = Table::new();
    // 2^28 bytes.
    decoded(&mut table, b"\x3f\xe1\xff\xff\x7f").unwrap();
    for number in 0..10_000 {
        let block = [b"\x44\x05".as_slice(), format!("/{number:04}").as_bytes()].concat();
        decoded(&mut table, &block).unwrap();
    }
    assert!(table.size <= SIZE_MAX && table.inserted.len() <= SIZE_MAX / ENTRY_COST);
    assert_eq!(decoded(&mut table, b"\xbe").unwrap(), [path("/9999")]);
}

#[test]
fn what_is_no_block_is_refused() {
    for wrong in [
        &b"\x80"[..],
        b"\xff",
        b"\xff\xff\xff\xff\xff\xff",
        b"\x41",
        b"\x41\x05abc",
        b"\x40",
        b"\x44\x82\x00\x00",
    ] {
        assert_eq!(decoded(&mut Table::new(), wrong), Err(Broken), "{}", wrong.escape_ascii());
    }
}

#[test]
fn only_whole_content_types_of_grpc_are_grpc() {
    for (text, expected) in [
        ("application/grpc", true),
        ("application/grpc+proto", true),
        ("application/grpc; x=y", true),
        ("application/grpc-web", false),
        ("application/json", false),
    ] {
        let is_grpc = Name::ContentType.field(text.as_bytes());
        assert_eq!(is_grpc, Field::ContentType { is_grpc: expected }, "{text}");
    }
}

proptest! {
    #[test]
    fn any_bytes_do_no_harm(blocks in proptest::collection::vec(
        proptest::collection::vec(any::<u8>(), 0..200), 1..20)) {
        let mut table = Table::unknown();
        for block in blocks {
            let _ = decoded(&mut table, &block);
            prop_assert!(table.size <= SIZE_MAX);
        }
    }
}
