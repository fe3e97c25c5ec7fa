use std::net::SocketAddr;

use alaz_model::ObservedBy;
use proptest::prelude::*;

use super::*;
use crate::dns::testing::{answer, question, refusal};
use crate::dns::words;

const MS: u64 = 1_000_000;

/// One end of a datagram's way.
#[derive(Clone, Debug)]
struct Moved {
    at: Side,
    is_answer: bool,
    time_ns: u64,
    client: SocketAddr,
    server: SocketAddr,
    network_namespace: u32,
    bytes: Vec<u8>,
    /// So many of its bytes were copied.
    copied: usize,
}

fn address(text: &str) -> SocketAddr {
    text.parse().unwrap()
}

fn moved(at: Side, time_ms: u64, bytes: Vec<u8>) -> Moved {
    Moved {
        at,
        is_answer: bytes[2] & 0x80 != 0,
        time_ns: time_ms * MS,
        client: address("127.0.0.1:40000"),
        server: address("127.0.0.9:53"),
        network_namespace: 1,
        copied: bytes.len(),
        bytes,
    }
}

/// The four observations, a millisecond apart.
fn four(from_ms: u64, asked: &[u8], answered: &[u8]) -> Vec<Moved> {
    vec![
        moved(Side::Client, from_ms, asked.to_vec()),
        moved(Side::Server, from_ms + 1, asked.to_vec()),
        moved(Side::Server, from_ms + 2, answered.to_vec()),
        moved(Side::Client, from_ms + 3, answered.to_vec()),
    ]
}

struct Host {
    table: Datagrams,
    out: Vec<Exchange>,
    given: (u64, u64),
}

impl Host {
    fn new() -> Host {
        Host::with(DatagramLimits::default())
    }

    fn with(limits: DatagramLimits) -> Host {
        Host { table: Datagrams::new(limits), out: Vec::new(), given: (0, 0) }
    }

    fn give(&mut self, moved: &Moved) {
        let (local, remote) = match moved.at {
            Side::Client => (moved.client, moved.server),
            Side::Server => (moved.server, moved.client),
        };
        let sends = (moved.at == Side::Client) != moved.is_answer;
        let datagram = Datagram {
            local,
            remote: Some(remote),
            network_namespace: moved.network_namespace,
            direction: if sends { Direction::Send } else { Direction::Receive },
            length: moved.bytes.len() as u32,
            head: &moved.bytes[..moved.copied],
            time_ns: moved.time_ns,
            pid: if moved.at == Side::Client { 11 } else { 22 },
            tid: 1,
        };
        self.given.0 += 1;
        self.given.1 += moved.bytes.len() as u64;
        self.table.datagram(&datagram, &Clock::default(), &mut self.out);
    }

    /// Received 40 ms after the beginning, from nobody knows whom.
    fn give_nameless(&mut self, local: &str, bytes: &[u8]) {
        let datagram = Datagram {
            local: address(local),
            remote: None,
            network_namespace: 1,
            direction: Direction::Receive,
            length: bytes.len() as u32,
            head: bytes,
            time_ns: 40 * MS,
            pid: 11,
            tid: 1,
        };
        self.given.0 += 1;
        self.given.1 += bytes.len() as u64;
        self.table.datagram(&datagram, &Clock::default(), &mut self.out);
    }

    fn take(&mut self, all: &[Moved]) -> &mut Host {
        all.iter().for_each(|moved| self.give(moved));
        self
    }

    fn advance(&mut self, time_ms: u64) -> &mut Host {
        self.table.advance(time_ms * MS, &Clock::default(), &mut self.out);
        self
    }

    fn finish(&mut self) -> Vec<String> {
        self.table.finish(&Clock::default(), &mut self.out);
        assert_eq!((self.table.kept, self.table.remembered), (0, 0));
        self.lines()
    }

    /// `TYPE name status outcome observer`.
    fn lines(&self) -> Vec<String> {
        let datagram = self.table.ledger().datagram;
        assert_eq!((datagram.segments.seen(), datagram.bytes.seen()), self.given, "{datagram:?}");
        self.out.iter().map(line).collect()
    }

