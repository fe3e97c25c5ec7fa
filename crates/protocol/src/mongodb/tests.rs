//! What is told of conversations.

mod messages;
mod properties;

use alaz_model::{CloseReason, Role, UnpairedReason};

use super::claim;
use crate::Limits;
use crate::dialogue::{Claim, Side};
use crate::remembered::REMEMBERED_MAX;
use crate::testing::{FOREIGN, Wire};
use messages::*;

fn client() -> Wire {
    Wire::new(Role::Client)
}

fn attribute(wire: &Wire, view: usize, name: &str) -> Option<String> {
    let mut attributes = wire.views[view].message.attributes.iter();
    attributes.find(|(key, _)| *key == name).map(|(_, value)| value.to_string())
}

fn given_up(wire: &Wire, reason: UnpairedReason) -> u64 {
    wire.engine.ledger().exchanges.unpaired(reason)
}

#[test]
fn both_ends_tell_the_same() {
    for role in [Role::Client, Role::Server] {
        let mut wire = Wire::new(role);
        let (asked, answered) =
            (ask(7, "find", "orders"), msg(90, 7, 0, &batch("firstBatch", 0, 10)));
        wire.client(&asked).server(&answered);
        assert_eq!(wire.told(), ["find shop.orders ok complete"]);
        let view = &wire.views[0];
        assert_eq!((view.role, view.ended_ns - view.started_ns), (role, 1_000_000));
        assert_eq!(view.client, "10.0.0.1:40000".parse().unwrap());
        assert_eq!(view.message.request_bytes, asked.len() as u64);
        assert_eq!(view.message.response_bytes, answered.len() as u64);
        assert_eq!(
            view.message.attributes.as_slice(),
            [
                ("db.system.name", "mongodb".into()),
                ("db.operation.name", "find".into()),
                ("db.namespace", "shop".into()),
                ("db.collection.name", "orders".into()),
            ]
        );
        assert!(!format!("{:?}", wire.views).contains("SECRET"));
    }
}

#[test]
fn messages_split_at_every_byte_are_whole() {
    let (asked, answered) = (ask(7, "update", "orders"), answer(90, 7));
    for cut in 1..asked.len() {
        let mut wire = client();
        wire.client(&asked[..cut]).client(&asked[cut..]).server(&answered);
        assert_eq!(wire.told(), ["update shop.orders ok complete"], "{cut}");
    }
    for cut in 1..answered.len() {
        let mut wire = client();
        wire.client(&asked).server(&answered[..cut]).server(&answered[cut..]);
        assert_eq!(wire.told(), ["update shop.orders ok complete"], "{cut}");
    }
}

#[test]
fn what_commands_are_about() {
    let at = |command: Doc| command.text("$db", "shop");
    let explained = doc().text("find", "orders").doc("filter", doc());
    for (command, expected) in [
        (at(doc().text("insert", "orders")), "insert shop.orders"),
        (at(doc().text("findAndModify", "a.b")), "findAndModify shop.a.b"),
        (at(doc().long("getMore", 77).text("collection", "orders")), "getMore shop.orders"),
        (at(doc().int("ping", 1)), "ping shop"),
        (at(doc().int("aggregate", 1).array("pipeline", [])), "aggregate shop"),
        (at(doc().int("dropDatabase", 1)), "dropDatabase shop"),
        (at(doc().text("createUser", "SECRET").text("pwd", "SECRET")), "createUser shop"),
        (at(doc().doc("explain", explained)), "explain shop.orders"),
        (at(doc().text("noSuchThing", "SECRET")), "noSuchThing shop"),
        (doc().text("renameCollection", "a.b").text("$db", "admin"), "renameCollection a.b"),
        (at(doc().int("saslStart", 1).raw(5, "payload", b"\x06\0\0\0\0SECRET")), "saslStart shop"),
        // Which collection or which database was not said as it is done.
        (at(doc().int("insert", 1)), "insert "),
        (doc().text("insert", "orders"), "insert "),
        (at(doc().text("find", &"x".repeat(300))), "find "),
        (doc().text("find", "x").text("$db", &"x".repeat(70)), "find "),
        (at(doc().text("find", "a\nb")), "find "),
    ] {
        let mut wire = client();
        wire.client(msg(1, 0, 0, &command)).server(answer(2, 1));
        assert_eq!(wire.told(), [format!("{expected} ok complete")]);
        assert!(!format!("{:?}", wire.views).contains("SECRET"));
    }
}

