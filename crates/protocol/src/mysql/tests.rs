//! Conversations as the clients of MySQL and MariaDB have them, whole and damaged.

use alaz_model::{CloseReason, Role, UnpairedReason};

use super::parse::{FULL, capability};
use crate::Limits;
use crate::remembered::REMEMBERED_MAX;
use crate::testing::Wire;

mod properties;

fn packet(sequence: u8, body: &[u8]) -> Vec<u8> {
    let length = (body.len() as u32).to_le_bytes();
    [&length[..3], &[sequence], body].concat()
}

/// Bodies as packets, numbered from `first` on.
fn packets(first: u8, bodies: &[Vec<u8>]) -> Vec<u8> {
    let numbered = bodies.iter().enumerate();
    numbered.flat_map(|(at, body)| packet(first.wrapping_add(at as u8), body)).collect()
}

/// What a client and server agree upon.
#[derive(Clone, Copy, Debug)]
struct Agreed {
    capabilities: u32,
    extended: u32,
}

const OLD: Agreed = Agreed { capabilities: BASE, extended: 0 };
const NEW: Agreed = Agreed { capabilities: BASE | capability::DEPRECATE_EOF, extended: 0 };
const BASE: u32 = capability::MYSQL
    | capability::PROTOCOL_41
    | capability::SECURE_CONNECTION
    | capability::CONNECT_WITH_DB;

fn greeting(version: &str, agreed: Agreed) -> Vec<u8> {
    let [low, high, low2, high2] = agreed.capabilities.to_le_bytes();
    let mut body = [&[10][..], version.as_bytes(), &[0]].concat();
    body.extend([1, 0, 0, 0, b'c', b'h', b'a', b'l', b'l', b'e', b'n', b'g', 0]);
    body.extend([low, high, 45, 2, 0, low2, high2, 21, 0, 0, 0, 0, 0, 0]);
    body.extend(agreed.extended.to_le_bytes());
    body.extend(b"continuation\0mysql_native_password\0");
    packet(0, &body)
}

fn login(agreed: Agreed) -> Vec<u8> {
    let mut body = agreed.capabilities.to_le_bytes().to_vec();
    body.extend([0, 0, 0, 1, 45]);
    body.extend([0; 19]);
    body.extend(agreed.extended.to_le_bytes());
    body.extend(b"alice\0\x06secretshop\0mysql_native_password\0");
    packet(1, &body)
}

fn ok(flags: u16) -> Vec<u8> {
    let [low, high] = flags.to_le_bytes();
    vec![0, 1, 0, low, high, 0, 0]
}

fn eof(flags: u16) -> Vec<u8> {
    let [low, high] = flags.to_le_bytes();
    vec![0xfe, 0, 0, low, high]
}

fn error(number: u16) -> Vec<u8> {
    [&[0xff][..], &number.to_le_bytes(), b"#42S02secret"].concat()
}

fn query(text: &str) -> Vec<u8> {
    packet(0, &[b"\x03", text.as_bytes()].concat())
}

fn prepare(text: &str) -> Vec<u8> {
    packet(0, &[b"\x16", text.as_bytes()].concat())
}

fn execute(number: u32) -> Vec<u8> {
    packet(
        0,
        &[&[0x17][..], &number.to_le_bytes(), &[0, 1, 0, 0, 0, 0, 1, 253, 0, 6], b"secret"]
            .concat(),
    )
}

fn definition() -> Vec<u8> {
    b"\x03def\0\0\0\x01c\0\x0c\x3f\0\x01\0\0\0\x08\0\0\0\0\0".to_vec()
}

/// Column, definitions, rows, end; where the old EOF packets are is agreed upon.
fn result(agreed: Agreed, columns: u8, rows: &[&str], flags: u16) -> Vec<Vec<u8>> {
    let is_new = agreed.capabilities & capability::DEPRECATE_EOF != 0;
    let mut bodies = vec![vec![columns]];
    bodies.extend(vec![definition(); usize::from(columns)]);
    if !is_new {
        bodies.push(eof(0));
    }
    for row in rows {
        bodies.push([&[0xfc][..], &(row.len() as u16).to_le_bytes(), row.as_bytes()].concat());
    }
    let [low, high] = flags.to_le_bytes();
    bodies.push(if is_new { vec![0xfe, 0, 0, low, high, 0, 0] } else { eof(flags) });
    bodies
}

