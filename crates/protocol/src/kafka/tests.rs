//! Conversations, whole and damaged.

mod messages;
mod properties;

use alaz_model::{
    CloseReason, Connection, ConnectionKey, Direction, Protocol, Role, UnpairedReason,
};

use super::claim;
use crate::Limits;
use crate::dialogue::{Claim, Side};
use crate::testing::{COPIED, FOREIGN, Said, Wire, connection};
use messages::*;

fn client() -> Wire {
    Wire::new(Role::Client)
}

fn attribute(wire: &Wire, at: usize, name: &str) -> Option<String> {
    let found = wire.views[at].message.attributes.iter().find(|(key, _)| *key == name);
    found.map(|(_, value)| value.to_string())
}

#[test]
fn both_ends_tell_the_same() {
    for role in [Role::Client, Role::Server] {
        let mut wire = Wire::new(role);
        wire.client(request(18, 3, 1, &wire_text("kafka").text("1.0").tags()));
        wire.server(answer(1, &[0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0]));
        wire.client(produce(2, 1, &[("orders", &[(0, &[3])])]));
        wire.server(produced(2, &[("orders", &[(0, 0)])]));
        wire.client(fetch(3, &[("orders", 0)]));
        wire.server(fetched(3, 0, &[("orders", 0, 0, &[2, 5])]));
        wire.close(CloseReason::Finished);
        assert_eq!(
            wire.told(),
            [
                "ApiVersions  NONE complete",
                "Produce orders NONE complete",
                "Fetch orders NONE complete",
            ]
        );
        assert!(wire.views.iter().all(|view| view.role == role && !view.message.error));
        assert_eq!(wire.views[1].ended_ns - wire.views[1].started_ns, 1_000_000);
        for (at, count) in [(1, "3"), (2, "7")] {
            let found = attribute(&wire, at, "messaging.batch.message_count");
            assert_eq!(found.as_deref(), Some(count));
            let found = attribute(&wire, at, "messaging.destination.partition.id");
            assert_eq!(found.as_deref(), Some("0"));
            let message = &wire.views[at].message;
            let sizes = [
                (0, 0),
                (
                    produce(2, 1, &[("orders", &[(0, &[3])])]).len(),
                    produced(2, &[("orders", &[(0, 0)])]).len(),
                ),
                (
                    fetch(3, &[("orders", 0)]).len(),
                    fetched(3, 0, &[("orders", 0, 0, &[2, 5])]).len(),
                ),
            ];
            let told = (message.request_bytes as usize, message.response_bytes as usize);
            assert_eq!(told, sizes[at]);
        }
        assert!(!format!("{:?}", wire.views).contains("SECRET"));
    }
}

#[test]
fn what_is_lost_after_the_end_of_a_response_is_not_its_own() {
    let mut wire = client();
    wire.client(metadata(1, &["orders"])).server(described(1, &[("orders", [7; 16])]));
    wire.client(produce(2, 1, &[("orders", &[(0, &[3])])]));
    // Its end is known all the same, and the next one is lost wholly.
    let cut = wire.next_said(false, produced(2, &[("orders", &[(0, 0)])]));
    wire.give(&cut.cut(30));
    wire.client(produce(3, 1, &[("orders", &[(0, &[4])])]));
    let lost = wire.next_said(false, produced(3, &[("orders", &[(0, 0)])]));
    wire.give(&lost.cut(0));
    wire.client(produce(4, 0, &[("orders", &[(0, &[5])])])).close(CloseReason::Finished);
    assert_eq!(
        wire.told(),
        [
            "Metadata orders NONE complete",
            "Produce orders NONE complete",
            "Produce orders  one_way",
        ]
    );
}

#[test]
fn where_acknowledgements_were_not_read_none_may_be_due() {
    let mut wire = client();
    wire.client(metadata(1, &["orders"])).server(described(1, &[("orders", [7; 16])]));
    let asked = wire.next_said(true, produce(2, 0, &[("orders", &[(0, &[3])])]));
    wire.give(&asked.cut(29));
    wire.pause(1_000_000_000).close(CloseReason::Finished);
    assert_eq!(wire.told(), ["Metadata orders NONE complete"]);
}

#[test]
fn zeros_are_no_request() {
    let zeros = [&[0, 0, 0, 20][..], &[0; 20]].concat();
    assert_eq!(claim(&zeros, false), Claim::No);
    let asked = produce(0, 0, &[("a", &[(0, &[1])])]);
    assert_eq!(claim(&asked, false), Claim::Yes(Side::Client));
}

