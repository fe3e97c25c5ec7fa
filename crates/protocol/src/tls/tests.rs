use alaz_model::{CipherSuite, Direction, Role, TlsFailure, TlsHandshake, TlsVersion};
use proptest::prelude::*;

use super::hello::{self, Hello};
use super::is_record;
use crate::testing::Wire;

fn vector8(content: &[u8]) -> Vec<u8> {
    [&[content.len() as u8], content].concat()
}

fn vector16(content: &[u8]) -> Vec<u8> {
    [&(content.len() as u16).to_be_bytes(), content].concat()
}

fn extension(kind: u16, data: &[u8]) -> Vec<u8> {
    [&kind.to_be_bytes()[..], &vector16(data)].concat()
}

fn server_name(name: &str) -> Vec<u8> {
    extension(0, &vector16(&[&[0], vector16(name.as_bytes()).as_slice()].concat()))
}

fn protocols(names: &[&str]) -> Vec<u8> {
    let names: Vec<u8> = names.iter().flat_map(|name| vector8(name.as_bytes())).collect();
    extension(16, &vector16(&names))
}

fn message(kind: u8, body: &[u8]) -> Vec<u8> {
    [&[kind, 0], vector16(body).as_slice()].concat()
}

fn client_hello(extensions: &[Vec<u8>]) -> Vec<u8> {
    let start = [&[3, 3][..], &[7; 32], &vector8(&[9; 32])].concat();
    let suites = vector16(&[0x13, 1, 0xc0, 0x2f]);
    message(1, &[start, suites, vector8(&[0]), vector16(&extensions.concat())].concat())
}

fn server_hello(cipher: u16, extensions: &[Vec<u8>]) -> Vec<u8> {
    let start = [&[3, 3][..], &[7; 32], &vector8(&[9; 32]), &cipher.to_be_bytes(), &[0]].concat();
    message(2, &[start, vector16(&extensions.concat())].concat())
}

fn record(kind: u8, content: &[u8]) -> Vec<u8> {
    [&[kind, 3, 3], vector16(content).as_slice()].concat()
}

/// What was learned last, if anything was.
fn learned(wire: &mut Wire) -> Option<TlsHandshake> {
    wire.engine.take_handshakes().next_back().map(|(_, handshake)| TlsHandshake::clone(&handshake))
}

fn asked() -> Vec<u8> {
    record(22, &client_hello(&[protocols(&["h2", "http/1.1"]), server_name("API.example.com")]))
}

#[test]
fn records_of_every_kind_and_nothing_else() {
    assert!(is_record(&[22, 3, 1, 2, 0, 1]), "a ClientHello");
    assert!(is_record(&[23, 3, 3, 0x40, 0x11]), "application data");
    assert!(!is_record(&[22, 3, 1, 2]), "too short to tell");
    assert!(!is_record(&[22, 3, 1, 0, 0]), "empty");
    assert!(!is_record(&[22, 3, 1, 0xff, 0xff]), "too long");
    assert!(!is_record(b"GET / HTTP/1.1"));
    assert!(!is_record(&[24, 3, 3, 0, 5]));
}

#[test]
fn the_versions_tell_what_they_tell_openly() {
    let mut wire = Wire::new(Role::Client);
    wire.client(asked());
    assert_eq!(learned(&mut wire).unwrap().server_name.as_deref(), Some("api.example.com"));
    // The older version, its certificate in the same call.
    let flight = [record(22, &server_hello(0xc02f, &[protocols(&["h2"])])), record(22, &[11; 900])];
    wire.server(flight.concat());
    let expected = TlsHandshake {
        version: Some(TlsVersion(0x0303)),
        cipher: Some(CipherSuite(0xc02f)),
        server_name: Some("api.example.com".into()),
        protocol: Some("h2".into()),
        failure: None,
    };
    assert_eq!(learned(&mut wire), Some(expected));
    wire.client(record(22, &[16; 70])).server(record(20, &[1]));
    assert_eq!(learned(&mut wire), None, "nothing new");
    // The newer one, seen from the server.
    let mut wire = Wire::new(Role::Server);
    wire.client(asked());
    let chosen = server_hello(0x1301, &[extension(51, &[1; 36]), extension(43, &[3, 4])]);
    wire.server([record(22, &chosen), record(20, &[1]), record(23, &[5; 800])].concat());
    let known = learned(&mut wire).unwrap();
    assert_eq!(
        (known.version, known.cipher),
        (Some(TlsVersion(0x0304)), Some(CipherSuite(0x1301)))
    );
    assert_eq!(known.protocol, None, "it is encrypted");
}

#[test]
fn who_gave_up_and_why() {
    let failure = |by, alert| Some(TlsFailure { by, alert });
    let mut wire = Wire::new(Role::Client);
    wire.client(asked()).server(record(21, &[2, 70]));
    assert_eq!(learned(&mut wire).unwrap().failure, failure(Role::Server, 70));
    // With the certificate in hand.
    let mut wire = Wire::new(Role::Server);
    wire.client(asked()).server(record(22, &server_hello(0xc02f, &[])));
    wire.client(record(21, &[2, 48]));
    assert_eq!(learned(&mut wire).unwrap().failure, failure(Role::Client, 48));
    // A warning, and what only looks like an alert behind the point from which all is encrypted.
    let mut wire = Wire::new(Role::Client);
    wire.client(asked()).server(record(21, &[1, 112]));
    assert_eq!(learned(&mut wire).unwrap().failure, None);
    let mut wire = Wire::new(Role::Client);
    wire.client(asked()).server(record(23, &[1; 30])).server(record(21, &[2, 40]));
    assert_eq!(learned(&mut wire).unwrap().failure, None);
}