#[test]
fn every_kind_of_value_is_passed_over() {
    let length = |value: i32| value.to_le_bytes();
    let all = doc()
        .text("find", "orders")
        .double("a", 1.5)
        .doc("b", doc().int("$db", 1).text("collection", "no"))
        .array("c", [doc().text("$db", "no")])
        .raw(5, "d", &[&length(3)[..], &[0], b"$db"].concat())
        .raw(6, "e", &[])
        .raw(7, "f", &[7; 12])
        .truth("g", true)
        .raw(9, "h", &[9; 8])
        .raw(10, "i", &[])
        .raw(11, "j", b"^a.*\0im\0")
        .raw(12, "k", &[&length(2)[..], b"x\0", &[1; 12]].concat())
        .raw(13, "l", &[&length(4)[..], b"x()\0"].concat())
        .raw(14, "m", &[&length(2)[..], b"x\0"].concat())
        .raw(15, "n", &[&length(15)[..], &length(2), b"x\0", &doc().bytes()].concat())
        .int("o", 1)
        .raw(17, "p", &[1; 8])
        .long("q", 1)
        .raw(19, "r", &[1; 16])
        .raw(0xff, "s", &[])
        .raw(0x7f, "t", &[])
        .text("$db", "shop");
    let mut wire = client();
    wire.client(msg(1, 0, 0, &all)).server(answer(2, 1));
    assert_eq!(wire.told(), ["find shop.orders ok complete"]);
}

#[test]
fn sections_in_any_order_and_checksums() {
    let insert = doc().text("insert", "orders").text("$db", "shop");
    let body = [vec![0], insert.bytes()].concat();
    let documents = sequence("documents", &[doc().text("x", "SECRET"), doc().int("y", 1)]);
    for parts in [[&body[..], &documents].concat(), [&documents[..], &body].concat()] {
        for checksum in [false, true] {
            let sum: &[u8] = if checksum { b"\xde\xad\xbe\xef" } else { b"" };
            let mut wire = client();
            wire.client(sections(1, 0, checksum.into(), &[&parts[..], sum].concat()));
            let reply = [&[0][..], &fine().bytes(), sum].concat();
            wire.server(sections(2, 1, checksum.into(), &reply));
            wire.client(ask(3, "find", "orders")).server(answer(4, 3));
            let expected = ["insert shop.orders ok complete", "find shop.orders ok complete"];
            assert_eq!(wire.told(), expected);
        }
    }
}