    fn unpaired(&self, reason: UnpairedReason) -> u64 {
        self.table.ledger().exchanges.unpaired(reason)
    }
}

fn line(exchange: &Exchange) -> String {
    let message = &exchange.message;
    let (outcome, by) = (message.outcome.as_str(), exchange.observed_by.as_str());
    format!("{} {} {} {outcome} {by}", message.method, message.target, message.status)
}

fn attribute(exchange: &Exchange, name: &str) -> Option<String> {
    let mut all = exchange.message.attributes.iter();
    all.find(|(found, _)| *found == name).map(|(_, value)| value.to_string())
}

fn asked(id: u16) -> Vec<u8> {
    question(id, "www.example.org", words::A)
}

fn answered(id: u16) -> Vec<u8> {
    answer(id, "www.example.org", words::A, &[[10, 0, 0, 1], [10, 0, 0, 2]])
}

#[test]
fn four_observations_are_one_exchange_at_once() {
    let mut host = Host::new();
    host.take(&four(10, &asked(7), &answered(7)));
    assert_eq!(host.lines(), ["A www.example.org NOERROR complete both"]);
    let exchange = &host.out[0];
    assert_eq!((exchange.client.pid, exchange.server.pid), (11, 22));
    assert_eq!((exchange.latency_ns, exchange.server_latency_ns), (Some(3 * MS), Some(MS)));
    assert_eq!((exchange.ttfb_ns, exchange.time.0), (Some(3 * MS), 10 * MS));
    assert_eq!(exchange.message.request_bytes, asked(7).len() as u64);
    assert_eq!(exchange.message.response_bytes, answered(7).len() as u64);
    assert_eq!(attribute(exchange, "dns.question.name").unwrap(), "www.example.org");
    assert_eq!(attribute(exchange, "dns.answers").unwrap(), "10.0.0.1,10.0.0.2");
    assert_eq!(attribute(exchange, "network.transport").unwrap(), "udp");
    assert_eq!(attribute(exchange, "alaz.retries"), None);
    assert_eq!(host.finish().len(), 1);
}

#[test]
fn sockets_without_an_address_agree_with_the_other_end() {
    for (no_client, no_server) in [(true, false), (false, true), (true, true)] {
        for any in ["0.0.0.0", "[::]"] {
            let mut all = four(10, &asked(7), &answered(7));
            for moved in &mut all {
                if no_client && moved.at == Side::Client {
                    moved.client = address(&format!("{any}:40000"));
                }
                if no_server && moved.at == Side::Server {
                    moved.server = address(&format!("{any}:53"));
                }
            }
            for order in [[0, 1, 2, 3], [1, 2, 0, 3], [1, 0, 2, 3], [1, 2, 3, 0], [2, 1, 3, 0]] {
                let mut host = Host::new();
                host.take(&order.map(|index| all[index].clone()));
                assert_eq!(host.lines(), ["A www.example.org NOERROR complete both"], "{order:?}");
                assert_eq!(host.out[0].client.address, address("127.0.0.1:40000"));
                assert_eq!(host.out[0].server.address, address("127.0.0.9:53"));
            }
        }
    }
}

#[test]
fn who_takes_an_answer_need_not_ask_who_it_is_from() {
    let mut host = Host::new();
    host.take(&four(10, &asked(7), &answered(7))[..3]);
    host.give_nameless("0.0.0.0:40000", &answered(7));
    assert_eq!(host.lines(), ["A www.example.org NOERROR complete both"]);
    assert_eq!(host.out[0].latency_ns, Some(30 * MS));
}

#[test]
fn loopback_addresses_of_two_namespaces_are_two_exchanges() {
    let mut host = Host::new();
    let mut all = four(10, &asked(7), &answered(7));
    all[1].network_namespace = 2;
    all[2].network_namespace = 2;
    host.take(&all).advance(2000);
    let both = ["client", "server"].map(|by| format!("A www.example.org NOERROR complete {by}"));
    assert_eq!(host.lines(), both);
    // Other addresses mean the same everywhere.
    for moved in &mut all {
        (moved.client, moved.server) = (address("172.17.0.2:40000"), address("172.17.0.9:53"));
    }
    let mut host = Host::new();
    host.take(&all);
    assert_eq!(host.lines(), ["A www.example.org NOERROR complete both"]);
}

