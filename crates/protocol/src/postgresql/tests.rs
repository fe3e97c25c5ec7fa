//! Conversations as libpq, pgjdbc and others have them, whole and damaged.

use crate::Limits;
use crate::remembered::REMEMBERED_MAX;
use crate::testing::Wire;
use alaz_model::{CloseReason, Role, UnpairedReason};

mod properties;

fn message(kind: u8, body: &[u8]) -> Vec<u8> {
    let length = (body.len() as u32 + 4).to_be_bytes();
    [&[kind], &length[..], body].concat()
}

fn startup() -> Vec<u8> {
    let parameters = b"\0\x03\0\0user\0alice\0database\0shop\0application_name\0web\0\0";
    [&(parameters.len() as u32 + 4).to_be_bytes()[..], parameters].concat()
}

fn welcome() -> Vec<u8> {
    let status = message(b'S', b"standard_conforming_strings\0on\0");
    [message(b'R', &[0; 4]), status, message(b'K', &[0; 8]), ready()].concat()
}

fn query(text: &str) -> Vec<u8> {
    message(b'Q', format!("{text}\0").as_bytes())
}

fn parse(name: &str, text: &str) -> Vec<u8> {
    message(b'P', format!("{name}\0{text}\0\0\0").as_bytes())
}

fn bind(portal: &str, statement: &str, value: &str) -> Vec<u8> {
    let mut body = format!("{portal}\0{statement}\0\0\0\0\x01").into_bytes();
    body.extend((value.len() as u32).to_be_bytes());
    body.extend(value.as_bytes());
    body.extend([0, 0]);
    message(b'B', &body)
}

fn describe(name: &str) -> Vec<u8> {
    message(b'D', format!("S{name}\0").as_bytes())
}

fn execute(portal: &str) -> Vec<u8> {
    message(b'E', format!("{portal}\0\0\0\0\0").as_bytes())
}

fn sync() -> Vec<u8> {
    message(b'S', &[])
}

fn ready() -> Vec<u8> {
    message(b'Z', b"I")
}

fn done(tag: &str) -> Vec<u8> {
    message(b'C', format!("{tag}\0").as_bytes())
}

fn row(value: &str) -> Vec<u8> {
    let length = (value.len() as u32).to_be_bytes();
    message(b'D', &[&[0, 1][..], &length, value.as_bytes()].concat())
}

/// Its description, so many rows, its end.
fn rows(count: usize) -> Vec<u8> {
    let mut said = message(b'T', &[0, 0]);
    for _ in 0..count {
        said.extend(row("secret"));
    }
    said.extend(done("SELECT 1"));
    said
}

fn failure(severity: &str, code: &str) -> Vec<u8> {
    message(b'E', format!("S{severity}\0V{severity}\0C{code}\0Msecret\0\0").as_bytes())
}

fn all(parts: &[Vec<u8>]) -> Vec<u8> {
    parts.concat()
}

/// A client that has logged in.
fn session(role: Role) -> Wire {
    let mut wire = Wire::new(role);
    wire.client(startup()).server(message(b'R', b"\0\0\0\x0aSCRAM-SHA-256\0\0"));
    wire.client(message(b'p', b"SCRAM-SHA-256\0n,,n=secret")).server(welcome());
    wire
}

#[test]
fn a_failure_may_be_of_what_was_lost_of_its_cycle() {
    let step = |number: u8| {
        let text = format!("SELECT c{number}");
        all(&[parse("", &text), bind("", "", "x"), execute("")])
    };
    let mut wire = session(Role::Client);
    wire.client(query("SELECT 1")).server(all(&[rows(1), ready()]));
    wire.unseen(true, step(1)).client(all(&[step(2), sync()])).pause(100_000_000);
    wire.server(all(&[message(b'1', &[]), failure("ERROR", "22P02"), ready()]));
    wire.client(query("SELECT 3")).server(all(&[rows(1), ready()]));
    assert_eq!(wire.told(), ["SELECT SELECT ? ok complete", "SELECT SELECT ? ok complete"]);
    assert_eq!(wire.engine.ledger().exchanges.unpaired(UnpairedReason::Gap), 1);
}