#[test]
fn errors_of_commands_writes_and_write_concerns() {
    let write_error = doc().int("index", 0).int("code", 11000).text("errmsg", "SECRET");
    let write_errors = |ok_first: bool| {
        let first = if ok_first { doc().double("ok", 1.0) } else { doc().int("n", 0) };
        let errors = first.array("writeErrors", [write_error.clone(), doc().int("code", 1)]);
        if ok_first { errors.int("n", 0) } else { errors.double("ok", 1.0) }
    };
    let concern = doc().int("code", 64).text("codeName", "WriteConcernTimeout");
    let results = [doc().double("ok", 1.0).int("idx", 0), write_error.clone().double("ok", 0.0)];
    let results = doc().long("id", 0).array("firstBatch", results);
    let bulk = |count| doc().doc("cursor", results.clone()).int("nErrors", count).double("ok", 1.0);
    for (command, reply, status, error_type) in [
        ("find", failed(59, "CommandNotFound"), "59", Some("CommandNotFound")),
        ("find", doc().int("ok", 0).int("code", 13), "13", Some("13")),
        ("find", doc().truth("ok", false), "error", Some("error")),
        ("find", failed(13, "not a name"), "13", Some("13")),
        ("insert", write_errors(false), "11000", Some("11000")),
        ("insert", write_errors(true), "11000", Some("11000")),
        (
            "insert",
            fine().doc("writeConcernError", concern.clone()),
            "64",
            Some("WriteConcernTimeout"),
        ),
        ("bulkWrite", bulk(1), "11000", Some("11000")),
        // What was found, not what went wrong.
        ("find", bulk(0), "ok", None),
        ("find", doc().int("code", 7).long("ok", 1), "ok", None),
    ] {
        let mut wire = client();
        wire.client(ask(1, command, "orders")).server(msg(2, 1, 0, &reply));
        wire.told();
        let message = &wire.views[0].message;
        assert_eq!((&*message.status, message.error), (status, error_type.is_some()), "{command}");
        assert_eq!(attribute(&wire, 0, "error.type").as_deref(), error_type);
        let code = error_type.map(|_| status);
        assert_eq!(attribute(&wire, 0, "db.response.status_code").as_deref(), code);
        assert!(!format!("{:?}", wire.views).contains("SECRET"));
    }
}

#[test]
fn replies_name_what_they_answer() {
    let mut wire = client();
    wire.client([ask(1, "find", "a"), ask(2, "find", "b")].concat()).client(ask(3, "count", "c"));
    wire.server(answer(10, 3)).server([answer(11, 1), msg(12, 2, 0, &failed(1, "X"))].concat());
    assert_eq!(
        wire.told(),
        ["count shop.c ok complete", "find shop.a ok complete", "find shop.b 1 complete"]
    );
}

#[test]
fn requests_of_the_same_number_are_not_paired() {
    let mut wire = client();
    wire.client(ask(1, "find", "a")).client(ask(1, "find", "b")).server(answer(10, 1));
    wire.server(answer(11, 1)).client(ask(2, "find", "c")).server(answer(12, 2));
    assert_eq!(wire.told(), ["find shop.c ok complete"]);
    assert_eq!(given_up(&wire, UnpairedReason::Ambiguous), 2);
}

#[test]
fn what_wants_no_reply_is_one_way() {
    let insert = doc().text("insert", "orders").text("$db", "shop");
    let mut wire = client();
    wire.client(msg(1, 0, MORE, &insert)).client(ask(2, "find", "orders")).server(answer(9, 2));
    wire.close(CloseReason::Finished);
    assert_eq!(wire.told(), ["insert shop.orders  one_way", "find shop.orders ok complete"]);
}

#[test]
fn exhaust_replies_are_told_one_by_one() {
    let more = doc().long("getMore", 77).text("collection", "orders").text("$db", "shop");
    let mut wire = client();
    wire.client(msg(1, 0, EXHAUST, &more));
    wire.server(msg(50, 1, MORE, &batch("nextBatch", 77, 10)));
    wire.server(msg(51, 50, MORE, &batch("nextBatch", 77, 10_000)));
    wire.server(msg(52, 51, 0, &failed(43, "CursorNotFound")));
    // Nothing more was announced.
    wire.server(answer(53, 52)).client(ask(2, "find", "orders")).server(answer(54, 2));
    assert_eq!(
        wire.told(),
        [
            "getMore shop.orders ok complete",
            "getMore shop.orders ok one_way",
            "getMore shop.orders 43 one_way",
            "find shop.orders ok complete",
        ]
    );
    let pushes = [0, 1, 2, 3].map(|view| attribute(&wire, view, "alaz.direction").is_some());
    assert_eq!(pushes, [false, true, true, false]);
    let views = &wire.views;
    assert!(views[1].message.response_bytes > 10_000 && views[1].response_position.is_none());
    assert_eq!((views[1].message.request_bytes, views[2].message.error), (0, true));
}