#[test]
fn a_hello_in_pieces_is_read_and_a_cut_one_as_far_as_it_goes() {
    let hello = asked();
    for at in 6..hello.len() {
        let mut wire = Wire::new(Role::Client);
        wire.client(&hello[..at]).client(&hello[at..]);
        let known = learned(&mut wire).unwrap();
        assert_eq!(known.server_name.as_deref(), Some("api.example.com"), "cut at {at}");
    }
    // Longer than what is copied: the name stands behind.
    let long = [extension(21, &[0; 5000]), server_name("far.example")];
    let mut wire = Wire::new(Role::Client);
    wire.client(record(22, &client_hello(&long)));
    assert_eq!(learned(&mut wire).unwrap(), TlsHandshake::default());
    // The version would stand where nothing was copied: it may be any.
    let mut wire = Wire::new(Role::Client);
    wire.client(asked());
    wire.server(record(
        22,
        &server_hello(0x1301, &[extension(21, &[0; 5000]), extension(43, &[3, 4])]),
    ));
    let known = learned(&mut wire).unwrap();
    assert_eq!((known.version, known.cipher), (None, Some(CipherSuite(0x1301))));
}

#[test]
fn names_that_are_none_are_not_shown() {
    for name in ["", "a b", "x\u{e9}y", &"a".repeat(254), "<script>"] {
        let hello = hello::read(&client_hello(&[server_name(name)]));
        assert_eq!(hello, Some(Hello::Client { server_name: None }), "{name:?}");
    }
}

#[test]
fn it_ends_when_both_sides_encrypt_or_too_much_was_said() {
    let mut wire = Wire::new(Role::Client);
    wire.client(asked());
    let wishes = |wire: &mut Wire| wire.engine.take_wishes().count();
    wire.server([record(22, &server_hello(0x1301, &[])), record(23, &[5; 80])].concat());
    assert_eq!(wishes(&mut wire), 0, "the client may still complain");
    wire.client(record(23, &[5; 80]));
    assert_eq!(wishes(&mut wire), 1, "nothing more is to be copied");
    let mut wire = Wire::new(Role::Client);
    for _ in 0..super::LOOKS {
        assert_eq!(wishes(&mut wire), 0);
        wire.client(record(22, &[0; 5]));
    }
    assert_eq!(wishes(&mut wire), 1);
}

#[test]
fn of_an_older_connection_only_that_it_is_one_is_known() {
    let mut wire = Wire::with(Role::Client, Role::Client, true, crate::Limits::default());
    wire.client(record(23, &[5; 80]));
    assert_eq!(learned(&mut wire), Some(TlsHandshake::default()));
}

proptest! {
    #[test]
    fn more_of_a_hello_never_takes_a_fact_back(at in 0_usize..400) {
        let hellos = [
            client_hello(&[extension(10, &[1; 40]), server_name("api.example.com")]),
            server_hello(0x1301, &[extension(51, &[1; 36]), extension(43, &[3, 4]), protocols(&["h2"])]),
        ];
        for whole in hellos {
            let part = hello::read(&whole[..at.min(whole.len())]);
            match (part, hello::read(&whole).unwrap()) {
                (None | Some(Hello::Client { server_name: None }), _) => {}
                (
                    Some(Hello::Server { version, cipher, protocol }),
                    Hello::Server { version: version_then, cipher: then, protocol: protocol_then },
                ) => {
                    prop_assert_eq!(cipher, then);
                    prop_assert!(version.is_none() || version == version_then);
                    prop_assert!(protocol.is_none() || protocol == protocol_then);
                }
                (part, then) => prop_assert_eq!(part, Some(then)),
            }
        }
    }

    #[test]
    fn any_bytes_do_no_harm(
        said in proptest::collection::vec(
            (any::<bool>(), 20_u8..24, proptest::collection::vec(any::<u8>(), 0..200), any::<bool>()), 0..20),
    ) {
        let mut wire = Wire::new(Role::Client);
        for (by_client, kind, content, is_hello) in said {
            let content = if is_hello { message(1 + u8::from(!by_client), &content) } else { content };
            match by_client {
                true => wire.client(record(kind, &content)),
                false => wire.server(record(kind, &content)),
            };
        }
        prop_assert!(wire.told().is_empty());
    }
}

#[test]
fn the_side_that_said_it_is_known_by_direction_and_role() {
    let speaker = super::speaker;
    assert_eq!(speaker(Direction::Send, Role::Server), Some(Role::Server));
    assert_eq!(speaker(Direction::Receive, Role::Server), Some(Role::Client));
    assert_eq!(speaker(Direction::Send, Role::Unknown), None);
}
