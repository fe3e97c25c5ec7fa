//! Conversations, whole and damaged.

use alaz_model::{CloseReason, Role, UnpairedReason};

use super::claim;
use crate::Limits;
use crate::dialogue::{Claim, Side};
use crate::testing::Wire;

mod properties;

/// A command as clients write it.
fn command(text: &str) -> String {
    let words: Vec<_> = text.split(' ').collect();
    let mut out = format!("*{}\r\n", words.len());
    for word in words {
        out.push_str(&format!("${}\r\n{word}\r\n", word.len()));
    }
    out
}

fn client() -> Wire {
    Wire::new(Role::Client)
}

fn attribute(wire: &Wire, view: usize, name: &str) -> Option<String> {
    let attributes = &wire.views[view].message.attributes;
    attributes.iter().find(|(key, _)| *key == name).map(|(_, value)| value.to_string())
}

#[test]
fn both_ends_tell_the_same() {
    for role in [Role::Client, Role::Server] {
        let mut wire = Wire::new(role);
        wire.client(command("SET user:42:cart secret")).server("+OK\r\n");
        wire.client(command("get user:42:cart")).server("$6\r\nsecret\r\n");
        assert_eq!(
            wire.told(),
            ["SET user:{id}:cart ok complete", "GET user:{id}:cart ok complete"]
        );
        let view = &wire.views[1];
        assert_eq!(view.role, role);
        assert_eq!((view.ended_ns - view.started_ns, view.pid), (1_000_000, 7));
        assert_eq!((view.message.request_bytes, view.message.response_bytes), (32, 12));
        assert_eq!(
            view.message.attributes.as_slice(),
            [
                ("db.system.name", "redis".into()),
                ("db.operation.name", "GET".into()),
                ("db.namespace", "0".into())
            ]
        );
    }
}

#[test]
fn messages_split_at_every_byte_are_whole() {
    let request = command("HSET user:7 name secret");
    let response = "*2\r\n$5\r\na\r\nbc\r\n%1\r\n+k\r\n,1.5\r\n";
    for cut in 1..request.len() {
        let mut wire = client();
        wire.client(&request[..cut]).client(&request[cut..]).server(response);
        assert_eq!(wire.told(), ["HSET user:{id} ok complete"], "{cut}");
        assert_eq!(wire.views[0].message.request_bytes, request.len() as u64);
    }
    for cut in 1..response.len() {
        let mut wire = client();
        wire.client(&request).server(&response[..cut]).server(&response[cut..]);
        assert_eq!(wire.told(), ["HSET user:{id} ok complete"], "{cut}");
        assert_eq!(wire.views[0].message.response_bytes, response.len() as u64);
        assert_eq!(wire.views[0].ended_ns, wire.now_ns);
    }
}

#[test]
fn errors_are_told_by_their_first_word() {
    for (reply, status) in [
        ("-ERR unknown command 'secret'\r\n", "ERR"),
        ("-WRONGTYPE Operation against a key\r\n", "WRONGTYPE"),
        ("-MOVED 3999 127.0.0.1:6381\r\n", "MOVED"),
        ("-NOAUTH Authentication required.\r\n", "NOAUTH"),
        ("!21\r\nSYNTAX invalid syntax\r\n", "SYNTAX"),
        ("-secret words of a script\r\n", "ERR"),
    ] {
        let mut wire = client();
        wire.client(command("GET a")).server(reply).client(command("GET b")).server("_\r\n");
        assert_eq!(wire.told(), [format!("GET a {status} complete"), "GET b ok complete".into()]);
        assert!(wire.views[0].message.error && !wire.views[1].message.error);
        assert_eq!(attribute(&wire, 0, "db.response.status_code").as_deref(), Some(status));
    }
}

#[test]
fn pipelines_and_transactions_are_paired_in_order() {
    let mut wire = client();
    wire.client(
        ["MULTI", "SET a 1", "SELECT 3", "LPUSH a 2", "EXEC", "GET a"].map(command).concat(),
    );
    wire.server("+OK\r\n+QUEUED\r\n+QUEUED\r\n+QUEUED\r\n*3\r\n+OK\r\n+OK\r\n-WRONGTYPE x\r\n$1\r");
    wire.server("\n1\r\n").client(command("DISCARD")).server("-ERR DISCARD without MULTI\r\n");
    assert_eq!(
        wire.told(),
        [
            "MULTI  ok complete",
            "SET a ok complete",
            "SELECT  ok complete",
            "LPUSH a ok complete",
            "EXEC  ok complete",
            "GET a ok complete",
            "DISCARD  ERR complete",
        ]
    );
    let databases = [0, 3, 4, 5, 6].map(|view| attribute(&wire, view, "db.namespace").unwrap());
    assert_eq!(databases, ["0", "0", "0", "3", "3"]);
}