#[test]
fn an_end_elsewhere_is_not_waited_for() {
    for (end, by) in [(Side::Client, "client"), (Side::Server, "server")] {
        let mut all = four(10, &asked(7), &answered(7));
        all.retain(|moved| moved.at == end);
        for moved in &mut all {
            (moved.client, moved.server) = (address("10.0.0.1:40000"), address("10.0.0.9:53"));
        }
        let mut host = Host::new();
        host.take(&all).advance(40);
        assert!(host.out.is_empty());
        host.advance(100);
        assert_eq!(host.lines(), [format!("A www.example.org NOERROR complete {by}")]);
        // Where it comes after all, it does not count again.
        let mut late = four(10, &asked(7), &answered(7));
        late.retain(|moved| moved.at != end);
        for moved in &mut late {
            (moved.client, moved.server) = (all[0].client, all[0].server);
        }
        host.take(&late).advance(100_000);
        assert_eq!(host.finish().len(), 1);
    }
}

#[test]
fn a_question_without_an_answer_is_told_once_and_a_late_answer_is_counted() {
    let mut host = Host::new();
    let all = four(10, &asked(7), &answered(7));
    host.take(&all[..2]).advance(10_000);
    assert!(host.out.is_empty());
    host.advance(10_010);
    assert_eq!(host.lines(), ["A www.example.org  no_response both"]);
    assert!(host.out[0].message.error && host.out[0].latency_ns.is_none());
    let late = four(12_000, &asked(7), &answered(7));
    host.take(&late[2..]).advance(40_000);
    assert_eq!(host.unpaired(UnpairedReason::Late), 1);
    assert_eq!(host.finish().len(), 1);
    assert_eq!(host.unpaired(UnpairedReason::Unasked), 0);
}

#[test]
fn a_question_that_is_still_being_answered_is_not_told() {
    let mut host = Host::new();
    host.take(&four(10, &asked(7), &answered(7))[..2]).advance(9000);
    assert!(host.finish().is_empty());
}

#[test]
fn asking_again_is_the_same_exchange() {
    let mut host = Host::new();
    let all = four(10, &asked(7), &answered(7));
    let again = four(5010, &asked(7), &answered(7));
    host.take(&all[..2]).take(&again[..2]).advance(14_000);
    assert!(host.out.is_empty(), "silence is counted from the last question on");
    host.take(&again[2..]);
    assert_eq!(host.lines(), ["A www.example.org NOERROR complete both"]);
    assert_eq!(attribute(&host.out[0], "alaz.retries").unwrap(), "1");
    assert_eq!(host.out[0].latency_ns, Some(5003 * MS));
    // The first answer did not reach the client.
    let mut host = Host::new();
    host.take(&all[..3]).take(&again);
    assert_eq!(host.lines(), ["A www.example.org NOERROR complete both"]);
    assert_eq!(host.out[0].server_latency_ns, Some(MS));
    assert_eq!(attribute(&host.out[0], "alaz.retries").unwrap(), "1");
    // Nobody asks forever.
    let mut host = Host::new();
    for time_ms in (0..70_000).step_by(5000) {
        host.take(&[moved(Side::Client, time_ms, asked(7))]).advance(time_ms);
    }
    assert_eq!(host.lines(), ["A www.example.org  no_response client"]);
}

#[test]
fn asking_again_after_the_answer_is_another_exchange() {
    let mut host = Host::new();
    host.take(&four(10, &asked(7), &answered(7))).take(&four(20, &asked(7), &answered(7)));
    assert_eq!(host.lines(), ["A www.example.org NOERROR complete both"; 2]);
    assert_eq!(host.out[1].latency_ns, Some(3 * MS));
    assert_eq!(attribute(&host.out[1], "alaz.retries"), None);
    // The same as only the server sees it.
    let mut host = Host::new();
    let [first, again] = [10, 20].map(|from_ms| four(from_ms, &asked(7), &answered(7)));
    host.take(&first[1..3]).take(&again[1..3]).advance(3000);
    assert_eq!(host.lines(), ["A www.example.org NOERROR complete server"; 2]);
}