#[test]
fn where_a_response_is_looked_for_zeros_and_small_numbers_are_none() {
    let mut wire = client();
    wire.client(metadata(1, &["orders"]));
    wire.unseen(false, described(1, &[("orders", [7; 16])]));
    wire.server([0, 0, 3, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0]);
    wire.server([0; 300]).pause(1_000_000_000).server([b'x'; 600]).close(CloseReason::Finished);
    assert!(wire.told().is_empty(), "{:?}", wire.views);
}

#[test]
fn frames_split_at_every_byte_are_whole() {
    let asked = produce(7, 1, &[("orders", &[(0, &[3, 4]), (1, &[1])]), ("bills", &[(2, &[1])])]);
    let said = produced(7, &[("orders", &[(0, 0), (1, 6)]), ("bills", &[(2, 0)])]);
    for at in 1..asked.len() {
        let mut wire = client();
        wire.client(&asked[..at]).client(&asked[at..]).server(&said);
        assert_eq!(wire.told(), ["Produce orders,bills NOT_LEADER_OR_FOLLOWER complete"], "{at}");
        let found = attribute(&wire, 0, "messaging.batch.message_count");
        assert_eq!(found.as_deref(), Some("9"), "{at}");
        assert_eq!(attribute(&wire, 0, "messaging.destination.partition.id"), None);
    }
    for at in 1..said.len() {
        let mut wire = client();
        wire.client(&asked).server(&said[..at]).server(&said[at..]);
        assert_eq!(wire.told(), ["Produce orders,bills NOT_LEADER_OR_FOLLOWER complete"], "{at}");
        let found = attribute(&wire, 0, "error.type");
        assert_eq!(found.as_deref(), Some("NOT_LEADER_OR_FOLLOWER"));
        assert!(wire.views[0].message.error);
    }
}

#[test]
fn requests_under_way_at_once_are_paired_by_their_numbers() {
    let mut wire = client();
    let asked =
        [4, 5, 6].map(|id| produce(id, 1, &[(["a", "b", "c"][id as usize - 4], &[(0, &[1])])]));
    wire.client(asked.concat());
    wire.server([4, 5].map(|id| produced(id, &[])).concat()).server(produced(6, &[]));
    assert_eq!(
        wire.told(),
        ["Produce a NONE complete", "Produce b NONE complete", "Produce c NONE complete"]
    );
}

#[test]
fn without_acknowledgements_nothing_is_due() {
    let mut wire = client();
    for id in 1..4 {
        wire.client(produce(id, 0, &[("orders", &[(0, &[1])])]));
    }
    wire.client(fetch(4, &[("orders", 0)])).server(fetched(4, 0, &[]));
    wire.close(CloseReason::Finished);
    let told = wire.told();
    assert_eq!(told[..3], ["Produce orders  one_way"; 3].map(String::from));
    assert_eq!(told[3..], ["Fetch orders NONE complete"]);
    assert!(wire.views[..3].iter().all(|view| !view.message.error));
}

#[test]
fn flexible_versions_and_ids_of_topics_are_read() {
    let mut wire = client();
    let (orders, bills) = ([7; 16], [8; 16]);
    // An id tells nothing until the connection tells its name.
    wire.client(fetch_by_id(1, 0, 0, &[orders])).server(fetched_by_id(1, 0, 0, &[]));
    wire.client(metadata(2, &[])).server(described(2, &[("orders", orders)]));
    wire.client(fetch_by_id(3, 0, 0, &[orders])).server(fetched_by_id(3, 0, 9, &[(orders, 3)]));
    wire.client(fetch_by_id(4, 0, 0, &[orders, bills])).server(fetched_by_id(4, 0, 0, &[]));
    wire.client(produce_by_id(5, orders, 40)).server(produced_by_id(5, orders, 100));
    assert_eq!(
        wire.told(),
        [
            "Fetch  NONE complete",
            "Metadata  NONE complete",
            "Fetch orders NONE complete",
            "Fetch orders,… NONE complete",
            "Produce orders UNKNOWN_TOPIC_ID complete",
        ]
    );
    assert_eq!(attribute(&wire, 4, "messaging.batch.message_count").as_deref(), Some("40"));
    assert_eq!(attribute(&wire, 3, "messaging.destination.name"), None);
}