#[test]
fn data_of_a_copy_that_are_told_of_before_it_began_end_all_the_same() {
    let mut wire = session(Role::Client);
    wire.client(query("COPY t FROM STDIN"));
    let begun = wire.next_said(false, message(b'G', &[0, 0, 0]));
    let ended = wire.next_said(true, all(&[message(b'd', b"1"), message(b'c', &[])]));
    let done = wire.next_said(false, all(&[done("COPY 1"), ready()]));
    let cycle = all(&[parse("", "SELECT a"), bind("", "", "x"), execute(""), sync()]);
    let next = wire.next_said(true, cycle);
    [ended, begun, next, done].iter().for_each(|said| wire.give(said));
    // The end of this answer is not seen, and that of the next one is not it.
    let (first, rest) = ([message(b'1', &[]), message(b'2', &[])].concat(), rows(1));
    wire.server([&first[..], &rest[..8]].concat());
    let cut = wire.next_said(false, [&rest[8..], &ready()].concat());
    wire.give(&cut.cut(4));
    wire.client(query("SELECT b")).server(all(&[rows(1), ready()]));
    wire.client(query("SELECT c")).server(all(&[rows(1), ready()])).pause(100_000_000);
    let told = wire.told();
    assert!(
        !told.iter().any(|line| line.starts_with("SELECT SELECT a") && line.ends_with("complete")),
        "{told:?}"
    );
}

#[test]
fn a_simple_query_is_one_exchange() {
    for role in [Role::Client, Role::Server] {
        let mut wire = session(role);
        let (asked, answered) = (query("SELECT * FROM t WHERE a = 'x'"), all(&[rows(3), ready()]));
        wire.client(&asked).server(&answered);
        wire.client(query("BEGIN; INSERT INTO t VALUES (1), (2); SELEC"));
        wire.server(all(&[done("BEGIN"), done("INSERT 0 2"), failure("ERROR", "42601"), ready()]));
        wire.client(query("")).server(all(&[message(b'I', &[]), ready()]));
        assert_eq!(
            wire.told(),
            [
                "SELECT SELECT * FROM t WHERE a = ? ok complete",
                "BEGIN BEGIN; INSERT INTO t VALUES (?); SELEC 42601 complete",
                "  ok complete",
            ]
        );
        let view = &wire.views[0];
        assert_eq!((view.ended_ns - view.started_ns, view.role), (1_000_000, role));
        assert_eq!(view.message.request_bytes, asked.len() as u64);
        assert_eq!(view.message.response_bytes, answered.len() as u64);
        assert_eq!(
            view.message.attributes.as_slice(),
            [
                ("db.system.name", "postgresql".into()),
                ("db.operation.name", "SELECT".into()),
                ("db.namespace", "shop".into()),
                ("db.user", "alice".into()),
                ("alaz.application_name", "web".into()),
            ]
        );
        assert!(!view.message.error && wire.views[1].message.error);
        assert!(
            wire.views[1].message.attributes.contains(&("db.response.status_code", "42601".into()))
        );
    }
}

#[test]
fn encryption_is_refused_or_taken() {
    let ask = |code: u8| [0, 0, 0, 8, 4, 0xd2, 0x16, code];
    let mut wire = Wire::new(Role::Client);
    wire.client(ask(0x30)).server("N").client(ask(0x2f)).server("N");
    wire.client(startup())
        .server(welcome())
        .client(query("SELECT 1"))
        .server(all(&[rows(1), ready()]));
    assert_eq!(wire.told(), ["SELECT SELECT ? ok complete"]);
    let mut wire = Wire::new(Role::Client);
    wire.client(ask(0x2f)).server("S").client([22, 3, 1, 0, 5, 1, 0, 0, 1, 0]);
    wire.server([22, 3, 3, 0, 1, 2]).client(query("SELECT 1"));
    assert_eq!(wire.engine.ledger().connections.tls, 1);
    assert!(wire.told().is_empty());
}