#[test]
fn number_question_and_addresses_must_agree() {
    let mut host = Host::new();
    let ours = four(10, &asked(7), &answered(7));
    let mut other = four(10, &asked(8), &answered(8));
    other.extend(four(10, &asked(7), &answer(7, "mail.example.org", words::A, &[])).split_off(2));
    other.extend(four(10, &asked(7), &answer(7, "www.example.org", words::AAAA, &[])).split_off(2));
    for (client, server) in
        [("127.0.0.1:40001", "127.0.0.9:53"), ("127.0.0.1:40000", "127.0.0.8:53")]
    {
        let mut elsewhere = four(10, &asked(7), &answered(7));
        for moved in &mut elsewhere {
            (moved.client, moved.server) = (address(client), address(server));
        }
        other.extend(elsewhere.split_off(2));
    }
    other.drain(..2);
    host.take(&ours[..2]).take(&other).advance(500);
    assert!(host.out.is_empty(), "{:?}", host.lines());
    // Both ends tell of an answer that nobody asked for; it counts once.
    assert_eq!(host.unpaired(UnpairedReason::Unasked), 5);
    host.take(&ours[2..]);
    assert_eq!(host.lines(), ["A www.example.org NOERROR complete both"]);
}

#[test]
fn an_answer_is_never_older_than_its_question() {
    let mut host = Host::new();
    let mut all = four(10, &asked(7), &answered(7));
    all.retain(|moved| moved.at == Side::Client);
    all[1].time_ns = 9 * MS;
    // Whichever is told first.
    host.take(&all).advance(11_000);
    assert_eq!(host.lines(), ["A www.example.org  no_response client"]);
    assert_eq!(host.unpaired(UnpairedReason::Unasked), 1);
    all.reverse();
    let mut host = Host::new();
    host.take(&all).advance(11_000);
    assert_eq!(host.lines(), ["A www.example.org  no_response client"]);
    assert_eq!(host.unpaired(UnpairedReason::Unasked), 1);
}

#[test]
fn a_call_that_ends_after_its_answer_was_read_began_before() {
    let mut all = four(10, &asked(7), &answered(7));
    all[0].time_ns = 20 * MS;
    let mut host = Host::new();
    host.take(&[1, 2, 3, 0].map(|index: usize| all[index].clone()));
    assert_eq!(host.lines(), ["A www.example.org NOERROR complete both"]);
    assert_eq!(host.out[0].latency_ns, Some(2 * MS), "since the server had it");
}

#[test]
fn failures_of_the_server_are_errors_and_missing_names_are_not() {
    for (rcode, status, error) in [
        (0, "NOERROR", false),
        (1, "FORMERR", true),
        (2, "SERVFAIL", true),
        (3, "NXDOMAIN", false),
        (4, "NOTIMP", true),
        (5, "REFUSED", true),
        (16, "BADVERS", true),
    ] {
        let mut host = Host::new();
        let answered = refusal(7, "www.example.org", words::A, rcode);
        host.take(&four(10, &asked(7), &answered));
        assert_eq!(host.lines(), [format!("A www.example.org {status} complete both")]);
        assert_eq!(host.out[0].message.error, error);
    }
}

#[test]
fn case_does_not_matter_and_a_refusal_may_leave_out_the_question() {
    let mut host = Host::new();
    let mixed = question(7, "wWw.eXaMpLe.ORG", words::A);
    host.take(&four(10, &mixed, &answered(7)));
    let mut bare = refusal(8, "www.example.org", words::A, 1);
    bare.truncate(12);
    bare[4..12].fill(0);
    host.take(&four(20, &asked(8), &bare));
    let expected = ["NOERROR", "FORMERR"].map(|it| format!("A www.example.org {it} complete both"));
    assert_eq!(host.lines(), expected);
    // Where two could be meant, none is.
    let other = question(9, "mail.example.org", words::A);
    bare[1] = 9;
    let two = four(30, &asked(9), &bare);
    host.take(&two[..1]).take(&four(31, &other, &bare)[..1]).take(&two[3..]);
    assert_eq!(host.unpaired(UnpairedReason::Ambiguous), 1);
    // And to nothing it is no answer.
    bare[1] = 10;
    host.take(&four(40, &asked(10), &bare)[3..]);
    assert_eq!(host.unpaired(UnpairedReason::Unasked), 1);
    assert_eq!(host.lines(), expected);
}