#[test]
fn secrets_do_not_show() {
    let mut wire = client();
    wire.client(command("AUTH default 9SECRET9")).server("-WRONGPASS 9SECRET9\r\n");
    wire.client(command("HELLO 3 AUTH default 9SECRET9"))
        .server("%1\r\n$6\r\nserver\r\n$5\r\nredis\r\n");
    wire.client(command("CONFIG SET requirepass 9SECRET9")).server("+OK\r\n");
    wire.client(command("SET token:9SECRET9 9SECRET9")).server("+OK\r\n");
    wire.client(command("PUBLISH 9SECRET9 9SECRET9")).server(":1\r\n");
    let told = wire.told();
    assert_eq!(
        told,
        [
            "AUTH  WRONGPASS complete",
            "HELLO  ok complete",
            "CONFIG SET  ok complete",
            "SET token:{id} ok complete",
            "PUBLISH {id} ok complete",
        ]
    );
    assert!(!format!("{:?}", wire.views).contains("9SECRET9"));
}

#[test]
fn inline_commands_are_commands() {
    let mut wire = client();
    wire.client("PING\r\n").server("+PONG\r\n").client("\r\n").client("get user:1\r\n");
    wire.server("$-1\r\n");
    assert_eq!(wire.told(), ["PING  ok complete", "GET user:{id} ok complete"]);
    let mut wire = client();
    wire.client("PING\r\n").server("PONG\r\n").client("PING\r\n").server("+PONG\r\n");
    wire.close(CloseReason::Finished);
    assert_eq!(wire.told(), ["PING  ok complete"], "another protocol's answer takes it back");
    let mut wire = client();
    wire.client("PING\r\n").close(CloseReason::Finished);
    assert!(wire.told().is_empty(), "who was asked is not known");
}

#[test]
fn subscriptions_are_answered_for_each_channel_and_messages_are_pushed() {
    let mut wire = client();
    wire.client(command("SUBSCRIBE news:1 chat"));
    wire.server("*3\r\n$9\r\nsubscribe\r\n$6\r\nnews:1\r\n:1\r\n");
    wire.server("*3\r\n$7\r\nmessage\r\n$6\r\nnews:1\r\n$6\r\nsecret\r\n");
    wire.server("*3\r\n$9\r\nsubscribe\r\n$4\r\nchat\r\n:2\r\n");
    wire.client(command("PSUBSCRIBE n*")).server("*3\r\n$10\r\npsubscribe\r\n$2\r\nn*\r\n:3\r\n");
    wire.server("*4\r\n$8\r\npmessage\r\n$2\r\nn*\r\n$6\r\nnews:1\r\n$1\r\nx\r\n");
    wire.client(command("PING")).server("*2\r\n$4\r\npong\r\n$0\r\n\r\n");
    wire.client(command("UNSUBSCRIBE"));
    wire.server("*3\r\n$11\r\nunsubscribe\r\n$6\r\nnews:1\r\n:2\r\n");
    wire.server("*3\r\n$11\r\nunsubscribe\r\n$4\r\nchat\r\n:1\r\n");
    wire.client(command("PUNSUBSCRIBE n*"))
        .server("*3\r\n$12\r\npunsubscribe\r\n$2\r\nn*\r\n:0\r\n");
    wire.client(command("LRANGE a 0 2"));
    wire.server("*3\r\n$7\r\nmessage\r\n$1\r\na\r\n$1\r\nb\r\n");
    assert_eq!(
        wire.told(),
        [
            "MESSAGE news:{id}  one_way",
            "SUBSCRIBE news:{id} ok complete",
            "PSUBSCRIBE n* ok complete",
            "PMESSAGE n*  one_way",
            "PING  ok complete",
            "UNSUBSCRIBE  ok complete",
            "PUNSUBSCRIBE n* ok complete",
            "LRANGE a ok complete",
        ]
    );
    assert_eq!(wire.views[1].message.response_bytes, 35 + 33);
    assert_eq!(attribute(&wire, 0, "alaz.direction").as_deref(), Some("push"));
    assert_eq!(wire.views[0].message.response_bytes, 41);
}