#[test]
fn a_cancel_request_has_no_answer_and_a_refused_session_an_error() {
    let mut wire = Wire::new(Role::Client);
    wire.client([0, 0, 0, 16, 4, 0xd2, 0x16, 0x2e, 0, 0, 0, 1, 9, 9, 9, 9]);
    wire.close(CloseReason::Finished);
    assert_eq!(wire.told(), ["CANCEL   one_way"]);
    let mut wire = Wire::new(Role::Client);
    wire.client(startup()).server(message(b'R', &[0, 0, 0, 3])).client(message(b'p', b"secret\0"));
    wire.server(failure("FATAL", "28P01")).close(CloseReason::Finished);
    assert_eq!(wire.told(), ["STARTUP  28P01 complete"]);
}

#[test]
fn each_execute_is_an_exchange() {
    let mut wire = session(Role::Client);
    let asked =
        all(&[parse("", "SELECT $1"), bind("", "", "secret"), describe(""), execute(""), sync()]);
    let answered = all(&[
        message(b'1', &[]),
        message(b'2', &[]),
        message(b't', &[0, 0]),
        message(b'n', &[]),
        done("SELECT 1"),
        ready(),
    ]);
    wire.client(&asked).server(&answered);
    // Named and prepared first, by way of Flush; then used twice without waiting.
    wire.client(all(&[parse("s1", "UPDATE t SET a = $1"), describe("s1"), message(b'H', &[])]));
    wire.server(all(&[message(b'1', &[]), message(b't', &[0, 0]), message(b'n', &[])]));
    let once = all(&[bind("", "s1", "secret"), execute("")]);
    wire.client(all(&[once.clone(), once.clone(), sync()]));
    let answer = all(&[message(b'2', &[]), done("UPDATE 1")]);
    wire.server(all(&[answer.clone(), message(b'N', b"SNOTICE\0\0"), answer.clone(), ready()]));
    // In parts.
    wire.client(all(&[
        bind("p", "s1", "x"),
        execute("p"),
        execute("p"),
        message(b'C', b"Ss1\0"),
        sync(),
    ]));
    wire.server(all(&[
        message(b'2', &[]),
        row("x"),
        message(b's', &[]),
        row("y"),
        done("SELECT 2"),
        message(b'3', &[]),
        ready(),
    ]));
    // It is closed by now.
    wire.client(all(&[bind("", "s1", "x"), execute(""), sync()]));
    wire.server(all(&[failure("ERROR", "26000"), ready()]));
    assert_eq!(
        wire.told(),
        [
            "SELECT SELECT ? ok complete",
            "UPDATE UPDATE t SET a = ? ok complete",
            "UPDATE UPDATE t SET a = ? ok complete",
            "UPDATE UPDATE t SET a = ? ok complete",
            "UPDATE UPDATE t SET a = ? ok complete",
            "BIND  26000 complete",
        ]
    );
    let [first, second] = [&wire.views[0], &wire.views[1]].map(|view| &view.message);
    assert_eq!(first.request_bytes, asked.len() as u64 - 5, "without its Sync");
    assert_eq!(first.response_bytes, answered.len() as u64 - 6, "without ReadyForQuery");
    assert_eq!(second.request_bytes, once.len() as u64);
    assert_eq!(second.response_bytes, answer.len() as u64);
    assert_eq!(wire.views[1].ended_ns - wire.views[1].started_ns, 1_000_000);
}