#[test]
fn a_fetch_session_is_about_all_that_it_was_told() {
    let mut wire = client();
    let (orders, bills) = ([7; 16], [8; 16]);
    wire.client(metadata(1, &[])).server(described(1, &[("orders", orders), ("bills", bills)]));
    wire.client(fetch_by_id(2, 0, 0, &[orders])).server(fetched_by_id(2, 0, 77, &[]));
    wire.client(fetch_by_id(3, 77, 1, &[])).server(fetched_by_id(3, 0, 77, &[]));
    wire.client(fetch_by_id(4, 77, 2, &[bills])).server(fetched_by_id(4, 0, 77, &[]));
    wire.client(fetch_by_id(5, 77, 3, &[])).server(fetched_by_id(5, 70, 0, &[]));
    wire.client(fetch_by_id(6, 78, 3, &[])).server(fetched_by_id(6, 0, 78, &[]));
    wire.client(fetch_that_forgets(7, 77, 4, orders)).server(fetched_by_id(7, 0, 77, &[]));
    assert_eq!(
        wire.told()[1..],
        [
            "Fetch orders NONE complete",
            "Fetch orders NONE complete",
            "Fetch orders,bills NONE complete",
            "Fetch orders,bills FETCH_SESSION_ID_NOT_FOUND complete",
            "Fetch  NONE complete",
            "Fetch  NONE complete",
        ]
        .map(String::from)
    );
}

#[test]
fn waiting_for_records_is_not_being_slow() {
    let mut wire = client();
    // The broker may wait for half a second.
    for (id, took_ns) in [(1, 3_000_000), (2, 505_000_000), (3, 900_000_000)] {
        wire.client(fetch(id, &[("orders", 0)]));
        wire.pause(took_ns).server(fetched(id, 0, &[]));
    }
    wire.client(produce(4, 1, &[])).server(produced(4, &[]));
    wire.told();
    let waited: Vec<_> = (0..4).map(|at| attribute(&wire, at, "alaz.waiting")).collect();
    let yes = Some("true".to_owned());
    assert_eq!(waited, [yes.clone(), yes, None, None]);
}

#[test]
fn groups_are_named() {
    let mut wire = client();
    wire.client(request(10, 2, 1, &wire_short("billing").u8(0)));
    wire.server(answer(1, &bytes().u32(0).u16(15).u16(0xffff).u32(1).u16(0).u32(9).0));
    wire.client(request(10, 2, 2, &wire_short("transaction").u8(1)));
    wire.server(answer(2, &bytes().u32(0).u16(0).u16(0xffff).u32(1).u16(0).u32(9).0));
    wire.client(request(12, 3, 3, &wire_short("billing").u32(5).short_text("me").u16(0xffff)));
    wire.server(answer(3, &bytes().u32(0).u16(27).0));
    wire.told();
    assert_eq!(attribute(&wire, 0, "messaging.consumer.group.name").as_deref(), Some("billing"));
    assert_eq!(attribute(&wire, 0, "error.type").as_deref(), Some("COORDINATOR_NOT_AVAILABLE"));
    assert_eq!(attribute(&wire, 1, "messaging.consumer.group.name"), None);
    assert_eq!(attribute(&wire, 2, "messaging.consumer.group.name").as_deref(), Some("billing"));
    assert_eq!(wire.views[2].message.status, "REBALANCE_IN_PROGRESS");
}

#[test]
fn tokens_without_headers_are_passed_over() {
    let mut wire = client();
    wire.client(request(17, 0, 1, &wire_short("PLAIN")));
    wire.server(answer(1, &bytes().u16(0).u32(1).short_text("PLAIN").0));
    for (token, reply) in [(&b"\0user\0SECRET"[..], &b""[..]), (b"\0\0\0\x07", b"\0\0\0\0abc")] {
        wire.client(framed(token)).server(framed(reply));
    }
    wire.client(fetch(2, &[("orders", 0)])).server(fetched(2, 0, &[]));
    assert_eq!(wire.told(), ["SaslHandshake  NONE complete", "Fetch orders NONE complete"]);
}

#[test]
fn a_version_that_the_broker_does_not_know_is_answered_in_the_oldest() {
    let mut wire = client();
    wire.client(request(18, 4, 1, &wire_text("kafka").text("1.0").tags()));
    wire.server(answer(1, &bytes().u16(35).u32(1).u16(18).u16(0).u16(3).0));
    // Newer than the table: only what all requests have.
    wire.client(request(1, 90, 2, &bytes().u32(7))).server(answer(2, b"\0\0\0\0"));
    wire.client(request(900, 0, 3, &bytes().u32(7))).server(answer(3, b"\0\0\0\0"));
    assert_eq!(
        wire.told(),
        ["ApiVersions  UNSUPPORTED_VERSION complete", "Fetch   complete", "900   complete"]
    );
}