fn prepared(agreed: Agreed, number: u32, columns: u16, parameters: u16) -> Vec<Vec<u8>> {
    let is_new = agreed.capabilities & capability::DEPRECATE_EOF != 0;
    let mut bodies = vec![
        [
            &[0][..],
            &number.to_le_bytes(),
            &columns.to_le_bytes(),
            &parameters.to_le_bytes(),
            &[0, 0, 0],
        ]
        .concat(),
    ];
    for count in [parameters, columns] {
        bodies.extend(vec![definition(); usize::from(count)]);
        if count > 0 && !is_new {
            bodies.push(eof(0));
        }
    }
    bodies
}

#[test]
fn a_login_may_be_answered_by_what_was_lost_before_it_is_told_of() {
    let mut wire = Wire::new(Role::Client);
    wire.server(greeting("8.0.36", NEW));
    let asked = wire.next_said(true, login(NEW));
    let answered = wire.next_said(false, packet(2, &ok(2)));
    wire.give(&answered.cut(5));
    wire.give(&asked);
    wire.pause(1_000_000_000).close(CloseReason::Finished);
    assert!(wire.told().is_empty(), "{:?}", wire.views);
    assert_eq!(wire.engine.ledger().exchanges.unpaired(UnpairedReason::Truncated), 1);
}

/// A client that has logged in.
fn session(role: Role, agreed: Agreed) -> Wire {
    let mut wire = Wire::new(role);
    wire.server(greeting("8.0.36", agreed)).client(login(agreed));
    wire.server(packet(2, b"\xfemysql_native_password\0challenge\0")).client(packet(3, b"secret"));
    wire.server(packet(4, &ok(2)));
    wire
}

#[test]
fn queries_in_both_manners_seen_from_both_ends() {
    for (role, agreed) in
        [(Role::Client, OLD), (Role::Server, OLD), (Role::Client, NEW), (Role::Server, NEW)]
    {
        let mut wire = session(role, agreed);
        let (asked, answered) = (
            query("SELECT a FROM t WHERE b = 'x'"),
            packets(1, &result(agreed, 2, &["secret", ""], 2)),
        );
        wire.client(&asked).server(&answered);
        wire.client(query("INSERT INTO t VALUES (1), (2)")).server(packet(1, &ok(2)));
        wire.client(query("SELECT 1 FROM nowhere")).server(packet(1, &error(1146)));
        wire.client(query("CALL p()"));
        let two =
            [result(agreed, 1, &["x"], 2 | 8), result(agreed, 1, &[], 2 | 8), vec![ok(2)]].concat();
        wire.server(packets(1, &two));
        let failing = [result(agreed, 1, &["x"], 8), vec![error(1064)]].concat();
        wire.client(query("SELECT 1; SELEC")).server(packets(1, &failing));
        assert_eq!(
            wire.told(),
            [
                "SELECT SELECT a FROM t WHERE b = ? ok complete",
                "INSERT INSERT INTO t VALUES (?) ok complete",
                "SELECT SELECT ? FROM nowhere 1146 complete",
                "CALL CALL p() ok complete",
                "SELECT SELECT ?; SELEC 1064 complete",
            ]
        );
        let view = &wire.views[0];
        assert_eq!((view.ended_ns - view.started_ns, view.role), (1_000_000, role));
        assert_eq!(view.message.request_bytes, asked.len() as u64);
        assert_eq!(view.message.response_bytes, answered.len() as u64);
        assert_eq!(
            view.message.attributes.as_slice(),
            [
                ("db.system.name", "mysql".into()),
                ("db.operation.name", "SELECT".into()),
                ("db.namespace", "shop".into()),
                ("db.user", "alice".into()),
            ]
        );
        let failed = &wire.views[2].message;
        assert!(failed.error && failed.attributes.contains(&("alaz.sqlstate", "42S02".into())));
    }
}