#[test]
fn truncated_answers_say_so() {
    let mut host = Host::new();
    let mut answered = answered(7);
    answered[2] |= 2;
    host.take(&four(10, &asked(7), &answered));
    assert_eq!(attribute(&host.out[0], "alaz.truncated").unwrap(), "true");
}

#[test]
fn what_is_not_dns_is_counted_and_what_could_not_be_read_is_lost() {
    let mut host = Host::new();
    let mut all = four(10, &asked(7), &answered(7));
    for moved in &mut all {
        moved.server.set_port(5353);
    }
    host.take(&all).take(&[Moved { is_answer: false, ..moved(Side::Client, 20, vec![1; 40]) }]);
    let ledger = host.table.ledger().datagram;
    assert_eq!((ledger.segments.counted, ledger.segments.parsed), (5, 0));
    for (copied, reason) in [(0, LossReason::Unreadable), (20, LossReason::Truncated)] {
        host.take(&[Moved { copied, ..moved(Side::Client, 30, asked(7)) }]);
        assert_eq!(host.table.ledger().datagram.segments.lost(reason), 1);
    }
    host.give_nameless("0.0.0.0:53", &asked(7));
    assert_eq!(host.table.ledger().datagram.segments.lost(LossReason::Unreadable), 2);
    host.give_nameless("0.0.0.0:5353", &asked(7));
    host.give_nameless("0.0.0.0:40000", b"something else");
    assert_eq!(host.table.ledger().datagram.segments.counted, 7);
    assert!(host.advance(20_000).finish().is_empty());
}

#[test]
fn the_table_is_bounded_and_what_was_told_makes_room() {
    let limits = DatagramLimits { exchanges: 8, ..DatagramLimits::default() };
    let mut host = Host::with(limits);
    for id in 0..20 {
        host.take(&four(10 + u64::from(id), &asked(id), &answered(id)));
    }
    assert_eq!((host.out.len(), host.unpaired(UnpairedReason::TooManyPending)), (20, 0));
    let mut host = Host::with(limits);
    for id in 0..20 {
        host.take(&four(10, &asked(id), &answered(id))[..2]);
    }
    assert_eq!(host.table.kept, 8);
    assert_eq!(host.unpaired(UnpairedReason::TooManyPending), 2 * 12);
    host.advance(10_011);
    assert_eq!(host.out.len(), 8);
    // Those of one number have a bound of their own.
    let mut host = Host::new();
    for number in 0..40 {
        let asked = question(7, &format!("n{number}.example"), words::A);
        host.take(&[moved(Side::Client, 10, asked)]);
    }
    assert_eq!(host.table.kept, SAME_NUMBER_MAX);
    assert_eq!(host.unpaired(UnpairedReason::TooManyPending), 24);
    host.advance(10_011).advance(30_000).advance(60_000);
    assert_eq!((host.out.len(), host.table.kept, host.table.entries.len()), (16, 0, 0));
}

/// Exchanges that share few numbers and ports, so that much could be mistaken.
#[derive(Clone, Debug)]
struct Plan {
    /// Number, port, ends that are seen (1 the client's, 2 the server's, 3 both), pause before.
    exchanges: Vec<(u16, u16, u8, u64)>,
}

fn plans() -> impl Strategy<Value = Plan> {
    proptest::collection::vec((0_u16..3, 0_u16..2, 1_u8..4, 0_u64..5), 1..20)
        .prop_map(|exchanges| Plan { exchanges })
}