#[test]
fn a_chain_and_a_request_of_the_same_number_are_not_paired() {
    let mut wire = client();
    wire.client(msg(1, 0, EXHAUST, &doc().int("hello", 1).text("$db", "admin")));
    wire.server(msg(2, 1, MORE, &fine())).client(ask(2, "find", "orders"));
    wire.server(answer(3, 2)).server(answer(4, 2));
    wire.client(ask(5, "find", "orders")).server(answer(6, 5));
    assert_eq!(wire.told(), ["hello admin ok complete", "find shop.orders ok complete"]);
}

#[test]
fn what_waits_for_something_to_tell_says_so() {
    let hello = |command: &str| doc().int(command, 1);
    let find = doc().text("find", "log").truth("tailable", true).truth("awaitData", true);
    let watch =
        doc().text("aggregate", "log").array("pipeline", [doc().doc("$changeStream", doc())]);
    let plain = doc().text("aggregate", "log").array("pipeline", [doc().doc("$match", doc())]);
    let more = |cursor| doc().long("getMore", cursor).text("collection", "log");
    let version = doc().long("counter", 3);
    let mut wire = client();
    let mut id = 0;
    for (command, cursor, waits) in [
        (hello("hello"), 0, false),
        (hello("hello").doc("topologyVersion", version.clone()).long("maxAwaitTimeMS", 9), 0, true),
        (hello("ping").doc("topologyVersion", version), 0, false),
        (find, 5, false),
        (more(5), 5, true),
        (watch, 6, false),
        (more(6), 0, true),
        (more(6), 0, false),
        (plain, 7, false),
        (more(7), 7, false),
        (more(7).int("maxTimeMS", 100), 7, true),
    ] {
        id += 2;
        wire.client(msg(id, 0, 0, &command.text("$db", "shop")));
        wire.server(msg(id + 1, id, 0, &batch("firstBatch", cursor, 1)));
        let view = wire.views.len() - 1;
        assert_eq!(attribute(&wire, view, "alaz.waiting").is_some(), waits, "{view}");
    }
    assert_eq!(wire.told().len(), 11);
}

#[test]
fn handshakes_of_old() {
    let hello = doc().int("ismaster", 1).doc("client", doc().text("application", "SECRET"));
    let wrapped = doc().doc("$query", doc().int("isMaster", 1)).doc("$readPreference", doc());
    let mut wire = client();
    wire.client(query(1, "admin.$cmd", &hello)).server(reply(9, 1, 8, &[fine()]));
    wire.client(query(2, "admin.$cmd", &wrapped)).server(reply(9, 2, 8, &[fine()]));
    wire.client(query(3, "admin.$cmd", &hello)).server(reply(9, 3, 8, &[failed(11, "X")]));
    wire.client(query(4, "shop.orders", &doc().text("x", "SECRET")));
    wire.server(reply(9, 4, 8, &[doc().int("code", 5), doc().text("$err", "SECRET")]));
    wire.client(query(5, "shop.orders", &doc()));
    wire.server(reply(9, 5, 2, &[doc().text("$err", "SECRET").int("code", 17)]));
    let more = [&[0; 4], &b"shop.orders\0"[..], &[0; 4], &[7; 8]].concat();
    wire.client(message(6, 0, 2005, &more)).server(reply(9, 6, 1, &[]));
    wire.client(message(7, 0, 2002, &[&[0; 4], &b"shop.orders\0"[..], &doc().bytes()].concat()));
    assert_eq!(
        wire.told(),
        [
            "ismaster admin ok complete",
            "isMaster admin ok complete",
            "ismaster admin 11 complete",
            "find shop.orders ok complete",
            "find shop.orders 17 complete",
            "getMore shop.orders 43 complete",
            "insert shop.orders  one_way",
        ]
    );
    assert!(!format!("{:?}", wire.views).contains("SECRET"));
}