/// Bytes of a topic in a response of `fetched`, whose name is one letter, without records.
const REST: usize = 3 + 4 + 4 + 2 + 24 + 8 + 4;

#[test]
fn holes_in_records_do_no_harm() {
    let mut wire = client();
    // One batch to the end of the frame: all that counts stands before it.
    wire.client(produce_by_id(1, [7; 16], 50_000)).server(produced_by_id(1, [7; 16], 0));
    // What stands after the first is not seen, but for what stands at the end.
    let many: Vec<i32> = vec![40_000; 2];
    wire.client(produce(2, 1, &[("a", &[(0, &many)]), ("b", &[(0, &many)])]));
    wire.server(produced(2, &[]));
    let lost = wire.engine.ledger().socket.bytes.lost_total();
    wire.client(fetch(3, &[("a", 0), ("b", 0)]));
    wire.server(fetched(3, 0, &[("a", 0, 0, &many), ("b", 0, 3, &[1])]));
    // In writes of their own they are all seen.
    wire.client(fetch(4, &[("a", 0), ("b", 0)]));
    let said = fetched(4, 0, &[("a", 0, 0, &[40_000]), ("b", 0, 3, &[])]);
    let (begin, end) = (said.len() - batch(40_000).len() - REST, said.len() - REST);
    wire.server(&said[..begin]).server(&said[begin..end]).server(&said[end..]);
    // As when the broker has the kernel send a file: nothing is copied.
    wire.client(fetch(5, &[("a", 0), ("b", 0)]));
    let said = fetched(5, 0, &[("a", 0, 0, &[40_000, 9]), ("b", 0, 3, &[])]);
    let (begin, end) =
        (said.len() - batch(40_000).len() - batch(9).len() - REST, said.len() - REST);
    wire.server(&said[..begin]);
    let sent = wire.next_said(false, &said[begin..end]);
    wire.give(&Said { head: Vec::new(), tail: Vec::new(), ..sent });
    wire.server(&said[end..]);
    // Even to the end of a response, of which all that counts was said before.
    let said = fetched(6, 0, &[("a", 0, 0, &[40_000])]);
    let begin = said.len() - batch(40_000).len();
    wire.client(fetch(6, &[("a", 0)])).server(&said[..begin]);
    for part in [&said[begin..begin + 30_000], &said[begin + 30_000..]] {
        let sent = wire.next_said(false, part);
        wire.give(&Said { head: Vec::new(), tail: Vec::new(), ..sent });
    }
    let ended_ns = wire.now_ns;
    wire.client(fetch(7, &[("a", 0)]));
    wire.close(CloseReason::Finished);
    assert_eq!(
        wire.told(),
        [
            "Produce  NONE complete",
            "Produce a,… NONE complete",
            "Fetch a,b UNKNOWN_TOPIC_OR_PARTITION complete",
            "Fetch a,b UNKNOWN_TOPIC_OR_PARTITION complete",
            "Fetch a,b UNKNOWN_TOPIC_OR_PARTITION complete",
            "Fetch a NONE complete",
            "Fetch a  no_response",
        ]
    );
    let count = |at| attribute(&wire, at, "messaging.batch.message_count");
    assert_eq!((count(0).as_deref(), count(1), count(2)), (Some("50000"), None, None));
    assert_eq!((count(3).as_deref(), count(4)), (Some("40000"), None));
    assert_eq!(wire.views[5].ended_ns, ended_ns);
    // The name and the records of the second topic were needed; nothing else is missing.
    assert_eq!(wire.engine.ledger().socket.bytes.lost_total(), lost);
    assert!(lost < 2 * batch(40_000).len() as u64);
}