#[test]
fn resp3_pushes_come_between_replies() {
    let mut wire = client();
    wire.client(command("HELLO 3")).server("%1\r\n+proto\r\n:3\r\n");
    wire.client([command("SUBSCRIBE a"), command("GET k")].concat());
    wire.server(
        ">3\r\n$9\r\nsubscribe\r\n$1\r\na\r\n:1\r\n>3\r\n$7\r\nmessage\r\n$1\r\na\r\n$1\r\nx\r\n",
    );
    wire.server("|1\r\n+ttl\r\n:3\r\n$1\r\nv\r\n>2\r\n$10\r\ninvalidate\r\n*1\r\n$1\r\nk\r\n");
    wire.server(">3\r\n$11\r\nunsubscribe\r\n$1\r\na\r\n:0\r\n");
    wire.client(command("GET z")).server("$?\r\n;1\r\nx\r\n;0\r\n");
    assert_eq!(
        wire.told(),
        [
            "HELLO  ok complete",
            "SUBSCRIBE a ok complete",
            "MESSAGE a  one_way",
            "GET k ok complete",
            "INVALIDATE   one_way",
            "GET z ok complete",
        ]
    );
}

#[test]
fn replies_that_were_turned_off_are_not_waited_for() {
    let mut wire = client();
    wire.client([command("CLIENT REPLY SKIP"), command("SET a 1"), command("GET a")].concat());
    wire.server("$1\r\n1\r\n").client(command("CLIENT REPLY OFF")).client(command("SET b 1"));
    wire.client(command("CLIENT REPLY ON")).server("+OK\r\n");
    wire.client(command("GET b")).server("$1\r\n1\r\n");
    assert_eq!(
        wire.told(),
        [
            "CLIENT REPLY   one_way",
            "SET a  one_way",
            "GET a ok complete",
            "CLIENT REPLY   one_way",
            "SET b  one_way",
            "CLIENT REPLY  ok complete",
            "GET b ok complete",
        ]
    );
    let mut wire = client();
    wire.client(["MULTI", "CLIENT REPLY OFF", "EXEC", "GET a"].map(command).concat());
    wire.server("+OK\r\n+QUEUED\r\n$1\r\n1\r\n").close(CloseReason::Finished);
    assert!(wire.told().len() <= 1, "what is answered then cannot be told");
}

#[test]
fn waiting_is_marked() {
    let mut wire = client();
    wire.client(command("BLPOP queue:jobs 0")).server("*2\r\n$10\r\nqueue:jobs\r\n$1\r\nx\r\n");
    wire.client(command("LPOP queue:jobs")).server("$-1\r\n");
    assert_eq!(wire.told(), ["BLPOP queue:jobs ok complete", "LPOP queue:jobs ok complete"]);
    assert_eq!(attribute(&wire, 0, "alaz.waiting").as_deref(), Some("true"));
    assert_eq!(attribute(&wire, 1, "alaz.waiting"), None);
}

#[test]
fn monitors_and_replicas_are_not_read_on() {
    let mut wire = client();
    wire.client(command("MONITOR")).server("+OK\r\n").server("+1 [0 1:2] \"GET\" \"secret\"\r\n");
    wire.client(command("QUIT")).server("+OK\r\n").close(CloseReason::Finished);
    assert_eq!(wire.told(), ["MONITOR  ok complete"]);
    let mut wire = client();
    wire.client(command("PSYNC ? -1")).server("\n\n").server("+FULLRESYNC abc 0\r\n$88\r\nREDIS");
    wire.server(command("SELECT 0")).client(command("REPLCONF ACK 0")).close(CloseReason::Finished);
    assert_eq!(wire.told(), ["PSYNC  ok complete"]);
    let mut wire = client();
    wire.client(command("SYNC")).server("$88\r\nREDIS").close(CloseReason::Finished);
    assert_eq!(wire.told(), ["SYNC   one_way"]);
}

#[test]
fn commands_without_a_reply_are_reported_at_the_end() {
    for (reason, outcome) in [(CloseReason::Finished, "no_response"), (CloseReason::Reset, "reset")]
    {
        let mut wire = client();
        wire.client(command("GET a")).close(reason);
        assert_eq!(wire.told(), [format!("GET a  {outcome}")]);
        assert!(wire.views[0].message.error);
    }
    let mut wire = client();
    wire.client(command("GET a")).server("$10\r\n1234").close(CloseReason::Finished);
    assert_eq!(wire.told(), ["GET a ok reset"]);
}

#[test]
fn silence_is_reported_once_but_not_of_who_waits() {
    let limits = Limits { silence_ns: 5_000_000_000, ..Limits::default() };
    let mut wire = Wire::with(Role::Client, Role::Client, false, limits);
    wire.client(command("BLPOP a 0")).pause(6_000_000_000).server("*-1\r\n");
    wire.client(command("GET slow")).pause(6_000_000_000).server("$-1\r\n");
    wire.client(command("GET next")).server("$-1\r\n");
    assert_eq!(
        wire.told(),
        ["BLPOP a ok complete", "GET slow  no_response", "GET next ok complete"]
    );
}