#[test]
fn after_an_error_everything_up_to_the_sync_is_skipped() {
    let mut wire = session(Role::Client);
    let ask = |text: &str| all(&[parse("", text), bind("", "", "x"), execute("")]);
    wire.client(all(&[
        ask("SELECT 1"),
        ask("SELECT 2 FROM nowhere"),
        ask("SELECT 3"),
        sync(),
        ask("SELECT 4"),
        sync(),
    ]));
    let fine = all(&[message(b'1', &[]), message(b'2', &[]), done("SELECT 1")]);
    wire.server(all(&[fine.clone(), failure("ERROR", "42P01"), ready(), fine.clone(), ready()]));
    // The error comes before the rest has been said; and one at the very end.
    wire.client(parse("", "SELEC")).server(failure("ERROR", "42601"));
    wire.client(all(&[bind("", "", "x"), execute("")])).client(sync()).server(ready());
    wire.client(all(&[ask("INSERT INTO t SELECT 1"), sync()]));
    wire.server(all(&[fine, failure("ERROR", "23503"), ready()]));
    assert_eq!(
        wire.told(),
        [
            "SELECT SELECT ? ok complete",
            "SELECT SELECT ? FROM nowhere 42P01 complete",
            "SELECT SELECT ? ok complete",
            "PREPARE SELEC 42601 complete",
            "INSERT INSERT INTO t SELECT ? ok complete",
            "SYNC  23503 complete",
        ]
    );
}

#[test]
fn copies_both_ways() {
    let mut wire = session(Role::Client);
    let data = message(b'd', b"1\tsecret\n");
    wire.client(query("COPY t FROM STDIN")).server(message(b'G', &[0, 0, 0]));
    wire.client(all(&[data.clone(), data.clone(), message(b'c', &[])]));
    wire.server(all(&[done("COPY 2"), ready()]));
    wire.client(query("COPY t TO STDOUT")).server(all(&[
        message(b'H', &[0, 0, 0]),
        data.clone(),
        data.clone(),
        message(b'c', &[]),
        done("COPY 2"),
        ready(),
    ]));
    // libpq sends a Sync that the server does not answer.
    let ask = all(&[parse("", "COPY t FROM STDIN"), bind("", "", ""), execute(""), sync()]);
    let begun = all(&[message(b'1', &[]), message(b'2', &[]), message(b'G', &[0, 0, 0])]);
    wire.client(&ask).server(&begun).client(all(&[data.clone(), message(b'c', &[]), sync()]));
    wire.server(all(&[done("COPY 1"), ready()]));
    // The same, and it fails before all data were sent.
    wire.client(&ask).server(&begun).client(&data).server(failure("ERROR", "22P02"));
    wire.client(all(&[data, message(b'c', &[]), sync()])).server(ready());
    wire.client(query("SELECT 1")).server(all(&[rows(1), ready()]));
    assert_eq!(
        wire.told(),
        [
            "COPY COPY t FROM STDIN ok complete",
            "COPY COPY t TO STDOUT ok complete",
            "COPY COPY t FROM STDIN ok complete",
            "COPY COPY t FROM STDIN 22P02 complete",
            "SELECT SELECT ? ok complete",
        ]
    );
}

#[test]
fn function_calls_notifications_and_the_end() {
    let mut wire = session(Role::Client);
    wire.client(message(b'F', &[0; 12])).server(all(&[message(b'V', &[0; 4]), ready()]));
    wire.server(message(b'A', &[0; 8]))
        .client(query("LISTEN c"))
        .server(all(&[done("LISTEN"), ready()]));
    wire.client(query("SELECT pg_sleep(9)")).server(failure("FATAL", "57P01"));
    wire.client(message(b'X', &[])).close(CloseReason::Finished);
    assert_eq!(
        wire.told(),
        [
            "FUNCTION   ok complete".replace("   ", "  "),
            "LISTEN LISTEN c ok complete".into(),
            "SELECT SELECT pg_sleep(?) 57P01 complete".into()
        ]
    );
}