#[test]
fn compressed_messages_are_expanded() {
    let plain = |of: &[u8]| compressed(of, 0, &of[16..]);
    for compress in [plain, zlib, snappy] {
        let mut wire = client();
        wire.client(compress(&ask(1, "find", "orders"))).server(compress(&answer(2, 1)));
        wire.client(compress(&ask(3, "find", "orders")));
        wire.server(compress(&msg(4, 3, 0, &failed(11600, "InterruptedAtShutdown"))));
        let insert = doc().text("insert", "orders").text("$db", "shop");
        wire.client(compress(&msg(5, 0, MORE, &insert)));
        wire.client(compress(&query(6, "admin.$cmd", &doc().int("ismaster", 1))));
        wire.server(compress(&reply(7, 6, 0, &[fine()])));
        assert_eq!(
            wire.told(),
            [
                "find shop.orders ok complete",
                "find shop.orders 11600 complete",
                "insert shop.orders  one_way",
                "ismaster admin ok complete",
            ]
        );
    }
    // Also when they come in parts.
    let (asked, answered) = (zlib(&ask(1, "find", "orders")), zlib(&answer(2, 1)));
    for cut in 1..asked.len() {
        let mut wire = client();
        wire.client(&asked[..cut]).client(&asked[cut..]);
        let cut = cut.min(answered.len() - 1);
        wire.server(&answered[..cut]).server(&answered[cut..]);
        assert_eq!(wire.told(), ["find shop.orders ok complete"], "{cut}");
    }
}

#[test]
fn what_cannot_be_expanded_is_still_paired() {
    let mut wire = client();
    wire.client(ask(1, "find", "orders")).server(compressed(&answer(2, 1), 2, b"nonsense"));
    // Longer than what is copied, and not compressible: how it ended stays unknown.
    let mut state = 1_u32;
    let mut noise = String::new();
    for _ in 0..20_000 {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        noise.push(char::from(b'a' + (state >> 24) as u8 % 26));
    }
    let large = doc().doc("cursor", doc().text("x", &noise)).double("ok", 1.0);
    wire.client(ask(3, "find", "orders")).server(zlib(&msg(4, 3, 0, &large)));
    wire.client(compressed(&ask(5, "find", "orders"), 2, b"nonsense")).server(answer(6, 5));
    wire.client(compressed(&ask(7, "find", "orders"), 2, b"nonsense"));
    wire.close(CloseReason::Finished);
    assert_eq!(
        wire.told(),
        ["find shop.orders  complete", "find shop.orders  complete", "  ok complete"]
    );
    assert_eq!(given_up(&wire, UnpairedReason::Ambiguous), 1);
}

#[test]
fn documents_are_passed_over_by_their_lengths() {
    // `$db` and `ok` stand after more than is copied.
    let large = |size: usize| doc().text("x", &"x".repeat(size));
    let insert = doc().text("insert", "orders").array("documents", [large(100_000)]);
    let mut wire = client();
    wire.client(msg(1, 0, 0, &insert.clone().text("$db", "shop")));
    wire.server(msg(2, 1, 0, &batch("firstBatch", 0, 50_000)));
    // Many small elements where no length helps: what follows them is not known.
    let many =
        (0..500).fold(doc().text("find", "orders"), |doc, at| doc.int(&format!("key{at}"), 1));
    wire.client(msg(3, 0, 0, &many.text("$db", "shop"))).server(answer(4, 3));
    let many = (0..500).fold(doc(), |doc, at| doc.int(&format!("key{at}"), 1));
    wire.client(ask(5, "find", "orders")).server(msg(6, 5, 0, &many.double("ok", 1.0)));
    // A hole that ends in the middle of what is passed over, and one that ends after the message.
    wire.client(ask(7, "find", "orders")).server(answer(8, 7));
    assert_eq!(
        wire.told(),
        [
            "insert shop.orders ok complete",
            "find  ok complete",
            "find shop.orders  complete",
            "find shop.orders ok complete",
        ]
    );
    assert_eq!(wire.views[1].message.attributes.len(), 3, "the collection is known");
    assert!(wire.views[2].ended_ns > wire.views[2].started_ns);
}