#[test]
fn holes_in_strings_do_no_harm() {
    let large = "x".repeat(20_000);
    let mut wire = client();
    wire.client(command(&format!("SET a {large}"))).server("+OK\r\n");
    wire.client(command("GET a")).server(format!("$20000\r\n{large}\r\n"));
    wire.client(command("GET b"))
        .server("$30\r\n")
        .unseen(false, "0123456789")
        .server("0123456789");
    wire.unseen(false, "012345678").server("9\r\n").pause(100_000_000);
    assert_eq!(wire.told(), ["SET a ok complete", "GET a ok complete", "GET b ok complete"]);
    assert_eq!(wire.views[1].message.response_bytes, 20_010);
}

#[test]
fn replies_longer_than_what_is_copied_end_before_the_next_command() {
    let many = format!("*2000\r\n{}", "$3\r\nabc\r\n".repeat(2000));
    let mut wire = client();
    wire.client(command("KEYS *")).server(&many).client(command("GET a")).server("$-1\r\n");
    wire.client(command(&format!("MSET {}", vec!["kk vv"; 500].join(" ")))).server("+OK\r\n");
    wire.client(command("GET b")).server("$-1\r\n");
    assert_eq!(
        wire.told(),
        ["KEYS  ok complete", "GET a ok complete", "MSET kk ok complete", "GET b ok complete"]
    );
    assert_eq!(wire.views[0].message.response_bytes, many.len() as u64);
    assert_eq!(wire.views[2].message.request_bytes, 0, "where it ended was not seen");
}

#[test]
fn a_batch_that_was_cut_is_never_paired_wrongly_and_the_next_is() {
    let mut wire = client();
    let batch = |from: usize| -> String {
        (from..from + 300).map(|number| command(&format!("GET key:{number}"))).collect()
    };
    let replies = "$1\r\nx\r\n".repeat(300);
    wire.client(batch(0)).server(&replies).pause(100_000_000);
    let first = wire.views.len();
    assert!((100..300).contains(&first), "{first}");
    wire.client(command("GET after")).server("$-1\r\n");
    assert_eq!(wire.told().last().unwrap(), "GET after ok complete");
}

#[test]
fn a_client_that_does_not_wait_stays_adrift_after_a_loss() {
    let mut wire = client();
    wire.client(command("GET a")).client(command("GET b")).server("$1\r\na\r\n");
    wire.client(command("GET c")).server("$1\r\nb\r\n").server("$1\r\nc\r\n");
    wire.client(command("GET d")).unseen(false, "$1\r\nd\r\n");
    wire.client(command("GET e")).server("$1\r\ne\r\n").pause(100_000_000);
    wire.client(command("GET f")).server("$1\r\nf\r\n").pause(100_000_000);
    assert_eq!(wire.told(), ["GET a ok complete", "GET b ok complete", "GET c ok complete"]);
    assert!(wire.engine.ledger().exchanges.unpaired(UnpairedReason::Gap) >= 3);
}

#[test]
fn more_commands_than_are_kept_do_not_disturb_the_others() {
    let limits = Limits { pending: 3, ..Limits::default() };
    let mut wire = Wire::with(Role::Client, Role::Client, false, limits);
    wire.client(
        (0..5)
            .map(|number| command(&format!("GET {}", ["a", "b", "c", "d", "e"][number])))
            .collect::<String>(),
    );
    wire.server("+1\r\n+2\r\n+3\r\n+4\r\n").client(command("GET f")).server("+5\r\n-ERR f\r\n");
    assert_eq!(
        wire.told(),
        ["GET a ok complete", "GET b ok complete", "GET c ok complete", "GET f ERR complete"]
    );
    assert_eq!(wire.engine.ledger().exchanges.unpaired(UnpairedReason::TooManyPending), 2);
}