#[test]
fn what_is_not_answered_is_reported_at_the_end() {
    for (reason, outcome) in [(CloseReason::Finished, "no_response"), (CloseReason::Reset, "reset")]
    {
        let mut wire = session(Role::Client);
        wire.client(all(&[parse("", "SELECT 1"), bind("", "", "x"), execute(""), sync()]))
            .close(reason);
        assert_eq!(wire.told(), [format!("SELECT SELECT ?  {outcome}")]);
        assert!(wire.views[0].message.error);
    }
    let mut wire = session(Role::Client);
    wire.client(query("SELECT 1")).server(&row("x")[..3]).close(CloseReason::Finished);
    assert_eq!(wire.told(), ["SELECT SELECT ?  no_response"]);
    let limits = Limits { silence_ns: 5_000_000_000, ..Limits::default() };
    let mut wire = Wire::with(Role::Client, Role::Client, false, limits);
    wire.client(startup()).server(welcome());
    wire.client(all(&[parse("", "SELECT 1"), bind("", "", "x"), execute(""), sync()]));
    wire.pause(6_000_000_000).pause(2_000_000_000);
    wire.server(all(&[message(b'1', &[]), message(b'2', &[]), done("SELECT 1"), ready()]));
    wire.client(query("SELECT a")).server(all(&[rows(1), ready()]));
    assert_eq!(wire.told(), ["SELECT SELECT ?  no_response", "SELECT SELECT a ok complete"]);
}

#[test]
fn statements_longer_than_what_is_copied_are_marked() {
    let long = format!("SELECT a FROM t WHERE b = '{}'", "secret".repeat(3000));
    let mut wire = session(Role::Client);
    wire.client(query(&long)).server(all(&[rows(2000), ready()]));
    wire.client(all(&[parse("", &long), bind("", "", &long), execute(""), sync()]));
    wire.server(all(&[message(b'1', &[]), message(b'2', &[]), done("SELECT 0"), ready()]));
    wire.pause(100_000_000);
    wire.client(query("SELECT 1")).server(all(&[rows(1), ready()]));
    assert_eq!(
        wire.told(),
        ["SELECT SELECT a FROM t WHERE b = ?… ok complete", "SELECT SELECT ? ok complete"],
        "rows are passed over; what cannot be framed is given up"
    );
}

#[test]
fn large_results_and_copies_need_not_be_seen() {
    for role in [Role::Client, Role::Server] {
        let mut wire = session(role);
        let rows_only = |count| rows(count)[7..].to_vec();
        let large = all(&[rows(2000), ready()]);
        wire.client(query("SELECT a")).server(&large);
        // In the pieces in which the server hands it on, some of them not seen at all.
        let pieces: Vec<_> = large.chunks(8192).collect();
        wire.client(query("SELECT b")).server(pieces[0]).unseen(false, pieces[1]);
        for piece in &pieces[2..] {
            wire.server(piece);
        }
        wire.pause(100_000_000);
        let ask = |text: &str| all(&[parse("s", text), bind("", "s", "x"), execute("")]);
        let begun = all(&[message(b'1', &[]), message(b'2', &[])]);
        let broken = all(&[rows_only(1000)[..17_000].to_vec(), failure("ERROR", "57014")]);
        wire.client(all(&[ask("SELECT c"), sync()])).server(all(&[
            begun.clone(),
            rows_only(1000),
            ready(),
        ]));
        wire.client(all(&[bind("", "s", "x"), execute(""), sync()])).server(all(&[
            begun[5..].to_vec(),
            broken,
            ready(),
        ]));
        // Which of them failed, and whether, nobody can say.
        wire.client(all(&[ask("SELECT d"), ask("SELECT e"), sync()]));
        wire.server(all(&[begun.clone(), rows_only(1000), begun.clone(), rows_only(1), ready()]));
        let data = message(b'd', b"1\tsecret\n").repeat(2000);
        wire.client(query("COPY t FROM STDIN")).server(message(b'G', &[0, 0, 0])).client(&data);
        wire.client(message(b'c', &[])).server(all(&[done("COPY 2000"), ready()]));
        wire.client(all(&[ask("COPY u FROM STDIN"), sync()]));
        wire.server(all(&[begun, message(b'G', &[0, 0, 0])])).client(all(&[
            data,
            message(b'c', &[]),
            sync(),
        ]));
        wire.server(all(&[done("COPY 2000"), ready()]));
        wire.client(query("SELECT f")).server(&large).pause(2_000_000_000);
        assert_eq!(
            wire.told(),
            [
                "SELECT SELECT a ok complete",
                "SELECT SELECT b ok complete",
                "SELECT SELECT c ok complete",
                "SELECT SELECT c 57014 complete",
                "COPY COPY t FROM STDIN ok complete",
                "COPY COPY u FROM STDIN ok complete",
                "SELECT SELECT f ok complete",
            ]
        );
        assert_eq!(wire.views[0].message.response_bytes, large.len() as u64);
        let ledger = wire.engine.ledger();
        assert_eq!(ledger.exchanges.unpaired(UnpairedReason::Truncated), 2);
        assert_eq!(ledger.socket.bytes.lost_total(), 0, "they were not needed");
    }
}