impl Plan {
    /// In the order of time; and what is to be told, by number of the exchange.
    fn play(&self) -> (Vec<Moved>, Vec<String>) {
        let (mut all, mut truths, mut now_ms) = (Vec::new(), Vec::new(), 10);
        for (number, (id, port, seen, pause_ms)) in self.exchanges.iter().enumerate() {
            now_ms += pause_ms;
            let name = format!("n{number}.example");
            let address = [10, 0, 0, number as u8];
            let asked = question(*id, &name, words::A);
            let answered = answer(*id, &name, words::A, &[address]);
            let mut four = four(now_ms, &asked, &answered);
            four.retain(|moved| seen & if moved.at == Side::Client { 1 } else { 2 } != 0);
            for moved in &mut four {
                moved.client.set_port(40_000 + port);
            }
            all.extend(four);
            let by = ["client", "server", "both"][usize::from(*seen) - 1];
            truths.push(format!("A {name} NOERROR complete {by}"));
        }
        all.sort_by_key(|moved| moved.time_ns);
        (all, truths)
    }
}

fn told(all: &[Moved]) -> Vec<Exchange> {
    let mut host = Host::new();
    for moved in all {
        host.give(moved);
        host.advance((moved.time_ns / MS).saturating_sub(20));
    }
    host.advance(20_000).finish();
    host.out
}

proptest! {
    #[test]
    fn nothing_missing_means_all_are_told_exactly(plan in plans()) {
        let (all, mut truths) = plan.play();
        let mut lines: Vec<_> = told(&all).iter().map(line).collect();
        lines.sort();
        truths.sort();
        prop_assert_eq!(lines, truths);
    }

    #[test]
    fn damage_leaves_fewer_and_never_wrong_ones(
        plan in plans(),
        harms in proptest::collection::vec((any::<prop::sample::Index>(), 0_u8..4), 0..8),
    ) {
        let (mut all, _) = plan.play();
        for (index, kind) in harms {
            let at = index.index(all.len());
            match kind {
                0 if all.len() > 1 => { all.remove(at); }
                1 => { let copy = all[at].clone(); all.insert(at, copy); }
                2 if at + 1 < all.len() => all.swap(at, at + 1),
                _ => all[at].copied /= 2,
            }
        }
        let mut names = Vec::new();
        for exchange in told(&all) {
            let name = exchange.message.target.to_string();
            let number = name.trim_start_matches('n').trim_end_matches(".example").to_owned();
            if exchange.message.outcome == Outcome::Complete {
                if let Some(addresses) = attribute(&exchange, "dns.answers") {
                    prop_assert_eq!(addresses, format!("10.0.0.{number}"));
                }
                prop_assert_eq!(attribute(&exchange, "alaz.retries"), None);
                let (id, port, ..) = plan.exchanges[number.parse::<usize>().unwrap()];
                prop_assert_eq!(exchange.client.address.port(), 40_000 + port, "{}", id);
                let longest = if exchange.observed_by == ObservedBy::Server { MS } else { 3 * MS };
                prop_assert!(exchange.latency_ns.is_none_or(|it| it <= longest));
            }
            names.push(name);
        }
        let count = names.len();
        names.sort();
        names.dedup();
        prop_assert_eq!(names.len(), count, "told twice");
    }

    #[test]
    fn any_bytes_do_no_harm(
        all in proptest::collection::vec(
            (proptest::collection::vec(any::<u8>(), 3..80), any::<bool>(), 0_u64..20_000), 1..40),
    ) {
        let mut host = Host::new();
        for (bytes, by_client, time_ms) in all {
            host.give(&moved(if by_client { Side::Client } else { Side::Server }, time_ms, bytes));
            host.advance(time_ms);
        }
        host.finish();
    }

    #[test]
    fn mutated_datagrams_never_panic(
        plan in plans(),
        flips in proptest::collection::vec((any::<prop::sample::Index>(), 0_usize..60, any::<u8>()), 1..20),
    ) {
        let (mut all, _) = plan.play();
        for (index, byte, value) in flips {
            let moved = index.get_mut(&mut all);
            if let Some(byte) = moved.bytes.get_mut(byte) {
                *byte = value;
            }
        }
        told(&all);
    }
}