#[test]
fn prepared_statements_keep_their_text() {
    for agreed in [OLD, NEW] {
        let mut wire = session(Role::Client, agreed);
        wire.client(prepare("SELECT a FROM t WHERE b = ?"))
            .server(packets(1, &prepared(agreed, 1, 1, 1)));
        wire.client(execute(1)).server(packets(1, &result(agreed, 1, &["x"], 2)));
        wire.client(packet(0, b"\x18\x01\0\0\0\0\0secret"))
            .client(execute(1))
            .server(packet(1, &error(1205)));
        wire.client(prepare("UPDATE t SET a = ?")).server(packets(1, &prepared(agreed, 2, 0, 2)));
        wire.client(execute(2)).server(packet(1, &ok(2)));
        wire.client(packet(0, b"\x1a\x02\0\0\0")).server(packet(1, &ok(2)));
        wire.client(packet(0, b"\x19\x01\0\0\0"))
            .client(execute(1))
            .server(packet(1, &error(1243)));
        wire.client(prepare("SELEC")).server(packet(1, &error(1064)));
        wire.client(prepare("COMMIT")).server(packets(1, &prepared(agreed, 3, 0, 0)));
        // Executed before its number is known, as MariaDB's clients may.
        wire.client([prepare("DELETE FROM t"), execute(u32::MAX)].concat());
        wire.server([packets(1, &prepared(agreed, 4, 0, 0)), packet(1, &ok(2))].concat());
        assert_eq!(
            wire.told(),
            [
                "PREPARE SELECT a FROM t WHERE b = ? ok complete",
                "SELECT SELECT a FROM t WHERE b = ? ok complete",
                "SELECT SELECT a FROM t WHERE b = ? 1205 complete",
                "PREPARE UPDATE t SET a = ? ok complete",
                "UPDATE UPDATE t SET a = ? ok complete",
                "RESET UPDATE t SET a = ? ok complete",
                "EXECUTE  1243 complete",
                "PREPARE SELEC 1064 complete",
                "PREPARE COMMIT ok complete",
                "PREPARE DELETE FROM t ok complete",
                "DELETE DELETE FROM t ok complete",
            ]
        );
    }
}

#[test]
fn rows_may_stay_with_the_server() {
    let mut wire = session(Role::Client, OLD);
    wire.client(prepare("SELECT a FROM t")).server(packets(1, &prepared(OLD, 1, 1, 0)));
    let open = [vec![1], definition(), eof(0x40)];
    wire.client(execute(1)).server(packets(1, &open));
    wire.client(packet(0, b"\x1c\x01\0\0\0\x0a\0\0\0"));
    wire.server(packets(1, &[vec![0, 0, 1, b'x'], eof(0x80)]));
    assert_eq!(
        wire.told()[1..],
        ["SELECT SELECT a FROM t ok complete", "FETCH SELECT a FROM t ok complete"]
    );
}

#[test]
fn other_commands() {
    let mut wire = session(Role::Client, NEW);
    let done = packet(1, &ok(2));
    wire.client(packet(0, b"\x0e")).server(&done);
    wire.client(packet(0, b"\x02other")).server(&done);
    wire.client(query("SELECT 1")).server(&done).client(query("use `third`")).server(&done);
    wire.client(packet(0, b"\x09")).server(packet(1, b"Uptime: 1"));
    wire.client(packet(0, b"\x04t\0\0")).server(packets(1, &[definition(), eof(2)]));
    wire.client(packet(0, b"\x1b\0\0")).server(packet(1, &eof(2)));
    wire.client(packet(0, b"\x11bob\0\x06secretlast\0")).server(packet(1, b"\xfeplugin\0x"));
    wire.client(packet(2, b"secret")).server(packet(3, &ok(2)));
    wire.client(query("LOAD DATA LOCAL INFILE 'f' INTO TABLE t")).server(packet(1, b"\xfb/secret"));
    wire.client(packet(2, b"1\tsecret\n"))
        .client([packet(3, b"2\tsecret\n"), packet(4, b"")].concat());
    wire.server(packet(5, &ok(2))).client(packet(0, b"\x01")).close(CloseReason::Finished);
    assert_eq!(
        wire.told(),
        [
            "PING  ok complete",
            "INIT_DB other ok complete",
            "SELECT SELECT ? ok complete",
            "USE use `third` ok complete",
            "STATISTICS  ok complete",
            "FIELD_LIST t ok complete",
            "SET_OPTION  ok complete",
            "CHANGE_USER  ok complete",
            "LOAD LOAD DATA LOCAL INFILE ? INTO TABLE t ok complete",
        ]
    );
    let databases: Vec<_> = [0, 2, 4, 8]
        .map(|at| {
            let attributes = &wire.views[at].message.attributes;
            attributes.iter().find(|(name, _)| *name == "db.namespace").unwrap().1.to_string()
        })
        .into();
    assert_eq!(databases, ["shop", "other", "third", "last"]);
}