#[test]
fn what_is_lost_just_before_the_close_is_no_failure() {
    let large = all(&[rows(2000), ready()]);
    let (most, rest) = large.split_at(large.len() - 600);
    // All of the end, or only that it was copied.
    for is_cut in [false, true] {
        for (begins, is_answered) in [(true, true), (false, true), (false, false)] {
            let mut wire = session(Role::Client);
            wire.client(query("SELECT a"));
            if begins {
                wire.server(most);
            }
            let end = if begins { rest } else { &large[..600] };
            let mut cut = wire.next_said(false, if is_answered { end } else { &[] });
            cut.head.truncate(cut.head.len() / 2);
            if is_cut && is_answered {
                wire.give(&cut);
            }
            wire.close(CloseReason::Finished);
            let unanswered: &[&str] = &["SELECT SELECT a  no_response"];
            assert_eq!(wire.told(), if is_answered { &[] } else { unanswered }, "{begins}");
        }
    }
}

#[test]
fn an_older_connection_counts_from_its_next_request() {
    for role in [Role::Client, Role::Server] {
        let mut wire = Wire::with(role, Role::Unknown, true, Limits::default());
        let prepared = all(&[bind("", "s1", "secret"), execute(""), sync()]);
        let answer = all(&[message(b'2', &[]), row("x"), done("SELECT 1"), ready()]);
        wire.server(all(&[row("rest"), done("SELECT 1"), ready()]));
        wire.client(&prepared).server(&answer).client(&prepared).server(&answer);
        wire.client(query("SELECT 1")).server(all(&[rows(1), ready()]));
        assert_eq!(
            wire.told(),
            ["EXECUTE  ok complete", "EXECUTE  ok complete", "SELECT SELECT ? ok complete"],
            "{role:?}"
        );
        let attributes = |view: usize| wire.views[view].message.attributes.iter();
        let names: Vec<_> = attributes(0).map(|(name, _)| *name).collect();
        let known = ["db.system.name", "db.operation.name", "alaz.prepared"];
        assert_eq!(names, known, "the database is not known");
        assert!(attributes(2).all(|(name, _)| *name != "alaz.prepared"));
    }
}

#[test]
fn joining_within_a_pipeline_pairs_nothing_wrong() {
    let mut wire = Wire::with(Role::Client, Role::Unknown, true, Limits::default());
    let once = |value| all(&[bind("", "s", value), execute("")]);
    let answer = all(&[message(b'2', &[]), done("SELECT 1")]);
    // Two more came before, in a segment that was not seen.
    wire.client(all(&[once("3"), sync()]));
    wire.server(all(&[answer.clone(), answer.clone(), answer.clone(), ready()]));
    wire.client(all(&[once("4"), sync()])).server(all(&[answer, ready()]));
    assert_eq!(wire.told().len(), 1);
    assert_eq!(wire.views[0].started_ns, wire.now_ns - 1_000_000);
}