#[test]
fn clients_that_stay_unanswered() {
    for (reason, outcome) in [(CloseReason::Finished, "no_response"), (CloseReason::Reset, "reset")]
    {
        let mut wire = client();
        wire.client(ask(1, "find", "a")).server(answer(2, 1)).client(ask(3, "find", "b"));
        wire.close(reason);
        assert_eq!(
            wire.told(),
            ["find shop.a ok complete".to_owned(), format!("find shop.b  {outcome}")]
        );
    }
    let mut wire = client();
    wire.client(ask(1, "find", "a")).server(&answer(2, 1)[..30]).close(CloseReason::Finished);
    assert_eq!(wire.told(), ["find shop.a  reset"]);
    let limits = Limits { silence_ns: 5_000_000_000, ..Limits::default() };
    let mut wire = Wire::with(Role::Client, Role::Client, false, limits);
    wire.client(ask(1, "find", "a")).pause(6_000_000_000).pause(6_000_000_000);
    wire.server(answer(2, 1)).client(ask(3, "find", "b")).server(answer(4, 3));
    assert_eq!(wire.told(), ["find shop.a  no_response", "find shop.b ok complete"]);
}

#[test]
fn requests_beyond_the_limit_are_counted() {
    let limits = Limits { pending: 3, ..Limits::default() };
    let mut wire = Wire::with(Role::Client, Role::Client, false, limits);
    for id in 1..=5 {
        wire.client(ask(id, "find", "a"));
    }
    for id in 1..=5 {
        wire.server(answer(id + 100, id));
    }
    wire.client(ask(6, "find", "b")).server(answer(106, 6));
    let told = wire.told();
    assert_eq!(told.len(), 4);
    assert_eq!(told[3], "find shop.b ok complete");
    assert_eq!(given_up(&wire, UnpairedReason::TooManyPending), 2);
}

#[test]
fn waiting_cursors_beyond_the_limit_are_forgotten() {
    let find = doc().text("find", "log").truth("awaitData", true).text("$db", "shop");
    let more = |cursor| doc().long("getMore", cursor).text("collection", "log").text("$db", "shop");
    let mut wire = client();
    let cursors = REMEMBERED_MAX as i32 + 1;
    for id in 1..=cursors {
        wire.client(msg(id, 0, 0, &find));
        wire.server(msg(id + 1000, id, 0, &batch("firstBatch", id.into(), 1)));
    }
    for cursor in [1, cursors] {
        wire.client(msg(cursor, 0, 0, &more(cursor.into()))).server(answer(1, cursor));
    }
    wire.told();
    let last = cursors as usize;
    let waits = [last, last + 1].map(|view| attribute(&wire, view, "alaz.waiting").is_some());
    assert_eq!(waits, [false, true]);
}

#[test]
fn an_older_connection_is_joined_at_the_next_request() {
    for role in [Role::Client, Role::Server] {
        let mut wire = Wire::with(role, Role::Unknown, true, Limits::default());
        wire.server(&answer(90, 1)[5..]).server(answer(91, 2));
        wire.client(ask(3, "find", "a")).server(answer(92, 3));
        // Its header comes alone, as servers read it.
        let asked = ask(4, "find", "b");
        wire.client(&asked[..16]).client(&asked[16..]).server(answer(93, 4));
        assert_eq!(wire.told(), ["find shop.a ok complete", "find shop.b ok complete"]);
        assert_eq!(wire.views[0].role, role);
    }
}