#[test]
fn mariadb_has_its_own_ways() {
    let agreed = Agreed {
        capabilities: BASE & !capability::MYSQL | capability::DEPRECATE_EOF,
        extended: 1 << 4 | 1,
    };
    let mut wire = Wire::new(Role::Client);
    wire.server(greeting("5.5.5-10.11.6-MariaDB", agreed))
        .client(login(agreed))
        .server(packet(2, &ok(2)));
    // It tells how far it has come, and leaves out definitions that the client knows.
    let progress = b"\xff\xff\xff\x01\x01\x01\0\0\0".to_vec();
    wire.client(query("ALTER TABLE t FORCE")).server(packets(1, &[progress, ok(2)]));
    wire.client(prepare("SELECT a FROM t")).server(packets(1, &prepared(agreed, 1, 1, 0)));
    let mut known = result(agreed, 1, &["x"], 2);
    known[0] = vec![1, 1];
    wire.client(execute(1)).server(packets(1, &known));
    known[0] = vec![1, 0];
    known.remove(1);
    wire.client(execute(1)).server(packets(1, &known));
    let told = wire.told();
    assert_eq!(told.len(), 4, "{told:?}");
    assert_eq!(told[3], "SELECT SELECT a FROM t ok complete");
    assert_eq!(wire.views[0].message.attributes[0], ("db.system.name", "mariadb".into()));
}

#[test]
fn what_is_encrypted_compressed_or_a_stream_is_not_read() {
    let mut wire = Wire::new(Role::Client);
    let tls = Agreed { capabilities: BASE | capability::SSL, ..OLD };
    wire.server(greeting("8.0.36", tls)).client(packet(1, &login(tls)[4..36]));
    wire.client([22, 3, 1, 0, 5, 1, 0, 0, 1, 0]).server([22, 3, 3, 0, 1, 2]);
    assert_eq!(wire.engine.ledger().connections.tls, 1);
    assert!(wire.told().is_empty());
    let mut wire =
        session(Role::Client, Agreed { capabilities: BASE | capability::COMPRESS, ..OLD });
    wire.client([&[9, 0, 0, 0, 0, 0, 0], &query("SELECT")[..]].concat());
    assert!(wire.told().is_empty());
    assert_eq!(wire.engine.ledger().connections.speaks(alaz_model::Protocol::Mysql), 0, "ended");
    let mut wire = session(Role::Client, OLD);
    wire.client(packet(0, b"\x12\x04\0\0\0\0\0\x01\0\0\0log"));
    wire.server(packet(1, b"\0event")).server(packet(2, b"\0event")).close(CloseReason::Finished);
    assert_eq!(wire.told(), ["BINLOG_DUMP  ok complete"]);
}

#[test]
fn a_refused_login_is_an_error() {
    let mut wire = Wire::new(Role::Server);
    wire.server(greeting("8.0.36", OLD)).client(login(OLD)).server(packet(2, &error(1045)));
    wire.close(CloseReason::Finished);
    assert_eq!(wire.told(), ["CONNECT  1045 complete"]);
}

#[test]
fn packets_of_sixteen_megabytes_are_continued() {
    let mut wire = session(Role::Client, OLD);
    let say = |wire: &mut Wire, by_client, bytes: Vec<u8>| {
        for piece in bytes.chunks(1 << 20) {
            if by_client {
                wire.client(piece)
            } else {
                wire.server(piece)
            };
        }
    };
    let mut text = b"\x03INSERT INTO t VALUES ('".to_vec();
    text.resize(FULL, b'x');
    say(&mut wire, true, [packet(0, &text), packet(1, b"xx')")].concat());
    wire.server(packet(2, &ok(2)));
    let mut row = b"\xfd\xff\xff\xff".to_vec();
    row.resize(FULL, b'x');
    let head = packets(1, &[vec![1], definition(), eof(0)]);
    wire.client(query("SELECT b FROM t"));
    say(&mut wire, false, [head, packet(4, &row), packet(5, b""), packet(6, &eof(2))].concat());
    wire.client(query("SELECT 1")).server(packet(1, &ok(2)));
    assert_eq!(
        wire.told(),
        [
            "INSERT INSERT INTO t VALUES (?… ok complete",
            "SELECT SELECT b FROM t ok complete",
            "SELECT SELECT ? ok complete",
        ]
    );
    assert_eq!(wire.views[0].message.request_bytes, (FULL + 4 + 4 + 4) as u64);
}