#[test]
fn after_a_loss_only_what_is_certain_is_paired() {
    let mut wire = client();
    wire.client(fetch(1, &[("a", 0)])).server(fetched(1, 0, &[]));
    // An answer was lost; the next one names its request.
    wire.client(fetch(2, &[("b", 0)])).unseen(false, fetched(2, 0, &[]));
    wire.client(fetch(3, &[("c", 0)])).server(fetched(3, 0, &[])).pause(100_000_000);
    // A request was lost; its answer belongs to nothing.
    wire.unseen(true, fetch(4, &[("d", 0)])).server(fetched(4, 0, &[]));
    wire.client(fetch(5, &[("e", 0)])).pause(100_000_000).server(fetched(5, 0, &[]));
    // Lost inside a frame: its end is known.
    let asked = produce(6, 1, &[("f", &[(0, &[500])])]);
    wire.client(&asked[..60]).unseen(true, &asked[60..200]).client(&asked[200..]);
    wire.pause(100_000_000).server(produced(6, &[]));
    // Whether the last one was answered nobody knows.
    wire.client(fetch(7, &[("g", 0)])).unseen(false, fetched(7, 0, &[]));
    wire.server(b"rest").pause(100_000_000).close(CloseReason::Finished);
    assert_eq!(
        wire.told(),
        [
            "Fetch a NONE complete",
            "Fetch c NONE complete",
            "Fetch e NONE complete",
            "Produce f NONE complete",
        ]
    );
    assert_eq!(wire.engine.ledger().exchanges.unpaired(UnpairedReason::Gap), 3);
}

#[test]
fn an_older_connection_is_read_from_its_next_request() {
    for (role, known) in [(Role::Client, Role::Unknown), (Role::Server, Role::Server)] {
        let mut wire = Wire::with(role, known, true, Limits::default());
        wire.server(fetched(8, 0, &[("orders", 0, 0, &[9])])).client(b"rest of a batch");
        // On the other side the length is read first.
        let asked = fetch(9, &[("orders", 0)]);
        wire.client(&asked[..4]).client(&asked[4..]);
        let said = fetched(9, 0, &[("orders", 0, 0, &[9])]);
        wire.server(&said[..4]).server(&said[4..]);
        wire.client(fetch(10, &[("orders", 0)])).server(fetched(10, 0, &[]));
        assert_eq!(wire.told(), ["Fetch orders NONE complete"; 2]);
        assert!(wire.views.iter().all(|view| view.role == role));
    }
}

#[test]
fn an_answer_that_is_told_of_first_waits_for_its_request() {
    let mut wire = client();
    wire.client(fetch(1, &[("a", 0)])).server(fetched(1, 0, &[]));
    let asked = wire.next_said(true, fetch(2, &[("b", 0)]));
    let mut said = wire.next_said(false, fetched(2, 0, &[]));
    said.time_ns += 1;
    wire.give(&said);
    wire.give(&asked);
    assert_eq!(wire.told(), ["Fetch a NONE complete", "Fetch b NONE complete"]);
}

#[test]
fn what_is_not_answered_is_told_at_the_end() {
    for (reason, outcome) in [(CloseReason::Finished, "no_response"), (CloseReason::Reset, "reset")]
    {
        let mut wire = client();
        wire.client(fetch(1, &[("a", 0)])).server(fetched(1, 0, &[]));
        wire.client(fetch(2, &[("b", 0)])).close(reason);
        assert_eq!(wire.told()[1], format!("Fetch b  {outcome}"));
        assert!(wire.views[1].message.error);
    }
    let mut wire = client();
    let said = fetched(1, 0, &[("a", 0, 0, &[9])]);
    wire.client(fetch(1, &[("a", 0)])).server(&said[..50]).close(CloseReason::Reset);
    assert_eq!(wire.told(), ["Fetch a  reset"]);
}

#[test]
fn numbers_that_repeat_are_followed_while_nothing_is_missing() {
    let mut wire = client();
    wire.client([fetch(0, &[("a", 0)]), fetch(0, &[("b", 0)])].concat());
    wire.server([fetched(0, 3, &[]), fetched(0, 0, &[])].concat());
    wire.client([fetch(0, &[("c", 0)]), fetch(0, &[("d", 0)])].concat());
    wire.unseen(false, fetched(0, 0, &[])).server(fetched(0, 0, &[])).pause(100_000_000);
    wire.client(fetch(0, &[("e", 0)])).server(fetched(0, 0, &[]));
    assert_eq!(
        wire.told(),
        ["Fetch a UNKNOWN_TOPIC_OR_PARTITION complete", "Fetch b NONE complete"]
    );
    assert_eq!(wire.engine.ledger().exchanges.unpaired(UnpairedReason::Gap), 2);
}