#[test]
fn a_gap_is_never_paired_across() {
    let mut wire = session(Role::Client);
    let answer = all(&[rows(1), ready()]);
    wire.client(query("SELECT lost")).unseen(false, &answer);
    wire.client(query("SELECT hit")).server(&answer).pause(100_000_000);
    wire.client(query("SELECT a")).server(&answer);
    wire.unseen(true, query("SELECT unseen")).server(all(&[failure("ERROR", "42601"), ready()]));
    wire.pause(100_000_000);
    wire.client(query("SELECT b")).pause(100_000_000).server(&answer).pause(100_000_000);
    assert_eq!(wire.told(), ["SELECT SELECT a ok complete", "SELECT SELECT b ok complete"]);
    assert!(wire.engine.ledger().exchanges.unpaired(UnpairedReason::Gap) >= 2);
}

#[test]
fn what_is_remembered_and_awaited_is_bounded() {
    let mut wire = session(Role::Client);
    for number in 0..=REMEMBERED_MAX {
        wire.client(all(&[parse(&format!("s{number}"), &format!("SELECT a{number}")), sync()]));
        wire.server(all(&[message(b'1', &[]), ready()]));
    }
    for number in [0, REMEMBERED_MAX] {
        wire.client(all(&[bind("", &format!("s{number}"), "x"), execute(""), sync()]));
        wire.server(all(&[message(b'2', &[]), done("SELECT 1"), ready()]));
    }
    assert_eq!(wire.told(), ["EXECUTE  ok complete", "SELECT SELECT a256 ok complete"]);
    let limits = Limits { pending: 2, ..Limits::default() };
    let mut wire = Wire::with(Role::Client, Role::Client, false, limits);
    wire.client(startup()).server(welcome());
    let once = all(&[bind("", "", "x"), execute("")]);
    wire.client(vec![once; 6].concat());
    let answer = all(&[message(b'2', &[]), done("SELECT 1")]);
    wire.server(vec![answer; 6].concat()).client(sync()).server(ready()).pause(100_000_000);
    wire.client(query("SELECT 1")).server(all(&[rows(1), ready()]));
    assert_eq!(wire.told(), ["SELECT SELECT ? ok complete"]);
    assert!(wire.engine.ledger().exchanges.unpaired(UnpairedReason::TooManyPending) >= 5);
}

#[test]
fn other_protocols_are_not_claimed() {
    let redis = b"*1\r\n$4\r\nPING\r\n";
    let kafka = b"\0\0\0\x14\0\x12\0\x03\0\0\0\x01\0\x04test\0\x02x\x02y\0";
    let mongodb = b"\x3f\0\0\0\x01\0\0\0\0\0\0\0\xdd\x07\0\0\0\0\0\0\0\x2a\0\0\0\x02hello\0";
    let mysql = b"\x51\0\0\0\x03SELECT 1 FROM t WHERE a = 'b' AND c = 'd' AND e = 'f' AND g = 'h' LIMIT 100000000";
    let prepare = b"\x1a\0\0\0\x16SELECT 1 FROM t WHERE a=?";
    let others: [&[u8]; 12] = [
        b"GET / HTTP/1.1\r\nHost: x\r\n\r\n",
        b"POST /x HTTP/1.1\r\n\r\n",
        b"PUT /x HTTP/1.1\r\n\r\n",
        b"DELETE /x HTTP/1.1\r\n\r\n",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0",
        redis,
        kafka,
        mongodb,
        mysql,
        prepare,
        b"AMQP\0\0\x09\x01",
        b"EHLO mail.example\r\nQUIT\r\n",
    ];
    for bytes in others {
        for cut in 1..=bytes.len() {
            let mut wire = Wire::new(Role::Client);
            wire.client(&bytes[..cut]).close(CloseReason::Finished);
            assert_eq!(
                wire.engine.ledger().connections.speaks(alaz_model::Protocol::Postgresql),
                0
            );
            assert!(
                !matches!(super::claim(&bytes[..cut], true), crate::dialogue::Claim::Yes(_)),
                "{bytes:?}"
            );
            wire.told();
            let is_postgresql =
                |view: &alaz_model::View| view.message.protocol == alaz_model::Protocol::Postgresql;
            assert!(!wire.views.iter().any(is_postgresql));
        }
    }
}