#[test]
fn an_older_connection_counts_from_its_next_command() {
    for (role, known) in
        [(Role::Client, Role::Unknown), (Role::Server, Role::Unknown), (Role::Server, Role::Server)]
    {
        let mut wire = Wire::with(role, known, true, Limits::default());
        wire.server("rest of a reply\r\n").client(command("GET a")).server("$1\r\n1\r\n");
        wire.client(command("SELECT 2")).server("+OK\r\n").client(command("GET b")).server("_\r\n");
        assert_eq!(wire.told(), ["GET a ok complete", "SELECT  ok complete", "GET b ok complete"]);
        assert_eq!(wire.views[0].role, role);
        assert_eq!(attribute(&wire, 0, "db.namespace"), None, "was not seen");
        assert_eq!(attribute(&wire, 2, "db.namespace").as_deref(), Some("2"));
    }
    // Commands in two parts, replies that tell nothing.
    let mut wire = Wire::with(Role::Client, Role::Unknown, true, Limits::default());
    for key in ["a", "b", "c"] {
        let command = command(&format!("GET {key}"));
        wire.client(&command[..13]).client(&command[13..]).server("$4\r\nab").server("cd\r\n");
    }
    assert_eq!(wire.told(), ["GET b ok complete", "GET c ok complete"]);
    // A subscriber that only listens.
    let mut wire = Wire::with(Role::Client, Role::Unknown, true, Limits::default());
    wire.server("*3\r\n$7\r\nmessage\r\n$1\r\na\r\n$1\r\nx\r\n");
    wire.server("*3\r\n$7\r\nmessage\r\n$1\r\na\r\n$1\r\nx\r\n");
    assert_eq!(wire.told(), ["MESSAGE a  one_way"; 2]);
    assert_eq!(wire.views[0].role, Role::Client);
}

#[test]
fn a_reply_that_looks_like_a_command_does_not_turn_the_roles() {
    let mut wire = Wire::with(Role::Client, Role::Unknown, true, Limits::default());
    wire.server("*2\r\n$3\r\nget\r\n$3\r\nset\r\n").client(command("GET a")).server("$1\r\n1\r\n");
    wire.client(command("GET b")).server("$1\r\n2\r\n");
    for line in wire.told() {
        assert_eq!(line, "GET b ok complete");
    }
}

#[test]
fn an_answer_that_is_told_of_first_waits_for_its_command() {
    let mut wire = client();
    let request = wire.next_said(true, command("GET a"));
    let mut response = wire.next_said(false, "$1\r\n1\r\n");
    response.time_ns += 1;
    wire.give(&response);
    wire.give(&request);
    assert_eq!(wire.told(), ["GET a ok complete"]);
}

#[test]
fn a_reply_that_is_told_of_first_after_a_loss_is_not_missed() {
    let mut wire = client();
    wire.client(command("XRANGE a - +"));
    let mut cut = wire.next_said(false, "*1\r\n*2\r\n:1\r\n$4\r\n*1\r\n\r\n");
    cut.head.truncate(11);
    wire.give(&cut);
    let request = wire.next_said(true, command("GET a"));
    let reply = wire.next_said(false, "$1\r\n1\r\n");
    wire.give(&reply);
    wire.give(&request);
    wire.close(CloseReason::Finished);
    assert!(wire.told().iter().all(|line| !line.ends_with("no_response")), "{:?}", wire.views);
}

#[test]
fn what_is_lost_just_before_the_close_is_no_failure() {
    let keys = "*2\r\n$1\r\na\r\n";
    for (heard, lost, told) in [
        ("", "$2\r\nab\r\n", None),
        ("$2\r\n", "ab\r\n", Some("GET a ok partial")),
        (keys, "$1\r\nb\r\n", Some("GET a ok partial")),
    ] {
        let mut wire = client();
        wire.client(command("GET a"));
        if !heard.is_empty() {
            wire.server(heard);
        }
        wire.unseen(false, lost).close(CloseReason::Finished);
        assert_eq!(wire.told(), told.into_iter().collect::<Vec<_>>(), "{heard:?}");
        assert!(wire.views.iter().all(|view| !view.message.error));
    }
}

#[test]
fn only_commands_and_published_messages_are_claimed() {
    let yes = |bytes: &[u8]| match claim(bytes, true) {
        Claim::Yes(side) => Some(side),
        _ => None,
    };
    assert_eq!(yes(command("GET a").as_bytes()), Some(Side::Client));
    assert_eq!(yes(b"info replication\r\n"), Some(Side::Client));
    assert_eq!(yes(b">3\r\n$7\r\nmessage\r\n$1\r\na\r\n$1\r\nx\r\n"), Some(Side::Server));
    for (name, bytes) in crate::testing::FOREIGN {
        if *name == "redis" {
            continue;
        }
        for end in 1..=bytes.len() {
            assert_eq!(yes(&bytes[..end]), None, "{name} at {end}");
        }
        let mut wire = client();
        wire.client(bytes).server(bytes).close(CloseReason::Finished);
        wire.told();
        let redis = |view: &alaz_model::View| view.message.protocol == alaz_model::Protocol::Redis;
        assert!(!wire.views.iter().any(redis), "{name}");
    }
}