#[test]
fn lost_replies_leave_the_others_paired() {
    let mut wire = client();
    wire.client(ask(1, "find", "a")).client(ask(2, "find", "b")).unseen(false, answer(10, 1));
    wire.server(answer(11, 2)).pause(1_000_000_000).client(ask(3, "find", "c"));
    wire.server(answer(12, 3)).close(CloseReason::Finished);
    assert_eq!(wire.told(), ["find shop.b ok complete", "find shop.c ok complete"]);
    assert_eq!(given_up(&wire, UnpairedReason::Gap), 1);
}

#[test]
fn a_message_is_claimed_for_who_says_it_and_no_other_protocol_is() {
    let by_client = [
        ask(1, "find", "orders"),
        sections(1, 0, 0, &[sequence("documents", &[doc()]), vec![0], fine().bytes()].concat()),
        query(1, "admin.$cmd", &doc().int("ismaster", 1)),
        query(1, "shop.orders", &doc()),
        zlib(&ask(1, "find", "orders")),
        snappy(&ask(1, "find", "orders")),
    ];
    let by_server = [answer(1, 2), reply(1, 2, 8, &[fine()]), zlib(&answer(1, 2))];
    for (side, messages) in [(Side::Client, &by_client[..]), (Side::Server, &by_server)] {
        for message in messages {
            assert_eq!(claim(message, false), Claim::Yes(side));
            let mut claimed = false;
            for end in 1..message.len() {
                let now = claim(&message[..end], false);
                assert!(now == Claim::Maybe || now == Claim::Yes(side), "{end} {now:?}");
                assert!(!claimed || now != Claim::Maybe, "taken back at {end}");
                claimed |= now != Claim::Maybe;
            }
        }
    }
    // Of what goes on, a name is enough.
    let large = doc().text("insert", "orders").text("x", &"x".repeat(9000)).text("$db", "shop");
    assert_eq!(claim(&msg(1, 0, 0, &large)[..4096], true), Claim::Yes(Side::Client));
    assert_eq!(
        claim(&msg(1, 2, 0, &batch("firstBatch", 1, 9000))[..4096], true),
        Claim::Yes(Side::Server)
    );
    for (name, bytes) in FOREIGN.iter().filter(|(name, _)| *name != "mongodb") {
        assert_eq!(claim(bytes, true), Claim::No, "{name}");
    }
    let mut wrong = Vec::new();
    for (at, byte) in
        [(0, 15), (4, 1), (12, 0xd4), (16, 4), (17, 0x80), (20, 2), (21, 200), (25, 0x20), (26, 1)]
    {
        let mut message = ask(1, "find", "orders");
        let unchanged = std::mem::replace(&mut message[at], byte);
        if at != 4 {
            wrong.push((at, unchanged, claim(&message, true)));
        }
    }
    assert!(wrong.iter().all(|(.., claim)| *claim == Claim::No), "{wrong:?}");
}

#[test]
fn what_is_no_message_is_withdrawn_or_passed_by() {
    let mut wire = client();
    wire.client(ask(1, "find", "a")).client(b"GET / HTTP/1.1\r\n\r\n");
    assert!(wire.told().is_empty());
    assert_eq!(given_up(&wire, UnpairedReason::Withdrawn), 1);
    let mut wire = client();
    wire.client(ask(1, "find", "a")).server(answer(2, 1)).client([0xff; 40]);
    wire.client(ask(3, "find", "b")).server([0xff; 40]).server(answer(4, 3));
    assert_eq!(wire.told(), ["find shop.a ok complete", "find shop.b ok complete"]);
}

#[test]
fn a_reply_that_comes_before_the_end_of_its_request_is_not_taken_for_none() {
    let insert =
        doc().text("insert", "orders").array("documents", [doc().text("x", &"x".repeat(2000))]);
    let asked = msg(1, 0, 0, &insert.text("$db", "shop"));
    let mut wire = client();
    wire.client(&asked[..500]).unseen(true, &asked[500..]).server(answer(2, 1));
    wire.close(CloseReason::Finished);
    let told = wire.told();
    assert!(!told.iter().any(|line| line.ends_with("no_response")), "{told:?}");
}