#[test]
fn everything_that_is_kept_is_bounded() {
    let limits = Limits { pending: 3, ..Limits::default() };
    let mut wire = Wire::with(Role::Client, Role::Client, false, limits);
    for id in 1..=5 {
        wire.client(fetch(id, &[("a", 0)]));
    }
    for id in 1..=5 {
        wire.server(fetched(id, 0, &[]));
    }
    wire.client(fetch(6, &[("a", 0)])).server(fetched(6, 0, &[]));
    assert_eq!(wire.told().len(), 4);
    assert_eq!(wire.engine.ledger().exchanges.unpaired(UnpairedReason::TooManyPending), 2);

    // Names of topics in one message; all of them are known by their ids.
    let names: Vec<_> = (0..300).map(|at| format!("topic-{at}")).collect();
    let ids = |at: usize| {
        let mut id = [1; 16];
        id[..8].copy_from_slice(&(at as u64).to_be_bytes());
        id
    };
    let all: Vec<_> = names.iter().enumerate().map(|(at, name)| (&**name, ids(at))).collect();
    let mut wire = client();
    wire.client(metadata(1, &names.iter().map(|name| &**name).collect::<Vec<_>>()));
    for part in described(1, &all).chunks(4000) {
        wire.server(part);
    }
    for (id, at) in [(2, 0), (3, 299)] {
        wire.client(fetch_by_id(id, 0, 0, &[ids(at)])).server(fetched_by_id(id, 0, 0, &[]));
    }
    let told = wire.told();
    let eight = "topic-0,topic-1,topic-2,topic-3,topic-4,topic-5,topic-6,topic-7";
    assert_eq!(told[0], format!("Metadata {eight},… NONE complete"));
    assert_eq!(told[1..], ["Fetch topic-0 NONE complete", "Fetch topic-299 NONE complete"]);
}

#[test]
fn only_kafka_is_claimed() {
    let yes = |bytes: &[u8], cut| claim(bytes, cut) == Claim::Yes(Side::Client);
    let asked = fetch(3, &[("orders", 0)]);
    assert!(yes(&asked, false) && yes(&[&asked[..], &asked[..20]].concat(), true));
    for end in 0..asked.len() {
        assert_eq!(claim(&asked[..end], false), Claim::Maybe, "{end}");
    }
    // As far as they are copied, large ones have to make sense too.
    let large = produce(1, 1, &[("orders", &[(0, &[90_000])])]);
    assert!(yes(&large[..4096], true));
    let mut odd = large.clone();
    odd[25] = 7;
    assert!(!yes(&odd[..4096], true), "7 brokers are not asked for");
    assert_eq!(claim(&fetched(1, 0, &[]), true), Claim::No);
    // As clients greet a broker.
    let (_, greeting) = FOREIGN.iter().find(|(name, _)| *name == "kafka").unwrap();
    assert!(yes(greeting, false));
    for (name, bytes) in FOREIGN.iter().filter(|(name, _)| *name != "kafka") {
        for end in 1..=bytes.len() {
            assert!(!yes(&bytes[..end], true) && !yes(&bytes[..end], false), "{name} at {end}");
        }
        let mut wire = client();
        wire.client(bytes).server(bytes).close(CloseReason::Finished);
        wire.told();
        assert!(!wire.views.iter().any(|view| view.message.protocol == Protocol::Kafka), "{name}");
    }
    // ZooKeeper: length, number of the request, kind, path.
    assert!(!yes(b"\0\0\0\x11\0\0\0\x01\0\0\0\x04\0\0\0\x04/foo\0", true));
    // DNS over TCP.
    assert!(!yes(b"\0\x1d\xab\xcd\0\0\0\x01\0\0\0\0\0\x01\x07example\x03com\0\0\x01\0\x01", true));
}

#[test]
fn topics_are_known_by_what_any_connection_was_told() {
    let (orders, bills) = ([7; 16], [9; 16]);
    let mut wire = client();
    wire.client(metadata(1, &[])).server(described(1, &[("orders", orders), ("bills", bills)]));
    // Another connection of the same engine, on which nothing was told.
    let key = ConnectionKey { socket: 2, generation: 1 };
    wire.engine.open(&Connection { key, ..connection(Role::Client, false) }, &mut wire.views);
    let asked = fetch_by_id(5, 0, 0, &[orders, [8; 16]]);
    let answer = fetched_by_id(5, 0, 0, &[]);
    for (direction, position, bytes) in
        [(Direction::Send, 1000, &asked), (Direction::Receive, 5000, &answer)]
    {
        wire.now_ns += 1_000_000;
        let said = Said::new(direction, position, wire.now_ns, bytes, COPIED);
        wire.engine.segment(&said.segment(key), &mut wire.views);
    }
    let told = &wire.views.last().unwrap();
    assert_eq!((told.key, &*told.message.target), (key, "orders,…"));
}