#[test]
fn an_older_connection_counts_from_its_next_command() {
    for agreed in [OLD, NEW] {
        for role in [Role::Client, Role::Server] {
            let mut wire = Wire::with(role, Role::Unknown, true, Limits::default());
            wire.server(packets(9, &result(agreed, 1, &["rest"], 2)));
            wire.client(execute(7)).server(packets(1, &result(agreed, 3, &["x"], 2)));
            wire.client(prepare("SELECT ?")).server(packets(1, &prepared(agreed, 8, 1, 1)));
            wire.client(execute(8)).server(packets(1, &result(agreed, 1, &[], 2)));
            wire.client(query("SELECT 1")).server(packets(1, &result(agreed, 1, &["x"], 2)));
            assert_eq!(
                wire.told(),
                [
                    "EXECUTE  ok complete",
                    "PREPARE SELECT ? ok complete",
                    "SELECT SELECT ? ok complete",
                    "SELECT SELECT ? ok complete",
                ]
            );
            assert_eq!(wire.views[0].role, role);
            assert_eq!(
                wire.views[0].message.attributes.as_slice(),
                [("db.operation.name", "EXECUTE".into()), ("alaz.prepared", "true".into())]
            );
        }
    }
}

#[test]
fn large_results_need_not_be_seen() {
    for agreed in [OLD, NEW] {
        let mut wire = session(Role::Client, agreed);
        let rows = vec!["secret"; 3000];
        let large = packets(1, &result(agreed, 1, &rows, 2));
        wire.client(query("SELECT a")).server(&large);
        let pieces: Vec<_> = large.chunks(16_384).collect();
        wire.client(query("SELECT b")).server(pieces[0]).unseen(false, pieces[1]);
        for piece in &pieces[2..] {
            wire.server(piece);
        }
        wire.pause(100_000_000);
        let mut broken = result(agreed, 1, &rows, 2);
        *broken.last_mut().unwrap() = error(1317);
        wire.client(query("SELECT c")).server(packets(1, &broken));
        wire.client(query("SELECT d")).server(&large).pause(2_000_000_000);
        assert_eq!(
            wire.told(),
            [
                "SELECT SELECT a ok complete",
                "SELECT SELECT b ok complete",
                "SELECT SELECT c 1317 complete",
                "SELECT SELECT d ok complete",
            ]
        );
        assert_eq!(wire.views[1].message.response_bytes, large.len() as u64);
        assert_eq!(wire.engine.ledger().socket.bytes.lost_total(), 0, "they were not needed");
    }
}

#[test]
fn what_is_lost_just_before_the_close_is_no_failure() {
    let rows = vec!["secret"; 2000];
    let large = packets(1, &result(OLD, 1, &rows, 2));
    let (most, rest) = large.split_at(large.len() - 600);
    // All of the end, or only that it was copied.
    for is_cut in [false, true] {
        let mut wire = session(Role::Client, OLD);
        wire.client(query("SELECT a")).server(most);
        let mut cut = wire.next_said(false, rest);
        cut.head.truncate(300);
        if is_cut {
            wire.give(&cut);
        }
        wire.close(CloseReason::Finished);
        assert!(wire.told().is_empty(), "{:?}", wire.views);
    }
    let mut wire = session(Role::Client, OLD);
    wire.client(query("SELECT a")).unseen(false, packet(1, &ok(2))).close(CloseReason::Finished);
    assert!(wire.told().is_empty(), "{:?}", wire.views);
}

