//! Unbound's log of replies against what Alaz reports: dig, glibc, a load, and servers that say
//! nothing.
//!
//! The servers listen on loopback addresses that nobody else uses, on the port of DNS.

use std::collections::BTreeMap;
use std::net::{IpAddr, UdpSocket};
use std::process::Command;

use alaz_tests::alaz::{self, Seen, Watch, read_output};
use alaz_tests::exchange::Exchange;
use alaz_tests::program::{Program, run};
use alaz_tests::unbound::{Unbound, with_resolver};
use alaz_tests::{say, turn_to_capture, wait_until};
use rustix::process::Signal;

const ADDRESS: &str = "127.0.0.77";
/// Nobody answers there.
const SILENT: &str = "127.0.0.78:53";

fn at<'a>(seen: &'a Seen, address: &str) -> Vec<&'a Exchange> {
    seen.at(53).into_iter().filter(|exchange| exchange.server.ip == address).collect()
}

fn attribute<'a>(exchange: &'a Exchange, name: &str) -> Option<&'a str> {
    exchange.attributes.get(name).and_then(|value| value.as_str())
}

fn lines(exchanges: &[&Exchange]) -> Vec<String> {
    exchanges.iter().map(|exchange| exchange.line()).collect()
}

/// tcpdump of what an address says and hears.
fn tcpdump(address: IpAddr, file: &std::path::Path) -> Program {
    let mut tcpdump = Program::start(
        Command::new("tcpdump")
            .args(["-i", "lo", "-U", "--immediate-mode", "-B", "16384", "-Z", "root", "-w"])
            .arg(file)
            .arg(format!("host {address} and port 53")),
    );
    wait_until("tcpdump listens", || {
        tcpdump.assert_running();
        tcpdump.stderr().contains("listening on")
    });
    tcpdump
}

#[test]
fn what_dig_asks_is_reported_as_answered_also_from_a_capture_file() {
    let Some(_turn) = turn_to_capture() else { return };
    let (unbound, unbound_6) = (Unbound::start(ADDRESS), Unbound::start("::1"));
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("dns.pcap");
    let mut tcpdump = tcpdump(unbound.address, &file);
    let watch = Watch::start();

    let questions = [
        "www.shop.test A",
        "wWW.Shop.TEST AAAA",
        "shop.test MX",
        "nowhere.shop.test A",
        "a.private.test TXT",
        "-x 10.1.2.3",
        "www.shop.test TYPE65280",
        "www.shop.test A +tcp",
        "+tcp +keepopen www.shop.test A www.shop.test AAAA shop.test MX",
        // By TCP once more, since the answer is too large.
        "large.shop.test TXT +noedns",
    ];
    for question in questions {
        run(&mut unbound.dig(question));
    }
    for question in ["www.shop.test AAAA", "www.shop.test AAAA +tcp"] {
        run(&mut unbound_6.dig(question));
    }

    let seen = watch.finish();
    let mut log = unbound.stop();
    let told = at(&seen, ADDRESS);
    say(&format!("{} answered, {} reported", log.len(), told.len()));
    assert!(seen.ledger.lost_nothing(), "{:?}", seen.ledger);
    let mut reported = lines(&told);
    reported.sort();
    log.sort();
    assert_eq!(reported, log);
    assert!(log.contains(&"PTR 3.2.1.10.in-addr.arpa NXDOMAIN".to_owned()), "{log:?}");
    for exchange in &told {
        assert_eq!((&*exchange.protocol, &*exchange.outcome), ("dns", "complete"));
        assert_eq!(&*exchange.observed_by, "both", "{exchange:?}");
        let names = (&*exchange.client.workload, &*exchange.server.process);
        assert_eq!(names, ("dig", "unbound"), "{exchange:?}");
        let (whole, of_server) =
            (exchange.latency_ns.unwrap(), exchange.server_latency_ns.unwrap());
        assert!(whole > 0 && of_server > 0, "{exchange:?}");
        assert_eq!(exchange.error, exchange.status == "REFUSED", "{exchange:?}");
        assert_eq!(attribute(exchange, "alaz.retries"), None, "{exchange:?}");
        assert_eq!(attribute(exchange, "dns.question.name"), Some(&*exchange.target));
    }
    let of = |name: &str, value: &str| {
        told.iter().filter(|it| attribute(it, name) == Some(value)).count()
    };
    assert_eq!(of("network.transport", "tcp"), 5);
    assert_eq!(of("alaz.truncated", "true"), 1);
    // Unbound turns them round from time to time.
    let addresses = of("dns.answers", "10.1.2.3,10.1.2.4") + of("dns.answers", "10.1.2.4,10.1.2.3");
    assert_eq!((addresses, of("dns.answers", "fd00::7")), (3, 2));
    let observations = 4 * of("network.transport", "udp") as u64;
    assert!(seen.ledger.sources["datagram"].segments.parsed >= observations);

    let told = at(&seen, "::1");
    assert_eq!(lines(&told), ["AAAA www.shop.test NOERROR"; 2]);
    assert_eq!(lines(&told), unbound_6.stop());
    assert!(told.iter().all(|exchange| exchange.observed_by == "both"));

    let replay = || {
        let mut replay = Program::start(alaz::command(&["replay", "--output", "json"]).arg(&file));
        replay.wait();
        replay
    };
    wait_until("the file has all packets", || replay().stdout().lines().count() >= log.len());
    assert!(tcpdump.end(Signal::INT).success(), "{}", tcpdump.stderr());
    let replayed = read_output(&replay());
    let mut reported = lines(&at(&replayed, ADDRESS));
    reported.sort();
    assert_eq!(reported, log);
    assert!(
        replayed.exchanges.iter().all(|it| it.outcome == "complete" && it.latency_ns.is_some())
    );
}

#[test]
fn a_load_is_reported_as_answered() {
    let Some(_turn) = turn_to_capture() else { return };
    let unbound = Unbound::start(ADDRESS);
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("questions");
    let questions: Vec<_> = (0..4000).map(|number| format!("n{number}.shop.test A\n")).collect();
    std::fs::write(&file, questions.concat()).unwrap();
    let watch = Watch::start();

    let mut load = Command::new("dnsperf");
    load.args(["-s", ADDRESS, "-n", "1", "-c", "4", "-q", "32", "-Q", "4000", "-d"]).arg(&file);
    run(&mut load);

    let seen = watch.finish();
    let log = unbound.stop();
    let told = at(&seen, ADDRESS);
    say(&format!("{} answered, {} reported", log.len(), told.len()));
    let count = |lines: Vec<String>| {
        let mut counts = BTreeMap::<String, usize>::new();
        lines.into_iter().for_each(|line| *counts.entry(line).or_default() += 1);
        counts
    };
    let (reported, logged) = (count(lines(&told)), count(log));
    if seen.ledger.lost_nothing() {
        assert_eq!(reported, logged);
        assert!(told.iter().all(|exchange| exchange.observed_by == "both"));
    }
    let complete: Vec<_> = told.into_iter().filter(|it| it.outcome == "complete").collect();
    for (line, amount) in count(lines(&complete)) {
        assert!(amount <= logged[&line], "{line}: more than there were");
    }
}

#[test]
fn what_glibc_asks_is_reported_with_its_retries() {
    let Some(_turn) = turn_to_capture() else { return };
    let unbound = Unbound::start(ADDRESS);
    let silent = UdpSocket::bind(SILENT).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let mut watch = Watch::start();

    // Both questions in one call of sendmmsg(2).
    let resolver = format!("nameserver {ADDRESS}\n");
    run(&mut with_resolver(folder.path(), &resolver, "getent ahosts www.shop.test"));
    let silent_ip = silent.local_addr().unwrap().ip();
    let resolver = format!("nameserver {silent_ip}\noptions timeout:1 attempts:2\n");
    let output = with_resolver(folder.path(), &resolver, "getent ahosts www.shop.test").output();
    assert_eq!(output.unwrap().status.code(), Some(2), "nobody answered");
    let unanswered = || {
        let told = watch.program().stdout();
        told.lines().filter(|line| line.contains("no_response") && line.contains("dns")).count()
    };
    wait_until("silence is reported", {
        let mut unanswered = unanswered;
        move || unanswered() >= 2
    });

    let seen = watch.finish();
    let mut log = unbound.stop();
    assert!(seen.ledger.lost_nothing(), "{:?}", seen.ledger);
    let told = at(&seen, ADDRESS);
    let mut reported = lines(&told);
    reported.sort();
    log.sort();
    assert_eq!(reported, log);
    assert_eq!(reported, ["A www.shop.test NOERROR", "AAAA www.shop.test NOERROR"]);
    assert!(told.iter().all(|it| it.observed_by == "both" && it.client.process == "getent"));

    let told = at(&seen, &silent_ip.to_string());
    let mut reported = lines(&told);
    reported.sort();
    assert_eq!(reported, ["A www.shop.test ", "AAAA www.shop.test "]);
    for exchange in told {
        assert_eq!((&*exchange.outcome, exchange.error), ("no_response", true));
        assert_eq!((exchange.latency_ns, &*exchange.observed_by), (None, "client"));
        assert_eq!(attribute(exchange, "alaz.retries"), Some("1"), "{exchange:?}");
    }
}

#[test]
fn sockets_bound_to_no_address_are_one_exchange_too() {
    let Some(_turn) = turn_to_capture() else { return };
    let mut bound = None;
    wait_until("port 53 of all addresses is free", || {
        bound = UdpSocket::bind("[::]:53").ok();
        bound.is_some()
    });
    let server = bound.unwrap();
    let watch = Watch::start();

    let client = UdpSocket::bind("0.0.0.0:0").unwrap();
    let question = b"\x12\x34\x01\0\0\x01\0\0\0\0\0\0\x03any\x04test\0\0\x01\0\x01";
    client.send_to(question, "127.0.0.1:53").unwrap();
    let mut bytes = [0; 512];
    let (length, from) = server.recv_from(&mut bytes).unwrap();
    bytes[2] |= 0x80;
    bytes[3] = 2;
    server.send_to(&bytes[..length], from).unwrap();
    client.recv_from(&mut bytes).unwrap();

    let seen = watch.finish();
    let told: Vec<_> = seen.at(53).into_iter().filter(|it| it.target == "any.test").collect();
    assert_eq!(lines(&told), ["A any.test SERVFAIL"]);
    assert!(told[0].error && told[0].latency_ns.is_some());
    assert_eq!((&*told[0].observed_by, &*told[0].server.ip), ("both", "127.0.0.1"));
    assert_eq!(told[0].client.ip, "127.0.0.1");
}