#[test]
fn large_files_need_not_be_seen() {
    let mut wire = session(Role::Client, NEW);
    let file: Vec<_> = (2..200).map(|number| packet(number, &b"1\tsecret\n".repeat(5))).collect();
    let file = [file.concat(), packet(200, b"")].concat();
    wire.client(query("LOAD DATA LOCAL INFILE 'f' INTO TABLE t")).server(packet(1, b"\xfb/secret"));
    wire.client(&file).client(&file).server(packet(201, &ok(2)));
    wire.client(packet(0, b"\x0e")).server(packet(1, &ok(2)));
    let text = "LOAD LOAD DATA LOCAL INFILE ? INTO TABLE t ok complete";
    assert_eq!(wire.told(), [text, "PING  ok complete"]);
}

#[test]
fn what_is_not_answered_is_reported_at_the_end() {
    for (reason, outcome) in [(CloseReason::Finished, "no_response"), (CloseReason::Reset, "reset")]
    {
        let mut wire = session(Role::Client, OLD);
        wire.client(query("SELECT 1")).close(reason);
        assert_eq!(wire.told(), [format!("SELECT SELECT ?  {outcome}")]);
    }
    let limits = Limits { silence_ns: 5_000_000_000, ..Limits::default() };
    let mut wire = Wire::with(Role::Client, Role::Client, false, limits);
    wire.server(greeting("8.0.36", OLD)).client(login(OLD)).server(packet(2, &ok(2)));
    wire.client(query("SELECT 1"))
        .pause(6_000_000_000)
        .pause(2_000_000_000)
        .server(packet(1, &ok(2)));
    wire.client(query("SELECT a")).server(packet(1, &ok(2)));
    assert_eq!(wire.told(), ["SELECT SELECT ?  no_response", "SELECT SELECT a ok complete"]);
}

#[test]
fn what_is_remembered_and_awaited_is_bounded() {
    let mut wire = session(Role::Client, OLD);
    for number in 0..=REMEMBERED_MAX as u32 {
        wire.client(prepare(&format!("SELECT a{number}")))
            .server(packets(1, &prepared(OLD, number, 1, 0)));
    }
    wire.client(execute(0)).server(packet(1, &ok(2)));
    wire.client(execute(REMEMBERED_MAX as u32)).server(packet(1, &ok(2)));
    let told = wire.told();
    assert_eq!(
        told[REMEMBERED_MAX + 1..],
        ["EXECUTE  ok complete", "SELECT SELECT a256 ok complete"]
    );
    let limits = Limits { pending: 3, ..Limits::default() };
    let mut wire = Wire::with(Role::Client, Role::Client, false, limits);
    wire.server(greeting("8.0.36", OLD)).client(login(OLD)).server(packet(2, &ok(2)));
    wire.client(vec![query("SELECT 1"); 5].concat());
    for _ in 0..5 {
        wire.server(packet(1, &ok(2)));
    }
    wire.pause(100_000_000).client(query("SELECT a")).server(packet(1, &ok(2)));
    assert_eq!(wire.told(), ["SELECT SELECT a ok complete"]);
    assert!(wire.engine.ledger().exchanges.unpaired(UnpairedReason::TooManyPending) >= 4);
}

#[test]
fn other_protocols_are_not_claimed() {
    let kafka = b"\0\0\0\x14\0\x12\0\x03\0\0\0\x01\0\x04test\0\x02x\x02y\0";
    let mongodb = b"\x3f\0\0\0\x01\0\0\0\0\0\0\0\xdd\x07\0\0\0\0\0\0\0\x2a\0\0\0\x02hello\0";
    let startup = b"\0\0\0\x13\0\x03\0\0user\0alice\0\0";
    let others: [&[u8]; 11] = [
        b"GET / HTTP/1.1\r\nHost: x\r\n\r\n",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0",
        b"*1\r\n$4\r\nPING\r\n",
        kafka,
        mongodb,
        startup,
        b"Q\0\0\0\x0dSELECT 1\0",
        b"\0\0\0\x08\x04\xd2\x16\x2f",
        b"AMQP\0\0\x09\x01",
        b"220 mail.example ESMTP\r\n",
        b"\x16\x03\x01\x02\0\x01\0\x01\xfc\x03\x03",
    ];
    for bytes in others {
        for cut in 1..=bytes.len() {
            for whole in [true, false] {
                let claim = super::parse::claim(&bytes[..cut], whole);
                assert!(!matches!(claim, crate::dialogue::Claim::Yes(_)), "{bytes:?}");
            }
        }
    }
}
